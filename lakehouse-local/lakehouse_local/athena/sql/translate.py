"""One query of Trino's, as DuckDB runs it."""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse_local.athena.sql.compile import calls, json_calls, predicates  # noqa: F401  # their handlers
from lakehouse_local.athena.sql.compile.queries import Queries, Statement, query_of
from lakehouse_local.athena.sql.grammar import parse, without_semicolon
from lakehouse_local.athena.sql.relations import Catalogue, Column, Query


def translate(sql: str, catalogue: Catalogue, parameters: Sequence[str] = ()) -> Query:
    """A SELECT, WITH, VALUES or TABLE query for DuckDB.

    :param sql: the query, as Athena takes it
    :param catalogue: where its tables are found
    :param parameters: for each question mark the text of an expression
    :raises SqlError: where Trino refuses it, under Trino's name for that
    """
    tree = parse(without_semicolon(sql))
    statement = Statement(parameters)
    statement.count_marks(tree)
    compiled = Queries(catalogue, statement).query(query_of(tree), None)
    columns = tuple(
        Column(each.name if each.name is not None else f"_col{at}", str(each.type))
        for at, each in enumerate(compiled.outputs)
    )
    return Query(statement.finished(compiled.sql), columns)
