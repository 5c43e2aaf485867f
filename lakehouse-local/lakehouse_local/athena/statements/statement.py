"""A statement that Athena accepted, and the surroundings in which it is carried out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse_local.athena.binding import Binding
from lakehouse_local.athena.engine import Cursor
from lakehouse_local.athena.results.outcome import Outcome
from lakehouse_local.athena.sql import Column, SqlError
from lakehouse_local.athena.sql.compile.tree import name_of, names_of, position


@dataclass
class StatementContext:
    """The surroundings of one query execution.

    :ivar binding: the Data Catalog with the execution's default database
    :ivar output: the folder of the query's results, with a slash at the end
    :ivar enforced: the work group decides where data goes
    """

    execution_id: str
    binding: Binding
    output: str
    enforced: bool = False

    @property
    def cursor(self) -> Cursor:
        return self.binding.cursor


@dataclass(frozen=True)
class Statement:
    """An accepted statement: Athena's StatementType and SubstatementType, and the function that carries it out.

    :ivar run: raises SqlError when the execution FAILED, Cancelled when it was stopped
    """

    type: str
    subtype: str
    run: Callable[[StatementContext], Outcome]


def qualified_name(node: Any) -> tuple[str | None, str | None, str]:
    """Return catalog, schema and table of a qualified name in the grammar's tree.

    :raises SqlError: SYNTAX_ERROR for more than three parts
    """
    parts = names_of(node)
    if len(parts) > 3:
        raise SqlError("SYNTAX_ERROR", f"{position(node)}Too many dots in table name: {'.'.join(parts)}")
    catalog, schema, table = (None, None, None, *parts)[-3:]
    assert table is not None
    return catalog, schema, table


def column_aliases(node: Any) -> list[str] | None:
    """Return the column names in brackets after a table's name, or None."""
    aliases = node.columnAliases()
    return [name_of(each) for each in aliases.identifier()] if aliases else None


def check_columns(columns: Sequence[Column]) -> None:
    """Refuse columns that no new table or view can have.

    :raises SqlError: MISSING_COLUMN_NAME, COLUMN_TYPE_UNKNOWN, DUPLICATE_COLUMN_NAME
    """
    seen: set[str] = set()
    for place, column in enumerate(columns, 1):
        if not column.name or (column.name.startswith("_col") and column.name[4:].isdigit()):
            raise SqlError("MISSING_COLUMN_NAME", f"line 1:1: Column name not specified at position {place}")
        if column.type == "unknown":
            message = f"line 1:1: Column type is unknown at position {place}: {column.name}"
            raise SqlError("COLUMN_TYPE_UNKNOWN", message)
        if column.name.lower() in seen:
            raise SqlError("DUPLICATE_COLUMN_NAME", f"line 1:1: Column name '{column.name}' specified more than once")
        seen.add(column.name.lower())
