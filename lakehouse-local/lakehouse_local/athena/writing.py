"""Writing rows into files for CREATE TABLE AS, INSERT INTO and UNLOAD: staged first, then all put in place or none."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from lakehouse_local.athena.engine import Cursor
from lakehouse_local.athena.files import formats
from lakehouse_local.athena.files.formats import Format, identifier, literal
from lakehouse_local.athena.files.text_serde import LazySimple, OpenCsv
from lakehouse_local.athena.sql import Column, SqlError
from lakehouse_local.athena.sql.errors import marked
from lakehouse_local.athena.sql.types import duckdb_type, parse_type
from lakehouse_local.athena.sql.types.casts import convert
from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.s3.store import ObjectStore, remove
from lakehouse_local.s3.uri import split_s3_uri

# Athena: "Athena supports writing to 100 unique partition and bucket combinations at once."
MAX_OPEN_PARTITIONS = 100

_BUCKET = "$bucket"
_LINE = "line"
_PATH_SAFE = " !$&()+,-.;<>@[]_`{|}~"  # Hive escapes the rest of what is not a letter or a digit

Values = tuple[str, ...]  # of a partition's keys
Source = tuple[str, str | None]  # an expression over a query's columns, and its type (None: it is NULL)


@dataclass(frozen=True)
class Target:
    """The place and the form of rows to be written.

    :ivar location: the table's `s3://...` without a slash at the end
    :ivar compression: DuckDB's name of it
    :ivar serde: the SerDe's parameters, for text formats
    :ivar buckets: columns and number of buckets
    """

    location: str
    format: Format
    columns: tuple[Column, ...]
    keys: tuple[Column, ...] = ()
    compression: str = ""
    serde: dict[str, str] = field(default_factory=dict)
    buckets: tuple[tuple[str, ...], int] = ((), 1)


@dataclass
class Written:
    """The files put in place, the number of rows, and the partitions they belong to (values -> location)."""

    files: list[str] = field(default_factory=list)
    rows: int = 0
    partitions: dict[Values, str] = field(default_factory=dict)


def in_order(columns: Sequence[Column]) -> list[Source]:
    """Return the sources of columns that a query's columns fill one by one."""
    return [(f"c{at}", column.type) for at, column in enumerate(columns)]


@contextlib.contextmanager
def put(
    store: ObjectStore, cursor: Cursor, query: str, target: Target, sources: Sequence[Source],
    existing: dict[Values, str] | None = None,
) -> Iterator[Written]:  # fmt: skip
    """Run the query and write its rows; the files are deleted again if the block that registers them fails.

    :param query: DuckDB's text, whose columns are c0, c1, ...
    :param sources: for each of the target's columns and then its keys, the expression and its type (None: it is NULL)
    :param existing: locations of partitions that exist already
    """
    folder = store.scratch_file()
    folder.mkdir()
    placed: list[str] = []
    try:
        rows, staged = _copy(cursor, query, target, sources, folder)
        cursor.count_bytes()
        _check_count({(values, bucket) for _, values, bucket in staged})
        cursor.check()
        written = Written(rows=rows)
        places: dict[str, Path] = {}
        for path, values, bucket in staged:
            location = (existing or {}).get(values) or _location(target, values)
            if target.keys:
                written.partitions[values] = location
            places[f"{location}/{bucket:05d}_{uuid.uuid4().hex}{_extension(target)}"] = path
        store.placing(places)
        for uri, path in places.items():
            store.adopt(uri, path)
            placed.append(uri)
        written.files = placed
        yield written
    except BaseException:
        for uri in placed:
            remove(store.path(uri), store.root / split_s3_uri(uri)[0])
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _copy(
    cursor: Cursor, query: str, target: Target, sources: Sequence[Source], folder: Path
) -> tuple[int, list[tuple[Path, Values, int]]]:
    """Write the query's rows below a folder.

    :return: the number of rows, and each file with its partition's values and its bucket
    """
    every = [*target.columns, *target.keys]
    values = [_stored(column, *source) for column, source in zip(every, sources, strict=True)]
    cells, keys = values[: len(target.columns)], values[len(target.columns) :]
    selected = _selected(target, cells)
    by = [key.name for key in target.keys]
    selected += [f"{value} AS {identifier(name)}" for value, name in zip(keys, by, strict=True)]
    columns, buckets = target.buckets
    if buckets > 1:
        places = {column.name: value for column, value in zip(target.columns, cells, strict=True)}
        hashed = ", ".join(places[column] for column in columns)
        selected.append(f"CAST(hash({hashed}) % {buckets} AS INTEGER) AS {identifier(_BUCKET)}")
        by.append(_BUCKET)
    options = formats.copy_options(target.format, target.compression)
    # One file for each partition and bucket, which DuckDB reports only in the names of the directories.
    path = folder
    if by:
        options += f", PARTITION_BY ({', '.join(map(identifier, by))}), FILENAME_PATTERN '{{uuid}}'"
    else:
        path = folder / "0"
    ((rows, names),) = cursor.all(
        f"COPY (SELECT {', '.join(selected)} FROM ({query}) q) TO {literal(str(path))} ({options}, RETURN_FILES)"
    )
    return rows, [_staged(Path(name), folder, len(target.keys)) for name in names] if rows else []


