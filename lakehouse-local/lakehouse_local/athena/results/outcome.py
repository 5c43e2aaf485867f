"""The outcome of a statement: its columns and rows, the rows and files it wrote; Athena's description of a column."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lakehouse_local.athena.sql import Column
from lakehouse_local.athena.sql.types import parse_type

Row = list[str | None]

# The type of the columns of DDL and utility statements: Hive's, which is none of Trino's types.
STRING = "string"
ROWS = (Column("rows", "bigint"),)

# Athena's ColumnInfo names a type by its family; precision and scale are members of their own.
_PRECISIONS = {
    "tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19, "real": 17, "double": 17, "timestamp": 3,
    "timestamp with time zone": 3, "time": 3, "time with time zone": 3, "varchar": 2147483647, "varbinary": 1073741824,
}  # fmt: skip
_FAMILY = {"real": "float"}


@dataclass
class Outcome:
    """The outcome of a statement.

    :ivar rows: batches of rows, each value as text or None; read once
    :ivar header: the first row of the results repeats the columns' names, as Athena does for queries alone
    :ivar written: number of rows written
    :ivar files: URIs of the files written, for Athena's manifest; None for a statement that does not write
    """

    columns: tuple[Column, ...] = ()
    rows: Iterable[list[Row]] = field(default_factory=tuple)
    header: bool = False
    written: int = 0
    files: list[str] | None = None


def lines(texts: Iterable[str], *columns: str) -> Outcome:
    """Return an outcome of one text a row, as SHOW and DESCRIBE have it: the cells of a row are separated by tabs."""
    names = columns or ("result",)
    return Outcome(tuple(Column(name, STRING) for name in names), [[[text] for text in texts]])


def column_info(column: Column) -> dict[str, Any]:
    """Return Athena's ColumnInfo of a column."""
    family, precision, scale, text = column.type, 0, 0, False
    if column.type != STRING:
        type = parse_type(column.type)
        family, precision = _FAMILY.get(type.name, type.name), _PRECISIONS.get(type.name, 0)
        if type.name == "decimal":
            precision, scale = type.size or 38, type.scale
        elif text := type.name in ("varchar", "char"):
            precision = type.size or precision
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
