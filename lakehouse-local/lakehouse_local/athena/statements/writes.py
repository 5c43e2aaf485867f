"""Statements that write data: CREATE TABLE AS, INSERT INTO, UNLOAD."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakehouse_local.athena.files import formats
from lakehouse_local.athena.statements import table_properties
from lakehouse_local.athena.binding import CATALOG, Table, columns_of, keys_of, require_served
from lakehouse_local.athena.results.outcome import ROWS, Outcome
from lakehouse_local.athena.statements.statement_context import Session, check_columns, column_aliases, qualified_name, text_of, translated
from lakehouse_local.athena.sql import Column, SqlError, hive_type
from lakehouse_local.athena.sql.types import common_type, parse_type
from lakehouse_local.athena.ddl.tokens import Reader
from lakehouse_local.athena.writing import Target, Written, put, require_empty

Source = tuple[str, str | None]  # an expression over the query's columns, and its type (None: it is NULL)


def create_table_as(sql: str, tree: Any, session: Session, parameters: Sequence[str]) -> Outcome:
    binding = session.binding
    database, name = binding.name(*qualified_name(tree.qualifiedName()))
    binding.require_database(database)
    properties = table_properties.of_table(sql, tree)
    if binding.find(database, name) is not None:
        if tree.EXISTS() is not None:
            return Outcome(ROWS, files=[])
        raise SqlError("ALREADY_EXISTS", f"line 1:1: Table '{CATALOG}.{database}.{name}' already exists")
    query, columns = translated(text_of(sql, tree.query()), session, parameters)
    columns = _renamed(columns, column_aliases(tree))
    check_columns(columns)
    label = f"table '{database}.{name}'"
    target = table_properties.target(properties, columns, session, label)
    hive_columns(columns)  # refuses types that Hive lacks, before anything is written
    require_empty(binding.store, target.location, label)
    if tree.DATA() is not None and tree.NO() is not None:
        query = f"SELECT * FROM ({query}) LIMIT 0"
    with put(binding.store, session.cursor, _numbered(query, columns), target, _in_order(columns)) as written:
        _register(session, database, name, target, written)
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


def _numbered(query: str, columns: Sequence[Column]) -> str:
    """The query with its columns named c0, c1, ..., whatever they are named."""
    return f"SELECT * FROM ({query}) numbered({', '.join(f'c{i}' for i in range(len(columns)))})"


def _in_order(columns: Sequence[Column]) -> list[Source]:
    return [(f"c{i}", column.type) for i, column in enumerate(columns)]


def hive_columns(columns: Sequence[Column]) -> list[dict[str, str]]:
    """Columns as the Glue catalogue keeps them."""
    return [{"Name": column.name.lower(), "Type": hive_type(column.type)} for column in columns]


def _register(session: Session, database: str, name: str, target: Target, written: Written) -> None:
    storage = formats.storage(target.format, hive_columns(target.columns), target.location, **target.serde)
    if target.buckets[0]:
        storage |= {"BucketColumns": list(target.buckets[0]), "NumberOfBuckets": target.buckets[1]}
    given = {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": hive_columns(target.keys),
        "StorageDescriptor": storage,
        "Parameters": {"EXTERNAL": "TRUE", "has_encrypted_data": "false"},
    }
    with session.binding.catalog.change():
        session.binding.catalog.create_table(database, given)
        _add_partitions(session, database, name, storage, written.partitions)


def _add_partitions(
    session: Session, database: str, name: str, storage: dict[str, Any], new: dict[tuple[str, ...], str]
) -> None:
    inputs = [
        {"Values": list(values), "StorageDescriptor": {**storage, "Location": location}}
        for values, location in new.items()
    ]
    if inputs:
        session.binding.catalog.create_partitions(database, name, inputs)


def insert(sql: str, tree: Any, session: Session, parameters: Sequence[str]) -> Outcome:
    binding = session.binding
    database, name = binding.name(*qualified_name(tree.qualifiedName()))
    table = binding.table(database, name)
    if table.get("TableType") == "VIRTUAL_VIEW":
        label = f"{CATALOG}.{database}.{name}"
        raise SqlError("NOT_SUPPORTED", f"line 1:1: Inserting into views is not supported: {label}")
    require_served(table)
    storage = table["StorageDescriptor"]
    if storage.get("BucketColumns"):
        # https://docs.aws.amazon.com/athena/latest/ug/insert-into.html: "not supported on bucketed tables"
        raise SqlError("NOT_SUPPORTED", f"INSERT INTO is not supported on bucketed tables: {database}.{name}")
    data, keys = columns_of(table), keys_of(table)
    query, given = translated(text_of(sql, tree.query()), session, parameters)
    sources = _sources((*data, *keys), column_aliases(tree), given)
    chosen = formats.of_storage(storage, f"{database}.{name}")
    serde = storage.get("SerdeInfo", {}).get("Parameters", {})
    compression = table.get("Parameters", {}).get("write.compression")
    target = Target(
        storage["Location"].rstrip("/"), chosen, data, keys, formats.compression(chosen, compression), serde
    )
    existing = {tuple(values): of["Location"].rstrip("/") for values, of in binding.partitions(table, keys)}
    with put(binding.store, session.cursor, _numbered(query, given), target, sources, existing) as written:
        new = {values: location for values, location in written.partitions.items() if values not in existing}
        _add_partitions(session, database, name, _own_storage(table), new)
    return Outcome(ROWS, written=written.rows, files=written.files)


def _own_storage(table: Table) -> dict[str, Any]:
    storage: dict[str, Any] = table["StorageDescriptor"]
    return storage


def _sources(every: Sequence[Column], names: Sequence[str] | None, given: Sequence[Column]) -> list[Source]:
    """For each of the table's columns, the query's column that fills it."""
    listed = [name.lower() for name in names] if names is not None else [column.name for column in every]
    known = {column.name: column.type for column in every}
    for name in listed:
        if name not in known:
            raise SqlError("COLUMN_NOT_FOUND", f"line 1:1: Insert column name does not exist in target table: {name}")
        if listed.count(name) > 1:
            raise SqlError("DUPLICATE_COLUMN_NAME", f"line 1:1: Insert column name is specified more than once: {name}")
    types = [known[name] for name in listed]
    if len(types) != len(given) or not all(
        common_type(parse_type(column.type), parse_type(of)) for column, of in zip(given, types, strict=True)
    ):
        raise SqlError(
            "TYPE_MISMATCH",
            f"line 1:1: Insert query has mismatched column types: Table: [{', '.join(types)}], "
            f"Query: [{', '.join(column.type for column in given)}]",
        )
    places: dict[str, Source] = {name: (f"c{i}", given[i].type) for i, name in enumerate(listed)}
    return [places.get(column.name, ("NULL", None)) for column in every]


def unload(sql: str, tree: Any, session: Session, parameters: Sequence[str]) -> Outcome:
    body, location, reader = unload_parts(sql)
    properties = table_properties.of_unload(reader)
    reader.end()
    query, columns = translated(body, session, parameters)
    own = Session(session.execution_id, session.binding, session.cursor, session.output)  # its place is its own to say
    target = table_properties.target({**properties, "external_location": location}, columns, own, "UNLOAD")
    require_empty(session.binding.store, target.location, "UNLOAD")
    with put(session.binding.store, session.cursor, _numbered(query, columns), target, _in_order(columns)) as written:
        pass
    return Outcome(ROWS, written=written.rows, files=written.files)


def unload_parts(sql: str) -> tuple[str, str, Reader]:
    """The query and the location of an UNLOAD, and the reader where its properties begin.

    :raises SqlError: SYNTAX_ERROR
    """
    reader = Reader(sql)
    reader.need("UNLOAD", "(")
    body = reader.until_closing()
    reader.need("TO")
    location = reader.string()
    reader.need("WITH", "(")
    return body, location, reader
