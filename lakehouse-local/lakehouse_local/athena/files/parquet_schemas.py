"""What Parquet files hold: their columns, read once per file, and which of the catalogue's types can read them."""

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

_MOST_KEPT = 20_000  # files
_PAGE = 500  # files read by one query

Run = Callable[[str], list[tuple[Any, ...]]]  # DuckDB's SQL -> its rows


@dataclass(frozen=True)
class Held:
    """A column of a file: its name, DuckDB's type, and Parquet's own (None for a nested one)."""

    name: str
    type: str
    physical: str | None


Schema = dict[str, Held]  # by lower-case name
_Signature = tuple[tuple[Any, ...], ...]
_Key = tuple[str, datetime, int, str]


class ParquetSchemas:
    """The schemas of files, kept by path, time and size; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._signatures: OrderedDict[_Key, _Signature] = OrderedDict()
        self._schemas: dict[_Signature, Schema] = {}

    def groups(self, files: Sequence[StoredObject], run: Run) -> list[tuple[Schema, list[StoredObject]]]:
        """The files by schema, read with a query's own cursor where they are new.

        :raises SqlError: HIVE_BAD_DATA naming a file that is no Parquet, HIVE_CANNOT_OPEN_SPLIT for one that went away
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
            if len(files) > 1:  # one of them: find it
                half = len(files) // 2
                return self._read(files[:half], run) | self._read(files[half:], run)
            raise
        found: dict[str, list[tuple[Any, ...]]] = {path: [] for path in by_path}
        for path, *row in rows:
            found[path].append(tuple(row))
        signatures = {path: tuple(held) for path, held in found.items()}
        with self._lock:
            for path, signature in signatures.items():
                self._signatures[_key(by_path[path])] = signature
            while len(self._signatures) > _MOST_KEPT:
                self._signatures.popitem(last=False)
        return {by_path[path].path: signature for path, signature in signatures.items()}

    def _schema(self, signature: _Signature, file: StoredObject, run: Run) -> Schema:
        with self._lock:
            if signature in self._schemas:
                return self._schemas[signature]
        path = literal(str(file.path))
        physical = {name: of for name, of, *_ in signature if of is not None}
        described = run(f"DESCRIBE SELECT * FROM read_parquet({path}, hive_partitioning = false)")
        schema = {
            name.lower(): Held(name, of, None if _nested(of) else physical.get(name)) for name, of, *_ in described
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


def _nested(of: str) -> bool:
    return any(kind.fullmatch(of) for kind in _KINDS.values())


# What DuckDB calls the file columns from which a column of the catalogue's type can be read. An integer that does not
# fit fails when it is read, as in Trino.
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
_KINDS = {
    "array": re.compile(r".*\[\]", re.DOTALL),
    "map": re.compile(r"MAP\(.*\)", re.DOTALL),
    "row": re.compile(r"STRUCT\(.*\)", re.DOTALL),
}


def mismatch(held: Held, of: Type) -> str | None:
    """Parquet's name for what a column holds, when a column of the catalogue's type cannot be read from it."""
    if of.types:
        readable = _KINDS[of.name].fullmatch(held.type) is not None
    elif held.physical is None:
        readable = False
    else:
        readable = held.type in _READABLE.get(of.name, ()) or (
            of.name == "decimal" and held.type.startswith("DECIMAL(")
        )
    return None if readable else (held.physical or "group").replace("BYTE_ARRAY", "BINARY")
