"""Records of publications: one object in S3 each, with its plan; together they are the history of a lakehouse.

An object is one line of JSON whose top-level members are also columns of a table in Athena (source ``publications``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import Any

from airflow_lakehouse_provider.publishing import objects
from airflow_lakehouse_provider.publishing.attempt import AuditAttempt, Gate, moment, now
from airflow_lakehouse_provider.publishing.catalogue import Values
from airflow_lakehouse_provider.publishing.names import Places, PublishingError, TableName, check_unit
from airflow_lakehouse_provider.s3_uri import split_s3_uri

VERSION = 1
# Kinds: a build's publication, one that puts a former generation back, and a gate that failed.
PUBLICATION, ROLLBACK, GATE = "publication", "rollback", "gate"
# States: nothing was changed yet; being carried out; done; given up, with production as before; of a gate.
PLANNED, PUBLISHING, PUBLISHED, UNDONE, REFUSED = "planned", "publishing", "published", "undone", "refused"
UNFINISHED = (PLANNED, PUBLISHING)
ACCEPTED = "accepted"


@dataclass(frozen=True)
class Step:
    """A change of one entry of the Glue Data Catalog.

    :ivar node: the unique id of the dbt node that it publishes
    :ivar values: of the partition; None: the table or view itself
    :ivar old: the entry before, a PartitionInput or TableInput; None: there is none
    :ivar new: the entry after; None: there is none
    :ivar old_files: key and ETag of each file that the old entry shows
    :ivar new_files: key and ETag of each file that the new entry shows
    """

    node: str
    table: TableName
    values: Values | None
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    old_files: Mapping[str, str] = field(default_factory=dict)
    new_files: Mapping[str, str] = field(default_factory=dict)

    @property
    def entry(self) -> tuple[TableName, Values | None]:
        """The entry that it changes."""
        return self.table, self.values

    @property
    def is_root(self) -> bool:
        """True for a table of partitions, whose own location every publication moves."""
        return self.values is None and bool((self.new or {}).get("PartitionKeys"))

    def __str__(self) -> str:
        return f"{self.table} {'/'.join(self.values)}" if self.values else str(self.table)


@dataclass(frozen=True)
class Publication:
    """The record of a publication, a rollback or a gate that failed.

    :ivar generation: the number of the publication of its unit, from 1; None for a gate that failed
    :ivar recorded_at: the time of the last change of state, UTC
    :ivar restores: of a rollback, the generation that it puts back; 0 is what was there before the first
    :ivar rows: rows that dbt wrote, by node
    :ivar run: the DAG run, or the user of the command line
    """

    unit: str
    generation: int | None
    kind: str
    audit: str
    state: str = PLANNED
    recorded_at: str = ""
    gate: str = ""
    gate_message: str = ""
    failed_tests: tuple[str, ...] = ()
    accepted: tuple[str, ...] = ()
    reason: str = ""
    accepted_by: str = ""
    run: str = ""
    restores: int | None = None
    code: str = ""
    rows: Mapping[str, int] = field(default_factory=dict)
    plan: tuple[Step, ...] = ()
    version: int = VERSION

    @property
    def label(self) -> str:
        """The name in catalogue parameters and messages: ``<unit>/<generation>``."""
        return f"{self.unit}/{self.generation}"

    def dump(self) -> bytes:
        """Return the record's document."""
        return objects.line(asdict(self))

    @classmethod
    def load(cls, document: bytes, uri: str) -> Publication:
        """Read a record's document.

        :raises PublishingError: it is none of this version
        """
        content = objects.of_version(document, f"{uri} is not a publication of version {VERSION}", VERSION, "Use that.")
        texts = {name: tuple(content[name]) for name in ("failed_tests", "accepted")}
        return cls(**{**content, **texts, "plan": tuple(_step(each) for each in content["plan"])})


def public_generation(records: Iterable[Publication]) -> int | None:
    """Return the generation of a unit that is public; None where none was published."""
    published = [each.generation for each in records if each.state == PUBLISHED and each.generation is not None]
    return max(published, default=None)


def age_days(publication: Publication) -> float:
    """Return the days since a publication's last change of state."""
    return (datetime.now(timezone.utc) - moment(publication.recorded_at)).total_seconds() / 86_400


