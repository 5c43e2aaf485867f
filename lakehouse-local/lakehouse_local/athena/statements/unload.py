"""UNLOAD: Athena's own statement around a query of Trino's grammar.

Source: https://docs.aws.amazon.com/athena/latest/ug/unload.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from lakehouse_local.athena.ddl.tokens import Reader
from lakehouse_local.athena.results.outcome import ROWS, Outcome
from lakehouse_local.athena.sql import translate
from lakehouse_local.athena.sql.grammar import parse
from lakehouse_local.athena.statements import table_properties
from lakehouse_local.athena.statements.statement import StatementContext
from lakehouse_local.athena.writing import in_order, put, require_empty


@dataclass(frozen=True)
class UnloadParts:
    """The parts of an UNLOAD.

    :ivar query: the tree of the query
    :ivar location: the folder that the rows are written to
    :ivar properties: stands before the first property of WITH (...)
    """

    query: Any
    location: str
    properties: Reader


def read_unload(sql: str) -> UnloadParts:
    """Read an UNLOAD up to its properties, which are checked when it runs.

    :raises SqlError: SYNTAX_ERROR
    """
    reader = Reader(sql)
    reader.need("UNLOAD", "(")
    query = reader.until_closing()
    reader.need("TO")
    location = reader.string()
    reader.need("WITH", "(")
    return UnloadParts(parse(query), location, reader)


def unload(parts: UnloadParts, parameters: Sequence[str], context: StatementContext) -> Outcome:
    """Write a query's rows into a folder that is empty."""
    properties = table_properties.of_unload(parts.properties)
    parts.properties.end()
    query = translate(parts.query, context.binding, parameters)
    # A work group that decides where tables go does not decide it for UNLOAD.
    target = table_properties.target(
        {**properties, "external_location": parts.location}, query.columns, replace(context, enforced=False), "UNLOAD"
    )
    require_empty(context.binding.store, target.location, "UNLOAD")
    with put(context.binding.store, context.cursor, query.duckdb_sql, target, in_order(query.columns)) as written:
        pass
    return Outcome(ROWS, written=written.rows, files=written.files)
