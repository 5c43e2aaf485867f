"""Schemas of Parquet files, read once per file, and the types of the Data Catalog that can read their columns."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakehouse_local.athena.files.formats import literal
from lakehouse_local.athena.sql import SqlError
from lakehouse_local.athena.sql.types import INTEGERS, Type
from lakehouse_local.s3.store import StoredObject

_MAX_KEPT = 20_000  # files
_PAGE = 500  # files read by one query

Run = Callable[[str], list[tuple[Any, ...]]]  # DuckDB's SQL -> its rows


@dataclass(frozen=True)
class FileColumn:
    """A column of a Parquet file.

    :ivar type: DuckDB's
    :ivar physical: Parquet's type; None for a nested column
    """

    name: str
    type: str
    physical: str | None


Schema = dict[str, FileColumn]  # by lower-case name
_Signature = tuple[tuple[Any, ...], ...]
_Key = tuple[str, datetime, int, str]


class ParquetSchemas:
    """The schemas of files, kept by path, time, size and ETag; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._signatures: OrderedDict[_Key, _Signature] = OrderedDict()
        self._schemas: dict[_Signature, Schema] = {}

    def groups(self, files: Sequence[StoredObject], run: Run) -> list[tuple[Schema, list[StoredObject]]]:
        """Group files by schema.

        :param run: reads the schemas of files that are not known yet, by the query's own cursor
        :raises SqlError: HIVE_BAD_DATA for a file that is not Parquet, HIVE_CANNOT_OPEN_SPLIT for one that was deleted
        """
        with self._lock:
            known = {file.path: self._signatures.get(_key(file)) for file in files}
        new = [file for file in files if known[file.path] is None]
        for start in range(0, len(new), _PAGE):
            known |= self._read(new[start : start + _PAGE], run)
        grouped: dict[_Signature, list[StoredObject]] = {}
        for file in files:
            signature = known[file.path]
            assert signature is not None
            grouped.setdefault(signature, []).append(file)
        return [(self._schema(signature, group[0], run), group) for signature, group in grouped.items()]

    def _read(self, files: Sequence[StoredObject], run: Run) -> dict[Any, _Signature]:
        by_path = {str(file.path): file for file in files}
        try:
            rows = _rows(files, run)
        except SqlError:
            if len(files) > 1:  # one of them is bad: find it
                half = len(files) // 2
                return self._read(files[:half], run) | self._read(files[half:], run)
            raise
        found: dict[str, list[tuple[Any, ...]]] = {path: [] for path in by_path}
        for path, *row in rows:
            found[path].append(tuple(row))
        signatures = {path: tuple(columns) for path, columns in found.items()}
        with self._lock:
            for path, signature in signatures.items():
                self._signatures[_key(by_path[path])] = signature
            while len(self._signatures) > _MAX_KEPT:
                self._signatures.popitem(last=False)
        return {by_path[path].path: signature for path, signature in signatures.items()}

    def _schema(self, signature: _Signature, file: StoredObject, run: Run) -> Schema:
        with self._lock:
            if signature in self._schemas:
                return self._schemas[signature]
        path = literal(str(file.path))
        physical = {name: type for name, type, *_ in signature if type is not None}
        described = run(f"DESCRIBE SELECT * FROM read_parquet({path}, hive_partitioning = false)")
        schema = {
            name.lower(): FileColumn(name, type, None if _nested(type) else physical.get(name))
            for name, type, *_ in described
        }
        with self._lock:
            self._schemas[signature] = schema
        return schema


def _key(file: StoredObject) -> _Key:
    return str(file.path), file.modified, file.size, file.etag


def _rows(files: Sequence[StoredObject], run: Run) -> list[tuple[Any, ...]]:
    paths = ", ".join(literal(str(file.path)) for file in files)
    try:
        return run(
            "SELECT file_name, name, type, repetition_type, num_children, converted_type, scale, precision, "
            f"CAST(logical_type AS VARCHAR) FROM parquet_schema([{paths}])"
        )
    except SqlError as error:
        if error.name == "HIVE_CANNOT_OPEN_SPLIT":  # deleted since it was listed
            raise
        raise SqlError("HIVE_BAD_DATA", f"Not valid Parquet file: {files[0].uri}: {error.message}") from None


def _nested(type: str) -> bool:
    return any(pattern.fullmatch(type) for pattern in _NESTED.values())


# A table column's type -> DuckDB's types of the file columns from which it can be read. An integer that does not fit
# fails when it is read, as in Trino.
_WHOLE = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"})
_READABLE = {
    **dict.fromkeys(INTEGERS, _WHOLE),
    "boolean": frozenset({"BOOLEAN"}),
    "real": frozenset({"FLOAT"}),
    "double": frozenset({"DOUBLE", "FLOAT"}),
    "date": frozenset({"DATE"}),
    "timestamp": frozenset({"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"}),
    "varchar": frozenset({"VARCHAR", "BLOB", "JSON", "UUID"}),
    "char": frozenset({"VARCHAR", "BLOB"}),
    "varbinary": frozenset({"BLOB", "VARCHAR"}),
    "decimal": _WHOLE,  # and decimals
}
_NESTED = {
    "array": re.compile(r".*\[\]", re.DOTALL),
    "map": re.compile(r"MAP\(.*\)", re.DOTALL),
    "row": re.compile(r"STRUCT\(.*\)", re.DOTALL),
}


def mismatch(column: FileColumn, type: Type) -> str | None:
    """Return Parquet's name of a file column's type if a table column of `type` cannot be read from it, else None."""
    if type.types:
        readable = _NESTED[type.name].fullmatch(column.type) is not None
    elif column.physical is None:
        readable = False
    else:
        readable = column.type in _READABLE.get(type.name, ()) or (
            type.name == "decimal" and column.type.startswith("DECIMAL(")
        )
    return None if readable else (column.physical or "group").replace("BYTE_ARRAY", "BINARY")
