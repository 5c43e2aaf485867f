"""Names of tables and units, and the places in S3 that belong to publishing."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

from airflow_lakehouse_provider.errors import LakehouseError
from airflow_lakehouse_provider.s3_uri import split_s3_uri

# The parameter of tables and partitions that says which publication made them public: ``<unit>/<generation>``.
GENERATION = "lakehouse_generation"
AUDIT_MARK = "__audit_"
_UNIT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,99}")
_ATTEMPT = re.compile(r"(s3://[^/]+(?:/[^/]+)*?)/attempts/[^/]+/attempt\.json")
_AUDIT = re.compile(rf".+{AUDIT_MARK}[0-9a-f]{{12}}")


class PublishingError(LakehouseError):
    """Nothing can be published, or rolled back; the message names the table or the unit, the reason, and what to do."""


class Moved(PublishingError):
    """Production is not what was read any more: what was built from it must be built again; the message names it.

    :ivar nodes: unique ids of the nodes to build again; none where only the whole attempt can be
    """

    def __init__(self, message: str, *, nodes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.nodes = nodes


@dataclass(frozen=True, order=True)
class TableName:
    """A table or view of the Glue Data Catalog."""

    database: str
    name: str

    def __str__(self) -> str:
        return f"{self.database}.{self.name}"

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Return the table of its text, ``database.name``."""
        database, _, name = text.partition(".")
        return cls(database, name)


def check_unit(unit: str) -> str:
    """Return a unit's name.

    :raises PublishingError: it cannot be part of a key in S3
    """
    if not isinstance(unit, str) or not _UNIT.fullmatch(unit) or ".." in unit:
        raise PublishingError(
            f"unit is {unit!r}; it must be 1 to 100 letters, digits, '.', '_', '=' and '-', beginning with a letter or "
            "digit, such as 2024-05"
        )
    return unit


def new_audit(schema: str) -> str:
    """Return a name for an audit schema that was never used.

    :param schema: production's
    """
    return f"{schema}{AUDIT_MARK}{secrets.token_hex(6)}"


def schema_of(audit: str) -> str:
    """Return the production schema of an audit schema."""
    return audit.rpartition(AUDIT_MARK)[0]


def check_audit(audit: str) -> str:
    """Return an audit schema's name.

    :raises PublishingError: it is not one of :func:`new_audit`
    """
    if not _AUDIT.fullmatch(audit):
        raise PublishingError(f"{audit!r} is no audit schema: these are named <schema>{AUDIT_MARK}<12 digits of hex>")
    return audit


@dataclass(frozen=True)
class Places:
    """The addresses in S3 of a lakehouse's publications.

    :param data: ``s3://bucket/prefix`` of production's tables, dbt's ``s3_data_dir``
    """

    data: str

    def __post_init__(self) -> None:
        split_s3_uri(self.data)
        object.__setattr__(self, "data", self.data.rstrip("/"))

    def files(self, audit: str) -> str:
        """Return the prefix of the data files that an attempt writes."""
        return f"{self.data}/generations/{audit}"

    def new_root(self) -> str:
        """Return a prefix that was never used, for a table's own location."""
        return f"{self.data}/roots/{secrets.token_hex(16)}"

    @classmethod
    def of_attempt(cls, uri: str) -> Places:
        """Return the places that an attempt's document lies in.

        :raises PublishingError: it is not the address of one
        """
        found = _ATTEMPT.fullmatch(uri) if isinstance(uri, str) else None
        if found is None:
            raise PublishingError(
                f"attempt is {uri!r}; it must be the address that a build under audit returns as `attempt`, "
                "s3://bucket/prefix/attempts/<audit schema>/attempt.json"
            )
        return cls(found[1])

    @property
    def publications(self) -> str:
        """The prefix of the publications' records, a folder for each unit."""
        return f"{self.data}/publications"

    @property
    def attempts(self) -> str:
        """The prefix of the attempts' documents, a folder for each audit schema."""
        return f"{self.data}/attempts"

    def attempt(self, audit: str) -> str:
        """Return the prefix of an attempt's documents."""
        return f"{self.attempts}/{audit}"
