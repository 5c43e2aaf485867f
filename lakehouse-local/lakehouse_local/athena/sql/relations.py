"""What the SQL part asks of the catalogue: tables, their columns, and where DuckDB finds their rows."""

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

    A table has `source(where)`: DuckDB's text of a table expression with these columns, holding at least the rows of
    the partitions that can satisfy `where` (DuckDB's text of a condition over unqualified partition
    keys, or None for all). A view has `view_sql`, read with `view_catalog` and `view_schema` as its defaults.
    """

    columns: tuple[Column, ...]
    partition_keys: tuple[str, ...] = ()
    source: Source | None = None
    view_sql: str | None = None
    view_catalog: str | None = None
    view_schema: str | None = None


class Catalogue(Protocol):
    """Where tables are found. Raises SqlError TABLE_NOT_FOUND or SCHEMA_NOT_FOUND in Trino's words."""

    def relation(self, catalog: str | None, schema: str | None, table: str) -> Relation:
        """The table or view of this name; None stands for the query's own catalog and database."""


@dataclass(frozen=True)
class Query:
    """A query as DuckDB runs it, and its columns, which DuckDB calls c0, c1, ..."""

    duckdb_sql: str
    columns: tuple[Column, ...]