def _step(content: Mapping[str, Any]) -> Step:
    values = content["values"]
    return Step(**{**content, "table": TableName(**content["table"]), "values": tuple(values) if values else None})


class History:
    """The records of a lakehouse.

    :param s3: a boto3 client
    """

    def __init__(self, s3: Any, places: Places) -> None:
        self._s3 = s3
        self.places = places

    def uri(self, publication: Publication) -> str:
        """Return the address of a record."""
        name = f"gate-{publication.audit}" if publication.generation is None else f"{publication.generation:06d}"
        return f"{self.places.publications}/{check_unit(publication.unit)}/{name}.json"

    def read(self, uri: str) -> Publication:
        """Return a record.

        :raises PublishingError: there is none
        """
        found = objects.read(self._s3, uri)
        if found is None:
            raise PublishingError(f"there is no record at {uri}")
        return Publication.load(found[0], uri)

    def add(self, publication: Publication) -> Publication:
        """Write a new record and return it.

        :raises PublishingError: there is one of this unit and generation
        """
        recorded = replace(publication, recorded_at=now())
        if objects.write(self._s3, self.uri(recorded), recorded.dump(), only_if="*") is None:
            raise PublishingError(f"publication {recorded.label} exists: another publisher was faster. Publish again.")
        return recorded

    def record_gate(self, attempt: AuditAttempt, gate: Gate, run: str) -> None:
        """Record that an attempt's gate failed; a second failure of the same attempt replaces the first."""
        record = Publication(
            unit=attempt.unit,
            generation=None,
            kind=GATE,
            audit=attempt.audit,
            state=REFUSED,
            recorded_at=now(),
            gate=gate.status,
            gate_message=gate.message,
            failed_tests=gate.failed,
            run=run or attempt.run,
            code=attempt.code,
            rows=attempt.rows,
        )
        objects.write(self._s3, self.uri(record), record.dump())

    def change(self, publication: Publication, **changes: Any) -> Publication:
        """Write a record in a new state, and return it; its writer holds the lease."""
        changed = replace(publication, recorded_at=now(), **changes)
        objects.write(self._s3, self.uri(changed), changed.dump())
        return changed

    def units(self) -> list[str]:
        """Return the units that have records, in order."""
        return sorted({unit for unit, _ in self._names()})

    def of(self, unit: str) -> list[Publication]:
        """Return the publications and rollbacks of a unit, the first one first."""
        return sorted(
            (each for each in self._read(unit) if each.generation is not None), key=lambda each: each.generation or 0
        )

    def everything(self, unit: str) -> list[Publication]:
        """Return all records of a unit, also gates that failed, the oldest first."""
        return sorted(self._read(unit), key=lambda each: each.recorded_at)

    def published(self, unit: str) -> list[Publication]:
        """Return the publications and rollbacks of a unit that were carried out, the first one first."""
        return [each for each in self.of(unit) if each.state == PUBLISHED]

    def of_attempt(self, unit: str, audit: str) -> Publication | None:
        """Return the publication of an attempt that was not given up; None where it was not planned yet."""
        found = [each for each in self.of(unit) if each.audit == audit and each.state != UNDONE]
        return found[-1] if found else None

    def next_generation(self, unit: str) -> int:
        """Return the number of a unit's next publication."""
        # By the names alone: gates that failed have no number.
        names = (PurePosixPath(uri).stem for name, uri in self._names(check_unit(unit)) if name == unit)
        return max((int(name) for name in names if name.isdecimal()), default=0) + 1

    def _read(self, unit: str) -> Iterator[Publication]:
        for name, uri in self._names(check_unit(unit)):
            if name == unit:
                yield self.read(uri)

    def _names(self, unit: str | None = None) -> Iterator[tuple[str, str]]:
        prefix = f"{self.places.publications}/{f'{unit}/' if unit else ''}"
        bucket, _ = split_s3_uri(prefix)
        for item in objects.keys(self._s3, prefix):
            folder, _, name = item["Key"].rpartition("/")
            if name.endswith(".json") and not name.startswith("_"):
                yield folder.rpartition("/")[2], f"s3://{bucket}/{item['Key']}"
