"""DuckDB as Athena's engine: one database in memory, a cursor for each query, access to the store's root alone."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from lakehouse_local.athena import sql
from lakehouse_local.athena.files import text_serde
from lakehouse_local.athena.files.parquet_schemas import ParquetSchemas, Schema
from lakehouse_local.athena.sql import SqlError
from lakehouse_local.s3.store import StoredObject

MEMORY_LIMIT = "1GB"
THREADS = 2
BATCH = 10_000  # rows fetched at once

# DuckDB's message on a file that cannot be read -> Athena's error name and message
_FILE_ERRORS = (
    ("Malformed JSON in file", "HIVE_CURSOR_ERROR", "Row is not a valid JSON Object"),
    ("Invalid unicode", "HIVE_BAD_DATA", "The file is not UTF-8"),
    ("Maximum line size", "HIVE_CURSOR_ERROR", "A line is too long"),
)


class Cancelled(Exception):
    """The query was stopped; the message gives the reason."""


class Engine:
    """The database; safe to use from several threads, each query on a cursor of its own.

    :param root: the only folder that DuckDB may read and write
    :param scratch: folder for what does not fit into memory
    """

    def __init__(self, root: Path, scratch: Path) -> None:
        self._root = root
        self._connection = duckdb.connect(":memory:")
        self._schemas = ParquetSchemas()
        for setting, value in (
            ("memory_limit", MEMORY_LIMIT),
            ("threads", THREADS),
            ("temp_directory", str(scratch / "duckdb")),
            ("TimeZone", "UTC"),
        ):
            self._connection.execute(f"SET GLOBAL {setting} = '{value}'")
        sql.install(self._connection)
        text_serde.install(self._connection)
        # No statement of a user reaches DuckDB untranslated, so the rest of the configuration needs no lock; a lock
        # would also forbid the profiling that counts the bytes scanned.
        self._connection.execute(f"SET allowed_directories = ['{root}/']")
        self._connection.execute("SET enable_external_access = false")

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def cursor(self, cutoff: int | None = None) -> Iterator[Cursor]:
        """Yield a cursor for a query; its temporary tables end with it.

        :param cutoff: bytes that the query may read
        """
        connection = self._connection.cursor()
        try:
            connection.execute("PRAGMA enable_profiling = 'no_output'")
            yield Cursor(connection, self._root, self._schemas, cutoff)
        finally:
            connection.close()


class Cursor:
    """One query's connection: counts the bytes that it reads, and can be stopped from another thread."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, root: Path, schemas: ParquetSchemas, cutoff: int | None
    ) -> None:
        self._connection = connection
        self._root = root
        self._schemas = schemas
        self._cutoff = cutoff
        self._stopped: str | None = None
        self._lock = threading.Lock()
        self.bytes_scanned = 0

    def stop(self, reason: str) -> None:
        """Interrupt the running statement. An interrupt before `execute` would be lost, so a flag is kept too."""
        with self._lock:
            self._stopped = self._stopped or reason
        self._connection.interrupt()

    def check(self) -> None:
        """Raise Cancelled when the query has been stopped."""
        if self._stopped is not None:
            raise Cancelled(self._stopped)

    def run(self, statement: str) -> Any:
        """Execute DuckDB's SQL; an error of DuckDB becomes Trino's error.

        :raises Cancelled: when the query is stopped
        :raises SqlError: when it fails
        """
        self.check()
        try:
            return self._connection.execute(statement)
        except Exception as error:
            raise self._translated(error) from error

    def all(self, statement: str) -> list[tuple[Any, ...]]:
        """Execute DuckDB's SQL and fetch all of its rows; raises as :meth:`run` does."""
        result = self.run(statement)
        try:
            return list(result.fetchall())
        except Exception as error:
            raise self._translated(error) from error

    def rows(self, statement: str) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a statement in batches."""
        result = self.run(statement)
        while True:
            self.check()
            try:
                batch = result.fetchmany(BATCH)
            except Exception as error:
                raise self._translated(error) from error
            if not batch:
                break
            yield batch
        self.count_bytes()

    def by_schema(self, files: Sequence[StoredObject]) -> list[tuple[Schema, list[StoredObject]]]:
        """Group Parquet files by their schemas.

        :raises SqlError: HIVE_BAD_DATA for a file that is not Parquet
        """
        return self._schemas.groups(files, self.all)

    def count_bytes(self) -> None:
        """Add the bytes that the last statement read from files.

        :raises Cancelled: when that is more than the work group allows
        """
        profile = self._connection.get_profiling_information()
        if isinstance(profile, str):
            profile = json.loads(profile)
        self.bytes_scanned += int(profile.get("io", {}).get("total_bytes_read", 0))
        if self._cutoff is not None and self.bytes_scanned > self._cutoff:
            raise Cancelled(f"Query cancelled! : Bytes scanned limit was exceeded: {self._cutoff} bytes")

    def _translated(self, error: Exception) -> Exception:
        if self._stopped is not None:
            return Cancelled(self._stopped)
        translated = sql.from_duckdb(error)
        message = translated.message.replace(f"{self._root}/", "s3://")
        if translated.name == "GENERIC_INTERNAL_ERROR":
            for part, name, explanation in _FILE_ERRORS:
                if part in message:
                    return SqlError(name, f"{explanation}: {message}")
        return SqlError(translated.name, message)
