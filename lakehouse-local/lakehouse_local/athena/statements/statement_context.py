"""What carrying out a statement needs, and what the statements of Trino's grammar have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse_local.athena.binding import Binding
from lakehouse_local.athena.engine import Cursor
from lakehouse_local.athena.sql import Column, Query, SqlError, columns_of, translate


@dataclass
class Session:
    """One execution's surroundings.

    :ivar output: the folder of the query's results, with a slash at the end
    :ivar enforced: whether the work group has the say where data goes
    """

    execution_id: str
    binding: Binding
    cursor: Cursor
    output: str
    enforced: bool = False


def translated(sql: str, session: Session, parameters: Sequence[str] = ()) -> tuple[str, tuple[Column, ...]]:
    """A query as DuckDB runs it, and its columns, before it runs."""
    query: Query = translate(sql, session.binding, parameters)
    if query.columns is not None:
        return query.duckdb_sql, query.columns
    empty = session.cursor.run(f"SELECT * FROM ({query.duckdb_sql}) LIMIT 0")
    return query.duckdb_sql, columns_of(empty.description, query)


def text_of(sql: str, node: Any) -> str:
    """The text from which a node of the grammar's tree was made."""
    return sql[node.start.start : node.stop.stop + 1]


def identifier(node: Any) -> str:
    """An identifier of the grammar's without its quotes."""
    written = str(node.getText())
    return written[1:-1].replace('""', '"') if written.startswith('"') else written


def qualified_name(node: Any) -> tuple[str | None, str | None, str]:
    """Catalog, schema and table of a name in the grammar's tree."""
    parts = [identifier(part) for part in node.identifier()]
    if len(parts) > 3:
        at = f"line {node.start.line}:{node.start.column + 1}"
        raise SqlError("SYNTAX_ERROR", f"{at}: Too many dots in table name: {'.'.join(parts)}")
    catalog, schema, table = (None, None, None, *parts)[-3:]
    assert table is not None
    return catalog, schema, table


def column_aliases(node: Any) -> list[str] | None:
    """The column names in brackets after a table's name, or None."""
    aliases = node.columnAliases()
    return [identifier(each) for each in aliases.identifier()] if aliases else None


def check_columns(columns: Sequence[Column]) -> None:
    """Refuse columns that no new table or view can have.

    :raises SqlError: MISSING_COLUMN_NAME, COLUMN_TYPE_UNKNOWN, DUPLICATE_COLUMN_NAME
    """
    seen: set[str] = set()
    for position, column in enumerate(columns, 1):
        if not column.name or (column.name.startswith("_col") and column.name[4:].isdigit()):
            raise SqlError("MISSING_COLUMN_NAME", f"line 1:1: Column name not specified at position {position}")
        if column.type == "unknown":
            raise SqlError(
                "COLUMN_TYPE_UNKNOWN", f"line 1:1: Column type is unknown at position {position}: {column.name}"
            )
        if column.name.lower() in seen:
            raise SqlError("DUPLICATE_COLUMN_NAME", f"line 1:1: Column name '{column.name}' specified more than once")
        seen.add(column.name.lower())
