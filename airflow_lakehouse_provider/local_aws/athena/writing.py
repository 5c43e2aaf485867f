"""Statements that write data: CREATE TABLE AS, INSERT INTO, UNLOAD. Staged first, then put in place, or nothing at all."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from airflow_lakehouse_provider.local_aws.athena import formats
from airflow_lakehouse_provider.local_aws.athena.binding import NULL_PARTITION, Binding, columns_of, keys_of
from airflow_lakehouse_provider.local_aws.athena.engine import Cursor
from airflow_lakehouse_provider.local_aws.athena.formats import Format, identifier
from airflow_lakehouse_provider.local_aws.athena.sql import Column, Query, SqlError, hive_type
from airflow_lakehouse_provider.local_aws.athena.sql.types import INTEGERS, coerces, duckdb_type, parse_type
from airflow_lakehouse_provider.local_aws.s3 import ObjectStore, place, remove, split_uri

# Athena: "Athena supports writing to 100 unique partition and bucket combinations at once."
OPEN_PARTITIONS = 100
_NUMBERS = {*INTEGERS, "decimal", "real", "double"}
_PATH_SAFE = " !$&()+,-.;<>@[]_`{|}~"  # Hive escapes the rest of what is not a letter or a digit


@dataclass(frozen=True)
class Target:
    """How rows are to be written.

    :ivar location: the table's `s3://...` without a slash at the end
    :ivar buckets: columns and number of buckets
    """

    location: str
    format: Format
    columns: tuple[Column, ...]
    keys: tuple[Column, ...] = ()
    compression: str = ""
    delimiter: str = "\1"
    buckets: tuple[tuple[str, ...], int] = ((), 1)


@dataclass
class Written:
    """What was put in place: files, rows, and the partitions they belong to (values -> location)."""

    files: list[str] = field(default_factory=list)
    rows: int = 0
    partitions: dict[tuple[str, ...], str] = field(default_factory=dict)


class Rows:
    """A query's rows in a temporary table of its cursor, with their columns."""

    def __init__(self, cursor: Cursor, query: Query, columns: Sequence[Column]) -> None:
        self.cursor = cursor
        self.columns = tuple(columns)
        names = ", ".join(f"c{i}" for i in range(len(self.columns)))
        cursor.run(f"CREATE TEMP TABLE written ({names}) AS {query.duckdb_sql}")
        cursor.count_bytes()

    def count(self) -> int:
        return int(self.cursor.run("SELECT count(*) FROM written").fetchone()[0])


@contextlib.contextmanager
def put(store: ObjectStore, rows: Rows, target: Target, sources: Sequence[str | None],
        existing: dict[tuple[str, ...], str] | None = None) -> Iterator[Written]:  # fmt: skip
    """Write the rows; the files go again if the block that records them fails.

    :param sources: for each of the target's columns and then its keys, the expression over `written` (None: NULL)
    :param existing: locations of partitions that are there already
    """
    existing = existing or {}
    data = list(zip(target.columns, sources[: len(target.columns)], strict=True))
    keys = list(zip(target.keys, sources[len(target.columns) :], strict=True))
    groups = _groups(rows.cursor, keys)
    columns, buckets = target.buckets
    if len(groups) * buckets > OPEN_PARTITIONS:
        raise SqlError(
            "HIVE_TOO_MANY_OPEN_PARTITIONS",
            f"Exceeded limit of {OPEN_PARTITIONS} open writers for partitions/buckets. "
            f"TOO_MANY_OPEN_PARTITIONS: the query writes {len(groups) * buckets}",
        )
    options = formats.copy_options(target.format, compression=target.compression, delimiter=target.delimiter)
    suffix = ".gz" if target.compression == "gzip" and target.format is not formats.PARQUET else ""
    staged: list[tuple[Path, str]] = []
    placed: list[str] = []
    written = Written()
    names = {column.name: source for column, source in data}
    try:
        for values, condition in groups:
            folder = "/".join(f"{key.name}={_path(value)}" for (key, _), value in zip(keys, values, strict=True))
            location = existing.get(values, f"{target.location}/{folder}".rstrip("/"))
            if keys:
                written.partitions[values] = location
            for bucket in range(buckets):
                wanted = condition
                if buckets > 1:
                    hashed = ", ".join(str(names[column]) for column in columns)
                    wanted = f"({condition}) AND hash({hashed}) % {buckets} = {bucket}"
                path = store.scratch_file()
                staged.append((path, f"{location}/{bucket:05d}_{uuid.uuid4()}{suffix}"))
                cast = ", ".join(
                    f"CAST({source or 'NULL'} AS {duckdb_type(parse_type(column.type))}) AS {identifier(column.name)}"
                    for column, source in data
                )
                copied = rows.cursor.run(
                    f"COPY (SELECT {cast} FROM written WHERE {wanted}) TO {formats.literal(str(path))} {options}"
                ).fetchone()
                written.rows += copied[0]
                if not copied[0]:
                    staged.pop()
                    path.unlink(missing_ok=True)
        rows.cursor.check()
        for path, uri in staged:
            place(path, store.path(uri))
            placed.append(uri)
        written.files = placed
        yield written
    except BaseException:
        for uri in placed:
            remove(store.path(uri), store.root / split_uri(uri)[0])
        raise
    finally:
        for path, _ in staged:
            path.unlink(missing_ok=True)


