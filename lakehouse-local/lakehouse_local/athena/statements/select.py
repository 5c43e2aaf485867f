"""Queries: SELECT, WITH, VALUES, TABLE."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from lakehouse_local.athena.results.outcome import Outcome, Row
from lakehouse_local.athena.sql import text, translate
from lakehouse_local.athena.statements.statement import StatementContext


def select(tree: Any, parameters: Sequence[str], context: StatementContext) -> Outcome:
    """Run a query; its rows are fetched as they are read."""
    query = translate(tree, context.binding, parameters)
    types = [column.type for column in query.columns]
    batches = context.cursor.rows(query.duckdb_sql)
    first = next(batches, [])  # an error in the query is raised here

    def rows() -> Iterator[list[Row]]:
        batch = first
        while batch:
            yield [[text(value, type) for value, type in zip(row, types, strict=True)] for row in batch]
            batch = next(batches, [])

    return Outcome(query.columns, rows(), header=True)
