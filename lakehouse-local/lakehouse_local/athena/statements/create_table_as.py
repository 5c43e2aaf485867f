"""CREATE TABLE AS.

Source: https://docs.aws.amazon.com/athena/latest/ug/create-table-as.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakehouse_local.athena.binding import CATALOG
from lakehouse_local.athena.files import formats
from lakehouse_local.athena.results.outcome import ROWS, Outcome
from lakehouse_local.athena.sql import Column, SqlError, hive_type, translate
from lakehouse_local.athena.statements import table_properties
from lakehouse_local.athena.statements.statement import (
    StatementContext,
    check_columns,
    column_aliases,
    qualified_name,
)
from lakehouse_local.athena.writing import Target, Written, add_partitions, in_order, put, require_empty


def create_table_as(tree: Any, parameters: Sequence[str], context: StatementContext) -> Outcome:
    """Write a query's rows and register them as a table; without both, neither stays."""
    binding = context.binding
    database, name = binding.name(*qualified_name(tree.qualifiedName()))
    binding.require_database(database)
    properties = table_properties.of_table(tree)
    if binding.find(database, name) is not None:
        if tree.EXISTS() is not None:
            return Outcome(ROWS, files=[])
        raise SqlError("ALREADY_EXISTS", f"line 1:1: Table '{CATALOG}.{database}.{name}' already exists")
    query = translate(tree.query(), binding, parameters)
    columns = _renamed(query.columns, column_aliases(tree))
    check_columns(columns)
    label = f"table '{database}.{name}'"
    target = table_properties.target(properties, columns, context, label)
    _hive_columns(columns)  # refuses types that Hive lacks, before anything is written
    require_empty(binding.store, target.location, label)
    rows = query.duckdb_sql
    if tree.DATA() is not None and tree.NO() is not None:
        rows = f"SELECT * FROM ({rows}) LIMIT 0"
    with put(binding.store, context.cursor, rows, target, in_order(columns)) as written:
        _register(context, database, name, target, written)
    return Outcome(ROWS, written=written.rows, files=written.files)


def _renamed(columns: tuple[Column, ...], names: list[str] | None) -> tuple[Column, ...]:
    if names is None:
        return columns
    if len(names) != len(columns):
        raise SqlError(
            "MISMATCHED_COLUMN_ALIASES",
            f"line 1:1: Column alias list has {len(names)} entries but relation has {len(columns)} columns",
        )
    return tuple(Column(name, column.type) for name, column in zip(names, columns, strict=True))


def _hive_columns(columns: Sequence[Column]) -> list[dict[str, str]]:
    return [{"Name": column.name.lower(), "Type": hive_type(column.type)} for column in columns]


def _register(context: StatementContext, database: str, name: str, target: Target, written: Written) -> None:
    storage = formats.storage(target.format, _hive_columns(target.columns), target.location, **target.serde)
    if target.buckets[0]:
        storage |= {"BucketColumns": list(target.buckets[0]), "NumberOfBuckets": target.buckets[1]}
    table = {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": _hive_columns(target.keys),
        "StorageDescriptor": storage,
        "Parameters": {"EXTERNAL": "TRUE", "has_encrypted_data": "false"},
    }
    catalog = context.binding.catalog
    with catalog.change():
        catalog.create_table(database, table)
        add_partitions(catalog, database, name, storage, written.partitions)
