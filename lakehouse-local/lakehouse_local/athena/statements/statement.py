"""One statement: told apart by its leading words, read before it is accepted, then carried out."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse_local.athena.statements import select as queries
from lakehouse_local.athena.statements import writes
from lakehouse_local.athena.ddl import alter, databases, partitions, show, tables
from lakehouse_local.athena.ddl.syntax import Parser
from lakehouse_local.athena.results.outcome import Outcome
from lakehouse_local.athena.statements.statement_context import Session
from lakehouse_local.athena.sql import SqlError
from lakehouse_local.athena.sql.grammar import parse, without_semicolon
from lakehouse_local.athena.ddl.tokens import Reader, tokens

# Statements that Athena reads itself, past Trino's grammar: leading words -> who reads on.
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

# What runs a statement of Trino's grammar: its text, its tree, the session, the parameters.
_Execute = Callable[[str, Any, Session, Sequence[str]], Outcome]


def _refuse_iceberg(sql: str, tree: Any, session: Session, parameters: Sequence[str]) -> Outcome:
    raise SqlError(
        "NOT_SUPPORTED",
        "MERGE, UPDATE, DELETE, OPTIMIZE and VACUUM are of Iceberg tables, which are not served locally yet",
    )


# The grammar's name for a statement -> Athena's kinds, and who carries it out
_TRINO: dict[str, tuple[str, str, _Execute]] = {
    "StatementDefault": ("DML", "SELECT", queries.select),
    "CreateTableAsSelect": ("DDL", "CREATE_TABLE_AS_SELECT", writes.create_table_as),
    "CreateView": ("DDL", "CREATE_VIEW", queries.create_view),
    "InsertInto": ("DML", "INSERT", writes.insert),
    "Explain": ("DML", "EXPLAIN", queries.explain),
    "ExplainAnalyze": ("DML", "EXPLAIN", queries.explain),
    "Merge": ("DML", "MERGE", _refuse_iceberg),
    "Update": ("DML", "UPDATE", _refuse_iceberg),
    "Delete": ("DML", "DELETE", _refuse_iceberg),
}


@dataclass(frozen=True)
class Statement:
    """A statement that was accepted: its kind in Athena's words, and what carries it out.

    :ivar run: raises SqlError with which the execution FAILED, Cancelled when it was stopped
    """

    kind: str
    subkind: str
    run: Callable[[Session], Outcome]


def accept(sql: str, parameters: Sequence[str] = ()) -> Statement:
    """Read a statement.

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
        return _of("DDL", leading[0], _refuse_iceberg, sql, None, parameters)
    if leading[0] == "UNLOAD":
        body, _, _ = writes.unload_parts(sql)
        parse(body)
        return _of("DML", "UNLOAD", writes.unload, sql, None, parameters)
    tree = parse(without_semicolon(sql)).statement()
    name = type(tree).__name__.removesuffix("Context")
    if name not in _TRINO:
        words = tuple(re.findall(r"[A-Z][a-z]*", name))
        raise SqlError("SYNTAX_ERROR", f"line 1:1: {' '.join(words).upper()} is not a statement of Athena")
    return _of(*_TRINO[name], sql, tree, parameters)


def _own(sql: str, parser: Parser, words: tuple[str, ...]) -> Statement:
    reader = Reader(sql)
    reader.need(*words)
    command = parser(reader)
    return Statement(command.kind, command.subkind, lambda session: command.run(session.binding))


def _of(kind: str, subkind: str, execute: _Execute, sql: str, tree: Any, parameters: Sequence[str]) -> Statement:
    return Statement(kind, subkind, lambda session: execute(sql, tree, session, tuple(parameters)))


def _head(sql: str) -> str:
    at = 0
    while match := _COMMENTS.match(sql, at):
        at = match.end()
    return sql[at : at + _HEAD]


def _is_ctas(sql: str) -> bool:
    """Whether AS stands outside of all brackets, which no Hive table has there but in STORED AS and NULL DEFINED AS."""
    depth, before = 0, ""
    for token in tokens(sql[:20_000]):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.kind == "word":
            if token.text.upper() == "AS" and before not in ("STORED", "DEFINED"):
                return True
            before = token.text.upper()
    return False
