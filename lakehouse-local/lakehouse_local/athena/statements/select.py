"""What reads: SELECT and its kin, EXPLAIN; and CREATE VIEW, which keeps a query."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from lakehouse_local.athena import views
from lakehouse_local.athena.results.outcome import Outcome, Row
from lakehouse_local.athena.statements.statement_context import Session, check_columns, qualified_name, text_of, translated
from lakehouse_local.athena.sql import Column, SqlError, columns_of, text, translate


def select(sql: str, tree: Any, session: Session, parameters: Sequence[str]) -> Outcome:
    query = translate(sql, session.binding, parameters)
    batches = session.cursor.rows(query.duckdb_sql)
    first = next(batches, [])
    columns = columns_of(session.cursor.description, query)
    types = [column.type for column in columns]

    def rows() -> Iterator[list[Row]]:
        batch = first
        while batch:
            yield [[text(value, of) for value, of in zip(row, types, strict=True)] for row in batch]
            batch = next(batches, [])

    return Outcome(columns, rows(), header=True)


def explain(sql: str, tree: Any, session: Session, parameters: Sequence[str]) -> Outcome:
    """The plan is DuckDB's own: Athena's names stages and exchanges that are not here."""
    options = {option.getText().upper() for option in getattr(tree, "explainOption", list)()}
    inner = text_of(sql, tree.statement())
    query, _ = translated(inner, session, parameters)
    if "TYPEVALIDATE" in options:
        return Outcome((Column("Valid", "boolean"),), [[["true"]]])
    words = "EXPLAIN ANALYZE" if tree.getText().upper().startswith("EXPLAINANALYZE") else "EXPLAIN"
    if "FORMATJSON" in options:
        words = "EXPLAIN (FORMAT json)"
    plan = session.cursor.all(f"{words} {query}")
    lines: list[Row] = [[line] for _, shown in plan for line in str(shown).splitlines()]
    return Outcome((Column("Query Plan", "varchar"),), [lines])


def create_view(sql: str, tree: Any, session: Session, parameters: Sequence[str]) -> Outcome:
    binding = session.binding
    database, name = binding.name(*qualified_name(tree.qualifiedName()))
    binding.require_database(database)
    body = text_of(sql, tree.query())
    _, columns = translated(body, replace(session, binding=binding.without_files()))
    check_columns(columns)
    before = binding.find(database, name)
    is_view = before is not None and before.get("TableType") == "VIRTUAL_VIEW"
    if before is not None and (tree.REPLACE() is None or not is_view):
        kind = "View" if is_view else "Table"
        raise SqlError("ALREADY_EXISTS", f"line 1:1: {kind} already exists: 'awsdatacatalog.{database}.{name}'")
    given = views.table_input(name, body, columns, catalog="awsdatacatalog", schema=binding.database)
    if before is None:
        binding.catalog.create_table(database, given)
    else:
        binding.catalog.update_table(database, given)
    return Outcome()
