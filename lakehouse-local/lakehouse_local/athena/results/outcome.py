"""What a statement came to: its columns and rows, what it wrote, and how Athena describes a column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lakehouse_local.athena.sql import Column
from lakehouse_local.athena.sql.types import parse_type

Row = list[str | None]

# The type of what DDL and utility statements answer: Hive's word, which is none of Trino's types.
STRING = "string"
ROWS = (Column("rows", "bigint"),)

# Athena's ColumnInfo names types by their family; precision and scale stand beside it.
_PRECISIONS = {
    "tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19, "real": 17, "double": 17, "timestamp": 3,
    "timestamp with time zone": 3, "time": 3, "time with time zone": 3, "varchar": 2147483647, "varbinary": 1073741824,
}  # fmt: skip
_FAMILY = {"real": "float"}


@dataclass
class Outcome:
    """A finished statement.

    :ivar rows: batches of rows, each value as text or None; consumed once
    :ivar header: whether the first row of the results repeats the columns' names, as Athena does for queries alone
    :ivar written: rows written, for what writes
    :ivar files: what was written, for Athena's manifest; None for what does not write
    """

    columns: tuple[Column, ...] = ()
    rows: Iterable[list[Row]] = field(default_factory=tuple)
    header: bool = False
    written: int = 0
    files: list[str] | None = None


def lines(texts: Iterable[str], *columns: str) -> Outcome:
    """An answer of one text a row, as SHOW and DESCRIBE give it; cells of a row are parted by tabs."""
    names = columns or ("result",)
    return Outcome(tuple(Column(name, STRING) for name in names), [[[text] for text in texts]])


def column_info(column: Column) -> dict[str, Any]:
    """Athena's ColumnInfo of a column."""
    family, precision, scale, text = column.type, 0, 0, False
    if column.type != STRING:
        of = parse_type(column.type)
        family, precision = _FAMILY.get(of.name, of.name), _PRECISIONS.get(of.name, 0)
        if of.name == "decimal":
            precision, scale = of.size or 38, of.scale
        elif text := of.name in ("varchar", "char"):
            precision = of.size or precision
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": column.name,
        "Label": column.name,
        "Type": family,
        "Precision": precision,
        "Scale": scale,
        "Nullable": "UNKNOWN",
        "CaseSensitive": text,
    }
