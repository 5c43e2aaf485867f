"""The types in which DuckDB holds values of Trino's types."""

from __future__ import annotations

from lakehouse_local.athena.sql.types.type import Type

DUCKDB_TYPES = {
    "unknown": "INTEGER", "boolean": "BOOLEAN", "tinyint": "TINYINT", "smallint": "SMALLINT", "integer": "INTEGER",
    "bigint": "BIGINT", "real": "FLOAT", "double": "DOUBLE", "date": "DATE", "varchar": "VARCHAR", "char": "VARCHAR",
    "varbinary": "BLOB", "json": "VARCHAR", "uuid": "UUID", "ipaddress": "VARCHAR", "time": "TIME",
    "interval day to second": "BIGINT",  # milliseconds
    "interval year to month": "INTEGER",  # months
    "timestamp with time zone": "STRUCT(utc TIMESTAMP, zone VARCHAR)",  # DuckDB's own forgets the zone
    "time with time zone": "TIMETZ",
    "hyperloglog": "BIGINT",
}  # fmt: skip


def duckdb_type(type: Type) -> str:
    """Return the type of DuckDB's that holds values of this type."""
    if type.name == "decimal":
        return f"DECIMAL({type.size},{type.scale})"
    if type.name == "timestamp":
        return "TIMESTAMP_NS" if (type.size or 0) > 6 else "TIMESTAMP"
    if type.name == "array":
        return duckdb_type(type.element) + "[]"
    if type.name == "map":
        return f"MAP({duckdb_type(type.type_at(0))}, {duckdb_type(type.type_at(1))})"
    if type.name == "row":
        pairs = (f'"{type.field_name(i)}" {duckdb_type(each)}' for i, each in enumerate(type.types))
        return f"STRUCT({', '.join(pairs)})"
    return DUCKDB_TYPES[type.name]
