"""INSERT INTO.

Source: https://docs.aws.amazon.com/athena/latest/ug/insert-into.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakehouse_local.athena.binding import CATALOG, columns_of, keys_of, require_supported
from lakehouse_local.athena.files import formats
from lakehouse_local.athena.results.outcome import ROWS, Outcome
from lakehouse_local.athena.sql import Column, SqlError, translate
from lakehouse_local.athena.sql.types import common_type, parse_type
from lakehouse_local.athena.statements.statement import StatementContext, column_aliases, qualified_name
from lakehouse_local.athena.writing import Source, Target, add_partitions, put


def insert(tree: Any, parameters: Sequence[str], context: StatementContext) -> Outcome:
    """Add a query's rows to a table, in new files and, where the table lacks them, new partitions."""
    binding = context.binding
    database, name = binding.name(*qualified_name(tree.qualifiedName()))
    table = binding.table(database, name)
    if table.get("TableType") == "VIRTUAL_VIEW":
        label = f"{CATALOG}.{database}.{name}"
        raise SqlError("NOT_SUPPORTED", f"line 1:1: Inserting into views is not supported: {label}")
    require_supported(table)
    storage = table["StorageDescriptor"]
    if storage.get("BucketColumns"):
        # https://docs.aws.amazon.com/athena/latest/ug/insert-into.html: "not supported on bucketed tables"
        raise SqlError("NOT_SUPPORTED", f"INSERT INTO is not supported on bucketed tables: {database}.{name}")
    columns, keys = columns_of(table), keys_of(table)
    query = translate(tree.query(), binding, parameters)
    filled = sources(table, column_aliases(tree), query.columns)
    format = formats.of_storage(storage, f"{database}.{name}")
    serde = storage.get("SerdeInfo", {}).get("Parameters", {})
    compression = formats.compression(format, table.get("Parameters", {}).get("write.compression"))
    target = Target(storage["Location"].rstrip("/"), format, columns, keys, compression, serde)
    existing = {
        tuple(values): partition["Location"].rstrip("/") for values, partition in binding.partitions(table, keys)
    }
    with put(binding.store, context.cursor, query.duckdb_sql, target, filled, existing) as written:
        new = {values: location for values, location in written.partitions.items() if values not in existing}
        add_partitions(binding.catalog, database, name, storage, new)
    return Outcome(ROWS, written=written.rows, files=written.files)


def sources(table: dict[str, Any], names: Sequence[str] | None, query: Sequence[Column]) -> list[Source]:
    """Return for each of a table's columns, and then its keys, the query's column that fills it.

    :param names: the columns that INSERT names; None for all
    :raises SqlError: COLUMN_NOT_FOUND, DUPLICATE_COLUMN_NAME, TYPE_MISMATCH
    """
    columns = (*columns_of(table), *keys_of(table))
    listed = [name.lower() for name in names] if names is not None else [column.name for column in columns]
    known = {column.name: column.type for column in columns}
    for name in listed:
        if name not in known:
            raise SqlError("COLUMN_NOT_FOUND", f"line 1:1: Insert column name does not exist in target table: {name}")
        if listed.count(name) > 1:
            raise SqlError("DUPLICATE_COLUMN_NAME", f"line 1:1: Insert column name is specified more than once: {name}")
    types = [known[name] for name in listed]
    if len(types) != len(query) or not all(
        common_type(parse_type(column.type), parse_type(type)) for column, type in zip(query, types, strict=True)
    ):
        raise SqlError(
            "TYPE_MISMATCH",
            f"line 1:1: Insert query has mismatched column types: Table: [{', '.join(types)}], "
            f"Query: [{', '.join(column.type for column in query)}]",
        )
    places: dict[str, Source] = {name: (f"c{at}", query[at].type) for at, name in enumerate(listed)}
    return [places.get(column.name, ("NULL", None)) for column in columns]
