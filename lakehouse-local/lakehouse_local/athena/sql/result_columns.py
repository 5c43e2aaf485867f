"""The columns of a result."""

from __future__ import annotations

from typing import Any

from lakehouse_local.athena.sql.relations import Column, Query
from lakehouse_local.athena.sql.types import Type, array, map_of, parse_type, row
from lakehouse_local.athena.sql.types.in_duckdb import DUCKDB_TYPES

_TRINO = {duckdb: trino for trino, duckdb in reversed(DUCKDB_TYPES.items()) if trino not in ("unknown", "char", "json")}
_TRINO |= {"INTEGER": "integer", "BIGINT": "bigint", "VARCHAR": "varchar", "JSON": "json", "BLOB": "varbinary",
           "TIMESTAMP": "timestamp(3)", "TIMESTAMP_NS": "timestamp(9)", "TIMESTAMP WITH TIME ZONE":
           "timestamp(3) with time zone", "HUGEINT": "decimal(38,0)", "INTERVAL": "interval day to second"}  # fmt: skip


def _type(of: Any) -> Type:
    name = of.id.upper() if hasattr(of, "id") else str(of)
    if name == "LIST":
        return array(_type(of.children[0][1]))
    if name == "MAP":
        return map_of(_type(of.children[0][1]), _type(of.children[1][1]))
    if name == "STRUCT":
        return row(*((field, _type(each)) for field, each in of.children))
    if name == "DECIMAL":
        parameters = dict(of.children)
        return parse_type(f"decimal({parameters['precision']},{parameters['scale']})")
    return parse_type(_TRINO.get(str(of), "varchar"))


def columns_of(described: Any, query: Query) -> tuple[Column, ...]:
    """The query's columns; what it leaves open, `described` (a DuckDB connection or its description) tells."""
    if query.columns is not None:
        return query.columns
    description = getattr(described, "description", described) or ()
    return tuple(Column(entry[0], str(_type(entry[1]))) for entry in description)
