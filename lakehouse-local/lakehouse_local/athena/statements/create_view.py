"""CREATE [OR REPLACE] VIEW."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakehouse_local.athena import views
from lakehouse_local.athena.binding import CATALOG
from lakehouse_local.athena.results.outcome import Outcome
from lakehouse_local.athena.sql import SqlError, translate
from lakehouse_local.athena.sql.compile.tree import shown
from lakehouse_local.athena.statements.statement import StatementContext, check_columns, qualified_name


def create_view(tree: Any, parameters: Sequence[str], context: StatementContext) -> Outcome:
    """Check a view's query without reading a file, and keep its text in the Data Catalog."""
    binding = context.binding
    database, name = binding.name(*qualified_name(tree.qualifiedName()))
    binding.require_database(database)
    columns = translate(tree.query(), binding.without_files()).columns
    check_columns(columns)
    before = binding.find(database, name)
    is_view = before is not None and before.get("TableType") == "VIRTUAL_VIEW"
    if before is not None and (tree.REPLACE() is None or not is_view):
        kind = "View" if is_view else "Table"
        raise SqlError("ALREADY_EXISTS", f"line 1:1: {kind} already exists: '{CATALOG}.{database}.{name}'")
    view = views.table_input(name, shown(tree.query()), columns, catalog=CATALOG, schema=binding.database)
    if before is None:
        binding.catalog.create_table(database, view)
    else:
        binding.catalog.update_table(database, view)
    return Outcome()
