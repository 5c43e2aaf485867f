"""DuckDB as Athena's engine: one database in memory, a cursor a query, nothing readable but the store's root."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from airflow_lakehouse_provider.local_aws.athena import sql

MEMORY_LIMIT = "1GB"
THREADS = 2
BATCH = 10_000  # rows fetched at once


class Cancelled(Exception):
    """The query was stopped by StopQueryExecution, or the local AWS is closing."""


class Engine:
    """The database; safe to use from several threads, each query on a cursor of its own."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self._connection = duckdb.connect(":memory:")
        for setting, value in (
            ("memory_limit", MEMORY_LIMIT),
            ("threads", THREADS),
            ("temp_directory", str(scratch / "duckdb")),
            ("TimeZone", "UTC"),
            ("preserve_insertion_order", "true"),
        ):
            self._connection.execute(f"SET GLOBAL {setting} = '{value}'")
        sql.install(self._connection)
        # No statement of a user's reaches DuckDB untranslated, so the rest of the configuration needs no lock; a lock
        # would also forbid the profiling that tells the bytes scanned.
        self._connection.execute(f"SET allowed_directories = ['{root}/']")
        self._connection.execute("SET enable_external_access = false")

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def cursor(self) -> Iterator[Cursor]:
        """A cursor of a query; what it made (temporary tables) ends with it."""
        connection = self._connection.cursor()
        try:
            connection.execute("PRAGMA enable_profiling = 'no_output'")
            yield Cursor(connection)
        finally:
            connection.close()


class Cursor:
    """One query's connection: counts what it reads, and can be stopped from another thread."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._cancelled = False
        self.bytes_scanned = 0

    def stop(self) -> None:
        """Interrupt what runs. An interrupt sent before `execute` would be lost, so a flag is kept too."""
        with self._lock:
            self._cancelled = True
        self._connection.interrupt()

    def check(self) -> None:
        """Raise Cancelled when the query has been stopped."""
        if self._cancelled:
            raise Cancelled

    def run(self, statement: str) -> Any:
        """Execute DuckDB's SQL; what it says of an error is put into Trino's words.

        :raises Cancelled: when the query is stopped
        :raises SqlError: when it fails
        """
        self.check()
        try:
            return self._connection.execute(statement)
        except Exception as error:
            self.check()
            raise sql.from_duckdb(error) from error

    def rows(self, statement: str) -> Iterator[list[tuple[Any, ...]]]:
        """The rows of a statement in batches; `description` is set from the first batch on."""
        result = self.run(statement)
        self.description = result.description
        while True:
            self.check()
            try:
                batch = result.fetchmany(BATCH)
            except Exception as error:
                self.check()
                raise sql.from_duckdb(error) from error
            if not batch:
                break
            yield batch
        self.count_bytes()

    def count_bytes(self) -> None:
        """Add what the last statement read from files."""
        profile = self._connection.get_profiling_information()
        if isinstance(profile, str):
            import json

            profile = json.loads(profile)
        self.bytes_scanned += int(profile.get("io", {}).get("total_bytes_read", 0))
