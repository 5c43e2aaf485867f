"""A compiled expression: DuckDB's text and the type Trino gives it."""

from __future__ import annotations

from dataclasses import dataclass

from lakehouse_local.athena.sql.types import Type


@dataclass(frozen=True)
class Typed:
    """DuckDB's text of an expression, whose DuckDB type is `types.duckdb_type(type)`.

    `constant` is the value if the expression is a literal: some functions need it while compiling.
    """

    sql: str
    type: Type
    constant: object = None


def quoted(name: str) -> str:
    """Return an identifier for DuckDB."""
    return '"' + name.replace('"', '""') + '"'


def string(value: str) -> str:
    """Return a text literal for DuckDB."""
    return "'" + value.replace("'", "''") + "'"
