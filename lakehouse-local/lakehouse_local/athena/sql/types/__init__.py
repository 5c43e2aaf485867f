"""Trino's types: their notation, their names in DuckDB and Hive, and the conversions between them."""

from __future__ import annotations

from lakehouse_local.athena.sql.types.coercion import as_decimal, coerces, common_type
from lakehouse_local.athena.sql.types.hive import hive_type, trino_type
from lakehouse_local.athena.sql.types.in_duckdb import duckdb_type
from lakehouse_local.athena.sql.types.parsing import parse_type
from lakehouse_local.athena.sql.types.type import (
    BIGINT,
    BOOLEAN,
    DATE,
    DAY_TO_SECOND,
    DOUBLE,
    INTEGER,
    INTEGERS,
    JSON,
    REAL,
    SMALLINT,
    TINYINT,
    UNKNOWN,
    VARBINARY,
    VARCHAR,
    WITH_ZONE,
    YEAR_TO_MONTH,
    Type,
    array,
    decimal,
    map_of,
    row,
    varchar,
)  # fmt: skip

__all__ = [
    "BIGINT", "BOOLEAN", "DATE", "DAY_TO_SECOND", "DOUBLE", "INTEGER", "INTEGERS", "JSON", "REAL", "SMALLINT",
    "TINYINT", "UNKNOWN", "VARBINARY", "VARCHAR", "WITH_ZONE", "YEAR_TO_MONTH", "Type", "array", "as_decimal",
    "coerces", "common_type", "decimal", "duckdb_type", "hive_type", "map_of", "parse_type", "row", "trino_type",
    "varchar",
]  # fmt: skip
