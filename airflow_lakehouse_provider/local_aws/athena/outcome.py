"""What a statement came to: its columns and rows, what it changed, and what Athena calls its kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from airflow_lakehouse_provider.local_aws.athena.sql import Column

# Athena's ColumnInfo names types by their family; precision and scale stand beside it.
_PRECISIONS = {
    "tinyint": (3, 0), "smallint": (5, 0), "integer": (10, 0), "bigint": (19, 0), "real": (17, 0), "double": (17, 0),
    "boolean": (0, 0), "date": (0, 0), "timestamp": (3, 0), "timestamp with time zone": (3, 0), "time": (3, 0),
    "varchar": (2147483647, 0), "varbinary": (1073741824, 0), "json": (0, 0), "array": (0, 0), "map": (0, 0), "row": (0, 0),
}  # fmt: skip
_FAMILY = {"real": "float"}


@dataclass
class Outcome:
    """A finished statement.

    :ivar kind: Athena's StatementType: DML, DDL or UTILITY
    :ivar subkind: Athena's SubstatementType
    :ivar rows: batches of rows, each value as text or None; consumed once
    :ivar update_count: rows written, for what writes
    """

    kind: str
    subkind: str
    columns: tuple[Column, ...] = ()
    rows: Iterable[list[list[str | None]]] = field(default_factory=tuple)
    update_count: int = 0
    manifest: list[str] | None = None

    @property
    def has_header(self) -> bool:
        """Whether the first row of the results repeats the columns' names, as Athena does for queries alone."""
        return self.kind == "DML" and self.subkind == "SELECT"


def utility(subkind: str, lines: Iterable[str], *, column: str = "result") -> Outcome:
    """A statement that answers lines of text, such as SHOW and DESCRIBE."""
    return Outcome("UTILITY", subkind, (Column(column, "varchar"),), [[[line] for line in lines]])


def column_info(column: Column) -> dict[str, Any]:
    """Athena's ColumnInfo of a column."""
    from airflow_lakehouse_provider.local_aws.athena.sql.types import parse_type

    of = parse_type(column.type)
    precision, scale = _PRECISIONS.get(of.name, (0, 0))
    if of.name == "decimal":
        precision, scale = of.size or 38, of.scale
    elif of.name in ("varchar", "char"):
        precision = of.size or 2147483647
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": column.name,
        "Label": column.name,
        "Type": _FAMILY.get(of.name, of.name),
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": of.name in ("varchar", "char"),
    }