def _staged(path: Path, folder: Path, keys: int) -> tuple[Path, Values, int]:
    """Return a file with the values and the bucket in the names of its directories."""
    found = [unquote(part.partition("=")[2]) for part in path.relative_to(folder).parts[:-1]]
    return path, tuple(found[:keys]), int(found[keys]) if len(found) > keys else 0


def _stored(column: Column, expression: str, type: str | None) -> str:
    """Return an expression converted to the column's type; text too long for a varchar(n) fails, as in Trino."""
    into = parse_type(column.type)
    if type is None:
        return f"NULL::{duckdb_type(into)}"
    if into.name in ("varchar", "char") and into.size is not None and parse_type(type) != into:
        message = f"Cannot truncate non-space characters when casting from {type} to {into} on INSERT"
        error = f"error({literal(marked('INVALID_CAST_ARGUMENT', message))})::VARCHAR"
        text = f"CAST({expression} AS VARCHAR)"
        return f"CASE WHEN length(rtrim({text}, ' ')) > {into.size} THEN {error} ELSE left({text}, {into.size}) END"
    converted = convert(expression, parse_type(type), into)
    assert converted is not None, f"{type} was found to be coercible to {into}"
    return f"CAST({converted} AS {duckdb_type(into)})"


def _selected(target: Target, values: list[str]) -> list[str]:
    if target.format in (formats.TEXTFILE, formats.CSV):
        serde = (LazySimple if target.format is formats.TEXTFILE else OpenCsv)(target.serde)
        types = [parse_type(column.type) for column in target.columns]
        return [f"{serde.line(list(zip(values, types, strict=True)))} AS {_LINE}"]
    return [f"{value} AS {identifier(column.name)}" for value, column in zip(values, target.columns, strict=True)]


def add_partitions(
    catalog: Catalog, database: str, table: str, storage: dict[str, Any], new: Mapping[Values, str]
) -> None:
    """Register partitions by their values and locations; the rest of their storage descriptor is the table's."""
    inputs = [
        {"Values": list(values), "StorageDescriptor": {**storage, "Location": location}}
        for values, location in new.items()
    ]
    if inputs:
        catalog.create_partitions(database, table, inputs)


def _check_count(combinations: set[tuple[Values, int]]) -> None:
    if len(combinations) > MAX_OPEN_PARTITIONS:
        raise SqlError(
            "HIVE_TOO_MANY_OPEN_PARTITIONS",
            f"Exceeded limit of {MAX_OPEN_PARTITIONS} open writers for partitions/buckets. "
            f"TOO_MANY_OPEN_PARTITIONS: the query writes {len(combinations)}",
        )


def _extension(target: Target) -> str:
    return {"gzip": ".gz", "zstd": ".zst"}.get(target.compression, "") if target.format is not formats.PARQUET else ""


def _location(target: Target, values: Values) -> str:
    folder = partition_folder([key.name for key in target.keys], values)
    return f"{target.location}/{folder}".rstrip("/")


def partition_folder(keys: Sequence[str], values: Sequence[str]) -> str:
    """Return the folder of a partition below its table's, as Hive names it: key=value/key=value."""
    return "/".join(f"{key}={quote(value, safe=_PATH_SAFE)}" for key, value in zip(keys, values, strict=True))


def require_empty(store: ObjectStore, location: str, label: str) -> None:
    """Refuse to write into a folder that holds objects.

    :raises SqlError: HIVE_PATH_ALREADY_EXISTS
    """
    try:
        bucket, _ = split_s3_uri(location)
    except ValueError:
        raise SqlError(
            "INVALID_TABLE_PROPERTY", f"{label}: the location must be s3://bucket/folder/, not '{location}'"
        ) from None
    if not store.bucket_exists(bucket):
        raise SqlError("HIVE_FILESYSTEM_ERROR", f"The specified bucket does not exist: {location}")
    if store.objects(f"{location.rstrip('/')}/"):
        raise SqlError("HIVE_PATH_ALREADY_EXISTS", f"Target directory for {label} already exists: {location}")
