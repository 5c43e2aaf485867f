"""Statements classified by their leading words and parsed once; the tree travels to the function that runs it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from lakehouse_local.athena.ddl import alter, databases, partitions, show, tables
from lakehouse_local.athena.ddl.syntax import Parser
from lakehouse_local.athena.ddl.tokens import Reader, tokens
from lakehouse_local.athena.results.outcome import Outcome
from lakehouse_local.athena.sql import SqlError
from lakehouse_local.athena.sql.grammar import parse, without_semicolon
from lakehouse_local.athena.statements.create_table_as import create_table_as
from lakehouse_local.athena.statements.create_view import create_view
from lakehouse_local.athena.statements.explain import explain
from lakehouse_local.athena.statements.insert import insert
from lakehouse_local.athena.statements.select import select
from lakehouse_local.athena.statements.statement import Statement, StatementContext
from lakehouse_local.athena.statements.unload import read_unload, unload

# Statements that are not of Trino's grammar: leading words -> the function that reads on
_OWN: tuple[tuple[tuple[str, ...], Parser], ...] = (
    (("CREATE", "DATABASE"), databases.create),
    (("CREATE", "SCHEMA"), databases.create),
    (("DROP", "DATABASE"), databases.drop),
    (("DROP", "SCHEMA"), databases.drop),
    (("ALTER", "DATABASE"), databases.alter),
    (("ALTER", "SCHEMA"), databases.alter),
    (("DROP", "TABLE"), tables.drop_table),
    (("DROP", "VIEW"), tables.drop_view),
    (("ALTER", "TABLE"), alter.alter),
    (("MSCK", "REPAIR", "TABLE"), partitions.repair),
    (("SHOW", "DATABASES"), show.databases),
    (("SHOW", "SCHEMAS"), show.databases),
    (("SHOW", "TABLES"), show.tables),
    (("SHOW", "VIEWS"), show.show_views),
    (("SHOW", "COLUMNS"), show.columns),
    (("SHOW", "PARTITIONS"), show.partitions),
    (("SHOW", "TBLPROPERTIES"), show.properties),
    (("SHOW", "CREATE", "TABLE"), show.create_table),
    (("SHOW", "CREATE", "VIEW"), show.create_view),
    (("DESCRIBE",), show.describe),
    (("DESC",), show.describe),
)
_COMMENTS = re.compile(r"\s*(?:--[^\n]*(?:\n|$)|/\*.*?\*/)", re.DOTALL)
_HEAD = 400  # characters in which the leading words are found

# A function that carries out a statement: its tree (or parts), its parameters, its surroundings
_Execute = Callable[[Any, Sequence[str], StatementContext], Outcome]


def _refuse_iceberg(tree: Any, parameters: Sequence[str], context: StatementContext) -> Outcome:
    raise SqlError(
        "NOT_SUPPORTED",
        "MERGE, UPDATE, DELETE, OPTIMIZE and VACUUM are for Iceberg tables, "
        "which are not supported by the local AWS yet",
    )


# The grammar's name of a statement -> StatementType, SubstatementType, and the function that carries it out
_TRINO: dict[str, tuple[str, str, _Execute]] = {
    "StatementDefault": ("DML", "SELECT", select),
    "CreateTableAsSelect": ("DDL", "CREATE_TABLE_AS_SELECT", create_table_as),
    "CreateView": ("DDL", "CREATE_VIEW", create_view),
    "InsertInto": ("DML", "INSERT", insert),
    "Explain": ("DML", "EXPLAIN", explain),
    "ExplainAnalyze": ("DML", "EXPLAIN", explain),
    "Merge": ("DML", "MERGE", _refuse_iceberg),
    "Update": ("DML", "UPDATE", _refuse_iceberg),
    "Delete": ("DML", "DELETE", _refuse_iceberg),
}


def accept(sql: str, parameters: Sequence[str] = ()) -> Statement:
    """Classify and parse a statement.

    :param parameters: for each question mark the text of an expression
    :raises SqlError: SYNTAX_ERROR, for which StartQueryExecution refuses it
    """
    leading = [token.text.upper() for token in tokens(_head(sql))[:4]]
    if not leading:
        raise SqlError("SYNTAX_ERROR", "line 1:1: mismatched input '<EOF>'. Expecting: a statement")
    for words, parser in _OWN:
        if tuple(leading[: len(words)]) == words:
            return _own(sql, parser, words)
    if leading[:2] in (["CREATE", "EXTERNAL"], ["CREATE", "TABLE"]) and not _is_ctas(sql):
        return _own(sql, tables.create, ("CREATE",))
    if leading[0] in ("OPTIMIZE", "VACUUM"):
        return _statement("DDL", leading[0], _refuse_iceberg, None, parameters)
    if leading[0] == "UNLOAD":
        return _statement("DML", "UNLOAD", unload, read_unload(sql), parameters)
    tree = parse(without_semicolon(sql)).statement()
    name = type(tree).__name__.removesuffix("Context")
    if name not in _TRINO:
        words = tuple(re.findall(r"[A-Z][a-z]*", name))
        raise SqlError("SYNTAX_ERROR", f"line 1:1: {' '.join(words).upper()} is not a statement of Athena")
    return _statement(*_TRINO[name], tree, parameters)


def _own(sql: str, parser: Parser, words: tuple[str, ...]) -> Statement:
    reader = Reader(sql)
    reader.need(*words)
    command = parser(reader)
    return Statement(command.type, command.subtype, lambda context: command.run(context.binding))


def _statement(type: str, subtype: str, execute: _Execute, tree: Any, parameters: Sequence[str]) -> Statement:
    return Statement(type, subtype, lambda context: execute(tree, tuple(parameters), context))


def _head(sql: str) -> str:
    at = 0
    while match := _COMMENTS.match(sql, at):
        at = match.end()
    return sql[at : at + _HEAD]


def _is_ctas(sql: str) -> bool:
    """Return True if AS stands outside of all brackets: Hive tables have it there only in STORED AS and DEFINED AS."""
    depth, before = 0, ""
    for token in tokens(sql[:20_000]):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.kind == "word":
            if token.text.upper() == "AS" and before not in ("STORED", "DEFINED"):
                return True
            before = token.text.upper()
    return False
