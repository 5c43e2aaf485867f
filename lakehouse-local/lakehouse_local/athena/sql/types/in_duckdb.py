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


def duckdb_type(of: Type) -> str:
    """What holds a value of this type in DuckDB."""
    if of.name == "decimal":
        return f"DECIMAL({of.size},{of.scale})"
    if of.name == "timestamp":
        return "TIMESTAMP_NS" if (of.size or 0) > 6 else "TIMESTAMP"
    if of.name == "array":
        return duckdb_type(of.element) + "[]"
    if of.name == "map":
        return f"MAP({duckdb_type(of.type_at(0))}, {duckdb_type(of.type_at(1))})"
    if of.name == "row":
        pairs = (f'"{of.field_name(i)}" {duckdb_type(each)}' for i, each in enumerate(of.types))
        return f"STRUCT({', '.join(pairs)})"
    return DUCKDB_TYPES[of.name]