def _groups(cursor: Cursor, keys: Sequence[tuple[Column, str | None]]) -> list[tuple[tuple[str, ...], str]]:
    """The partitions among the rows: their values as Glue keeps them, and the condition that selects them."""
    if not keys:
        return [((), "true")]
    casts = [f"CAST({source or 'NULL'} AS {duckdb_type(parse_type(key.type))})" for key, source in keys]
    texts = [f"CAST({cast} AS VARCHAR)" for cast in casts]
    found = cursor.run(f"SELECT DISTINCT {', '.join(texts)} FROM written ORDER BY ALL LIMIT 10001").fetchall()
    groups = []
    for row in found:
        condition = " AND ".join(
            f"{text} IS NOT DISTINCT FROM {'NULL' if value is None else formats.literal(value)}"
            for text, value in zip(texts, row, strict=True)
        )
        groups.append((tuple(NULL_PARTITION if value is None else value for value in row), condition))
    return groups


def _path(value: str) -> str:
    return quote(value, safe=_PATH_SAFE)


def require_empty(store: ObjectStore, location: str, what: str) -> None:
    """Refuse to write where data lies.

    :raises SqlError: HIVE_PATH_ALREADY_EXISTS
    """
    if not store.bucket_exists(split_uri(location)[0]):
        raise SqlError("HIVE_FILESYSTEM_ERROR", f"The specified bucket does not exist: {location}")
    if store.objects(f"{location}/"):
        raise SqlError("HIVE_PATH_ALREADY_EXISTS", f"Target directory for {what} already exists: {location}")


def check_columns(columns: Sequence[Column]) -> None:
    """Columns that a new table can have.

    :raises SqlError: for one without a name or a type, or named twice
    """
    seen: set[str] = set()
    for position, column in enumerate(columns, 1):
        if column.name.startswith("_col") and column.name[4:].isdigit() or not column.name:
            raise SqlError("MISSING_COLUMN_NAME", f"line 1:8: Column name not specified at position {position}")
        if column.type == "unknown":
            raise SqlError("COLUMN_TYPE_UNKNOWN", f"line 1:1: Column type is unknown at position {position}: {column.name}")
        if column.name.lower() in seen:
            raise SqlError("DUPLICATE_COLUMN_NAME", f"line 1:1: Column name '{column.name}' specified more than once")
        seen.add(column.name.lower())


def hive_columns(columns: Sequence[Column]) -> list[dict[str, str]]:
    """Columns as the Glue catalogue keeps them."""
    return [{"Name": column.name.lower(), "Type": hive_type(column.type)} for column in columns]


def insert(binding: Binding, cursor: Cursor, table: dict[str, Any], names: Sequence[str] | None, rows: Rows) -> Written:
    """Append rows to a table, adding the partitions that are new.

    :param names: the columns that the statement lists, or None for all in order
    """
    data, keys = columns_of(table), keys_of(table)
    every = (*data, *keys)
    label = f"{table['DatabaseName']}.{table['Name']}"
    sources = _sources(label, every, names, rows.columns)
    storage = table["StorageDescriptor"]
    serde = storage.get("SerdeInfo", {}).get("Parameters", {})
    target = Target(
        storage["Location"].rstrip("/"), formats.format_of(storage, label), data, keys,
        delimiter=serde.get("field.delim", serde.get("separatorChar", "\1")),
    )  # fmt: skip
    existing = {
        tuple(values): storage_of["Location"].rstrip("/") for values, storage_of in binding.partitions(table, keys)
    }
    with put(binding.store, rows, target, sources, existing) as written:
        new = [
            {"Values": list(values), "StorageDescriptor": {**storage, "Location": location}}
            for values, location in written.partitions.items()
            if values not in existing
        ]
        if new:
            binding.catalog.create_partitions(table["DatabaseName"], table["Name"], new)
    return written


def _sources(label: str, every: Sequence[Column], names: Sequence[str] | None, given: Sequence[Column]) -> list[str | None]:
    listed = [name.lower() for name in names] if names is not None else [column.name for column in every]
    known = {column.name: column for column in every}
    for name in listed:
        if name not in known:
            raise SqlError("COLUMN_NOT_FOUND", f"line 1:1: Insert column name does not exist in target table: {name}")
        if listed.count(name) > 1:
            raise SqlError("DUPLICATE_COLUMN_NAME", f"line 1:1: Insert column name is specified more than once: {name}")
    types = [known[name].type for name in listed]
    if len(types) != len(given) or not all(
        _assignable(column.type, of) for column, of in zip(given, types, strict=True)
    ):
        raise SqlError(
            "TYPE_MISMATCH",
            f"line 1:1: Insert query has mismatched column types: Table: [{', '.join(types)}], "
            f"Query: [{', '.join(column.type for column in given)}]",
        )
    places = {name: f"c{i}" for i, name in enumerate(listed)}
    return [places.get(column.name) for column in every]


def _assignable(source: str, target: str) -> bool:
    """Whether a value may be stored in a column: by coercion, as text of any length, or as a number that fits."""
    a, b = parse_type(source), parse_type(target)
    return coerces(a, b) or a.name == b.name or (a.name in _NUMBERS and b.name in _NUMBERS)
