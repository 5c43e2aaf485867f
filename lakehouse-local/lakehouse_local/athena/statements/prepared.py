"""PREPARE, EXECUTE and DEALLOCATE PREPARE: statements on the prepared statements of a work group.

Source: https://docs.aws.amazon.com/athena/latest/ug/querying-with-prepared-statements.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lakehouse_local.athena.ddl.tokens import Reader, tokens
from lakehouse_local.athena.results.outcome import Outcome
from lakehouse_local.athena.saved_statements import SavedStatements
from lakehouse_local.athena.statements.accept import accept
from lakehouse_local.athena.statements.statement import Statement, StatementContext


def accept_in_group(sql: str, parameters: Sequence[str], saved: SavedStatements, group: str) -> Statement:
    """Classify and parse a statement, which may name a prepared statement of the work group.

    :param parameters: ExecutionParameters; they follow those of USING
    :raises SqlError: SYNTAX_ERROR
    :raises AwsError: ResourceNotFoundException for a prepared statement that does not exist
    """
    reader = Reader(sql)
    if reader.take("EXECUTE"):
        name = reader.pop().value
        used = _split(reader.rest()) if reader.take("USING") else []
        return accept(saved.prepared(name, group)["QueryStatement"], [*used, *parameters])
    if reader.take("PREPARE"):
        name = reader.pop().value
        reader.need("FROM")
        body = reader.rest()
        accept(body)
        return _on_saved("PREPARE", lambda: saved.put_prepared(name, group, body))
    if reader.take("DEALLOCATE", "PREPARE"):
        name = reader.pop().value
        reader.end()
        return _on_saved("DEALLOCATE", lambda: saved.drop_prepared(name, group))
    return accept(sql, parameters)


def _on_saved(subtype: str, change: Callable[[], None]) -> Statement:
    def run(_: StatementContext) -> Outcome:
        change()
        return Outcome()

    return Statement("DDL", subtype, run)


def _split(values: str) -> list[str]:
    """Split the parameters after USING at the commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for token in tokens(values):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(token.text, 0)
        if token.text == "," and depth == 0:
            parts.append(values[start : token.start].strip())
            start = token.end
    return [*parts, values[start:].strip()]
