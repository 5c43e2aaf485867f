"""The catalogue as the SQL compiler uses it: tables, views, their columns, and DuckDB's text for their rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

Source = Callable[["str | None"], str]


@dataclass(frozen=True)
class Column:
    """A column by name and Trino's type: integer, varchar(3), decimal(10,2), array(integer), row(x integer)."""

    name: str
    type: str


@dataclass(frozen=True)
class Relation:
    """A table or a view.

    A table has `source(where)`: DuckDB's text of a table expression with these columns, with at least the rows of the
    partitions that can satisfy `where` (DuckDB's text of a condition over quoted partition keys, or None for all).
    A view has `view_sql`, read with `view_catalog` and `view_schema` as its defaults.

    :ivar name: database and table, for EXPLAIN
    """

    columns: tuple[Column, ...]
    partition_keys: tuple[str, ...] = ()
    source: Source | None = None
    view_sql: str | None = None
    view_catalog: str | None = None
    view_schema: str | None = None
    name: tuple[str, str] | None = None


@dataclass(frozen=True)
class TableRead:
    """A table that a query reads.

    :ivar name: database and table
    :ivar where: DuckDB's text of a condition on the partition keys that all rows satisfy which the query needs; None
        for a query that can need any
    """

    name: tuple[str, str]
    where: str | None


class Catalogue(Protocol):
    """A source of tables and views."""

    def relation(self, catalog: str | None, schema: str | None, table: str) -> Relation:
        """Return the table or view of this name; None stands for the query's own catalog and database.

        :raises SqlError: TABLE_NOT_FOUND or SCHEMA_NOT_FOUND
        """


@dataclass(frozen=True)
class Query:
    """A query as DuckDB runs it, its columns, which DuckDB calls c0, c1, ..., and the tables that it reads."""

    duckdb_sql: str
    columns: tuple[Column, ...]
    reads: tuple[TableRead, ...] = ()
