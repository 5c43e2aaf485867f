"""One query of Trino's, as DuckDB runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakehouse_local.athena.sql.compile import calls, json_calls, predicates  # noqa: F401  # their handlers
from lakehouse_local.athena.sql.compile.queries import Queries, Statement, query_of
from lakehouse_local.athena.sql.relations import Catalogue, Column, Query


def translate(tree: Any, catalogue: Catalogue, parameters: Sequence[str] = ()) -> Query:
    """Return a SELECT, WITH, VALUES or TABLE query for DuckDB.

    :param tree: the parsed query, or the parsed statement that is nothing but a query (:func:`.grammar.parse`)
    :param catalogue: the tables that it may name
    :param parameters: for each question mark the text of an expression
    :raises SqlError: where Trino refuses it, under Trino's name for that
    """
    statement = Statement(parameters)
    statement.count_marks(tree)
    compiled = Queries(catalogue, statement).query(query_of(tree), None)
    columns = tuple(
        Column(each.name if each.name is not None else f"_col{at}", str(each.type))
        for at, each in enumerate(compiled.outputs)
    )
    return Query(statement.finished(compiled.sql), columns)
