"""information_schema: the Data Catalog as tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lakehouse_local.athena.sql import Column, Relation, SqlError, trino_type
from lakehouse_local.glue.catalog.store import Catalog

NAME = "information_schema"
_COLUMNS = {
    "schemata": ("catalog_name", "schema_name"),
    "tables": ("table_catalog", "table_schema", "table_name", "table_type"),
    "columns": (
        "table_catalog", "table_schema", "table_name", "column_name", "ordinal_position", "column_default",
        "is_nullable", "data_type",
    ),
    "views": ("table_catalog", "table_schema", "table_name", "view_definition"),
}  # fmt: skip


def relation(catalog: Catalog, table: str) -> Relation:
    """Return a table of information_schema.

    :raises SqlError: TABLE_NOT_FOUND
    """
    if table not in _COLUMNS:
        raise SqlError("TABLE_NOT_FOUND", f"Table 'awsdatacatalog.{NAME}.{table}' does not exist")
    names = _COLUMNS[table]
    columns = tuple(Column(name, "bigint" if name == "ordinal_position" else "varchar") for name in names)
    types = [("BIGINT" if column.type == "bigint" else "VARCHAR") for column in columns]
    rows = [
        "(" + ", ".join(f"CAST({_literal(value)} AS {type})" for value, type in zip(row, types, strict=True)) + ")"
        for row in _rows(catalog, table)
    ]
    listed = ", ".join(f'"{name}"' for name in names)
    nulls = ", ".join(f'NULL::{type} AS "{name}"' for name, type in zip(names, types, strict=True))
    text = f"(SELECT * FROM (VALUES {', '.join(rows)}) t({listed}))" if rows else f"(SELECT {nulls} WHERE false)"
    return Relation(columns, source=lambda where: text)


def _rows(catalog: Catalog, table: str) -> Iterator[tuple[Any, ...]]:
    if table == "schemata":
        yield from (("awsdatacatalog", each["Name"]) for each in catalog.get_databases())
        yield ("awsdatacatalog", NAME)
        return
    for each in catalog.all_tables():
        place = ("awsdatacatalog", each["DatabaseName"], each["Name"])
        is_view = each.get("TableType") == "VIRTUAL_VIEW"
        if table == "tables":
            yield (*place, "VIEW" if is_view else "BASE TABLE")
        elif table == "views" and is_view:
            yield (*place, each.get("ViewOriginalText"))
        elif table == "columns":
            yield from _columns(each, place)


def _columns(table: dict[str, Any], place: tuple[str, ...]) -> Iterable[tuple[Any, ...]]:
    columns = [*table.get("StorageDescriptor", {}).get("Columns", []), *table.get("PartitionKeys", [])]
    for position, column in enumerate(columns, 1):
        try:
            type = trino_type(column["Type"])
        except ValueError:
            type = column["Type"]
        yield (*place, column["Name"], position, None, "YES", type)


def _literal(value: Any) -> str:
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"
