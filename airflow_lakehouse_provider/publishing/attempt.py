"""An attempt: one dbt build of a unit in one audit schema, its nodes, and the production that it was built upon.

Its document in S3 is written by one process at a time: whoever changes it names the version that it has read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from airflow_lakehouse_provider.publishing import objects
from airflow_lakehouse_provider.publishing.names import Places, PublishingError, TableName, check_audit, check_unit
from airflow_lakehouse_provider.s3_uri import split_s3_uri

# Kinds of nodes, by the way in which they are published.
PARTITIONED, TABLE, VIEW = "partitioned", "table", "view"
# States of an attempt
BUILDING, BUILT, FAILED = "building", "built", "failed"
# Results of a gate
PASSED, GATE_FAILED = "passed", "failed"
DOCUMENT = "attempt.json"
PRODUCTION_MANIFEST, AUDIT_MANIFEST, STATEMENTS = "production.json", "audit.json", "statements.json"
VERSION = 1
_TIME = "%Y-%m-%d %H:%M:%S.%f"


@dataclass(frozen=True)
class Node:
    """A model or seed that an attempt builds.

    :ivar kind: ``partitioned``: an incremental model whose partitions are published one by one; ``table``: a table or
        seed that is replaced as a whole; ``view``
    :ivar production: its table when dbt builds without a gate
    :ivar audit: its table in the audit schema
    :ivar reads: unique ids of the models, seeds and snapshots that it reads; in place of an ephemeral model, those that
        it reads
    """

    unique_id: str
    kind: str
    production: TableName
    audit: TableName
    reads: tuple[str, ...] = ()

    @classmethod
    def load(cls, content: Mapping[str, Any]) -> Node:
        """Return the node of a document."""
        names = {name: TableName(**content[name]) for name in ("production", "audit")}
        return cls(**{**content, **names, "reads": tuple(content["reads"])})


@dataclass(frozen=True)
class Gate:
    """The result of the tests of an attempt.

    :ivar status: ``passed`` or ``failed``
    :ivar message: the tests that failed, in one line
    :ivar failed: their unique ids
    :ivar artifacts: address of the test's artifacts
    """

    status: str
    message: str = ""
    failed: tuple[str, ...] = ()
    artifacts: str | None = None
    at: str = ""


@dataclass(frozen=True)
class AuditAttempt:
    """One dbt build of a unit in one audit schema.

    :ivar audit: the audit schema; the databases of custom schemas begin with its name
    :ivar nodes: the nodes that it builds
    :ivar parents: the production tables that it reads and does not build, by the unique ids of their nodes
    :ivar base: the pointers of production when it began, see :func:`..clone.pointers`, by the table's name
    :ivar built: unique ids of the nodes that were built without an error
    :ivar code: digest of the dbt project
    :ivar run: DAG run and try that it belongs to, as a person reads it
    :ivar invocation: dbt's invocation, once it is known, and Athena's work group
    :ivar scope: the partitions that it may touch, an expression of Glue's; None: any
    :ivar empty: the unit has no rows: the partitions of its scope are removed
    :ivar unchanged_days: the unit depends on the project alone: it need not be published again within so many days
    :ivar databases: the Glue databases of its audit schema
    :ivar rows: rows that dbt wrote, by node
    :ivar carried: unique ids of the nodes that it does not build: it takes their tables over, of an earlier attempt of
        the unit or of a generation that comes back
    :ivar restores: of a rollback, the generation that it puts back
    """

    audit: str
    unit: str
    started: str
    state: str = BUILDING
    nodes: tuple[Node, ...] = ()
    parents: Mapping[str, TableName] = field(default_factory=dict)
    base: Mapping[str, Any] = field(default_factory=dict)
    built: tuple[str, ...] = ()
    gate: Gate | None = None
    code: str = ""
    run: str = ""
    invocation: Mapping[str, Any] = field(default_factory=dict)
    scope: str | None = None
    databases: tuple[str, ...] = ()
    rows: Mapping[str, int] = field(default_factory=dict)
    carried: tuple[str, ...] = ()
    restores: int | None = None
    unchanged_days: float | None = None
    empty: bool = False
    version: int = VERSION

    def dump(self) -> bytes:
        """Return the document."""
        return objects.line(asdict(self))

    @classmethod
    def load(cls, document: bytes, uri: str) -> AuditAttempt:
        """Read a document.

        :raises PublishingError: it is none of this version
        """
        content = objects.of_version(document, f"{uri} is not an attempt of version {VERSION}", VERSION, "Build again.")
        gate = content["gate"]
        return cls(
            **{
                **content,
                "nodes": tuple(Node.load(each) for each in content["nodes"]),
                "parents": {name: TableName(**each) for name, each in content["parents"].items()},
                "gate": Gate(**{**gate, "failed": tuple(gate["failed"])}) if gate else None,
                **{name: tuple(content[name]) for name in ("built", "databases", "carried")},
            }
        )

    def base_locations(self, node: Node) -> dict[tuple[str, ...], str]:
        """Return the location of each partition that production had of a node when the attempt began."""
        return {tuple(values): place for values, place, *_ in self.base[str(node.production)]["partitions"]}


class AttemptStore:
    """The attempts of a lakehouse, a document each.

    :param s3: a boto3 client
    """

    def __init__(self, s3: Any, places: Places) -> None:
        self._s3 = s3
        self.places = places

    def uri(self, audit: str) -> str:
        """Return the address of an attempt's document, which tasks hand to each other."""
        return f"{self.places.attempt(check_audit(audit))}/{DOCUMENT}"

    def claim(self, attempt: AuditAttempt) -> str:
        """Make the document of a new attempt and return its address: of several that try, one succeeds.

        :raises PublishingError: the audit schema is in use or was used
        """
        check_unit(attempt.unit)
        uri = self.uri(attempt.audit)
        if objects.write(self._s3, uri, attempt.dump(), only_if="*") is None:
            raise PublishingError(f"audit schema {attempt.audit} was used before; each attempt needs a new one")
        return uri

    def read(self, uri: str) -> AuditAttempt:
        """Return an attempt.

        :param uri: the address of its document
        :raises PublishingError: there is none, or of another version
        """
        found = objects.read(self._s3, uri)
        if found is None:
            raise PublishingError(f"there is no attempt at {uri}: it was swept, or it never began. Build again.")
        return AuditAttempt.load(found[0], uri)

    def change(self, uri: str, **changes: Any) -> AuditAttempt:
        """Change members of an attempt, and return it as it is now; a change of somebody else in between is kept."""
        while True:
            found = objects.read(self._s3, uri)
            if found is None:
                raise PublishingError(f"there is no attempt at {uri}: it was swept. Build again.")
            changed = replace(AuditAttempt.load(found[0], uri), **changes)
            if objects.write(self._s3, uri, changed.dump(), only_if=found[1]) is not None:
                return changed

    def last(self, unit: str) -> str | None:
        """Return the address of a unit's last attempt that was built; None where there is none."""
        found = [self.read(self.uri(audit)) for audit in self.all()]
        built = sorted((each.started, each.audit) for each in found if each.unit == unit and each.state == BUILT)
        return self.uri(built[-1][1]) if built else None

    def all(self) -> dict[str, datetime]:
        """Return the audit schemas of all attempts, and when the document of each was changed last."""
        prefix = f"{self.places.attempts}/"
        _, folder = split_s3_uri(prefix)
        found = {}
        for item in objects.keys(self._s3, prefix):
            audit, _, name = item["Key"].removeprefix(folder).partition("/")
            if name == DOCUMENT:
                found[audit] = item["LastModified"]
        return found


def now() -> str:
    """Return the time as documents have it: UTC, with milliseconds, as Athena's ``timestamp`` reads it."""
    return datetime.now(timezone.utc).strftime(_TIME)[:-3]


def moment(text: str) -> datetime:
    """Return the time that a document has."""
    return datetime.strptime(text, _TIME).replace(tzinfo=timezone.utc)
