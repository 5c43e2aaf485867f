"""The translation of one query of Trino's to DuckDB's SQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakehouse_local.athena.sql.compile import calls, json_calls, predicates  # noqa: F401  # their handlers
from lakehouse_local.athena.sql.compile.queries import Queries, Translation, query_of
from lakehouse_local.athena.sql.relations import Catalogue, Column, Query


def translate(tree: Any, catalogue: Catalogue, parameters: Sequence[str] = ()) -> Query:
    """Translate a SELECT, WITH, VALUES or TABLE query to DuckDB's SQL.

    :param tree: the parsed query, or the parsed statement that is nothing but a query (:func:`.grammar.parse`)
    :param catalogue: the catalogue of its tables and views
    :param parameters: for each question mark the text of an expression
    :raises SqlError: if Trino refuses it, with Trino's error name
    """
    translation = Translation(parameters)
    translation.count_marks(tree)
    compiled = Queries(catalogue, translation).query(query_of(tree), None)
    columns = tuple(
        Column(each.name if each.name is not None else f"_col{at}", str(each.type))
        for at, each in enumerate(compiled.outputs)
    )
    return Query(translation.finished(compiled.sql), columns, tuple(translation.reads(compiled.sql)))
