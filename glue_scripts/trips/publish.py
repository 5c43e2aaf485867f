"""The publishing of a month: stage, count, copy under the run's name, commit by one PUT, and then delete old files.

At every moment readers see the old month or the new one: they follow load_audit to the committed run's rows. Nothing
is overwritten or renamed. A killed run leaves files that nobody reads; the month's next load removes them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from trips.arguments import MARKS, REASONS, Arguments
from trips.audit import FileCounts, Prepared, prepare
from trips.errors import LoadError, innermost
from trips.storage import Object, Storage
from trips.transform import KEPT, unpacked

_COUNTED = "source_file string, suspect array<string>, reasons array<string>"
TABLES = ("trips", "quarantine_trips")


class Staging:
    """A run's own folder in the cleaned zone, outside the crawler's targets.

    :param spark: with the session time zone UTC
    :param storage: lists, copies and deletes objects
    """

    def __init__(self, spark: SparkSession, storage: Storage, arguments: Arguments) -> None:
        self._spark, self._storage, self._arguments = spark, storage, arguments
        root = f"{_staging_of(arguments)}{arguments.run_id}/"
        self._root = root
        self._rejected = f"{root}all/{KEPT}=false"
        self._folders = {"trips": f"{root}all/{KEPT}=true", "quarantine_trips": f"{root}quarantine"}

    def write(self, rows: DataFrame, raw: StructType) -> None:
        """Write all rows in one go, then the rejected ones again with the columns that only they have.

        A table without rows gets a file all the same: its columns make the crawler's table, which dbt expects.

        :param rows: as `transform.staged`
        :param raw: the raw columns
        """
        rows.write.mode("overwrite").partitionBy(KEPT).parquet(f"{self._root}all")
        if self._files(self._rejected):
            rejected = unpacked(self._spark.read.schema(rows.drop(KEPT).schema).parquet(self._rejected), raw)
            rejected.coalesce(1).write.mode("overwrite").parquet(self._folders["quarantine_trips"])
        for table in TABLES:
            if not self.files(table):
                schema = (rows.drop(KEPT) if table == "trips" else unpacked(rows, raw)).schema
                nothing = self._spark.createDataFrame([], schema)
                nothing.write.mode("overwrite").parquet(self._folders[table])

    def unwritable(self, error: Exception) -> LoadError:
        """Return the error of a write that Spark failed on."""
        return LoadError(
            f"{self._arguments.label} could not be written to {self._root}: {innermost(error)}. The month stays as it "
            "was. Check that the job's role may list, get, put and delete objects there, then run the month again"
        )

    def files(self, table: str) -> list[Object]:
        """Return the staged files of a table."""
        return self._files(self._folders[table])

    def _files(self, folder: str) -> list[Object]:
        return [each for each in self._storage.list(f"{folder}/") if each.uri.endswith(".parquet")]

    def count(self, files: Sequence[FileCounts]) -> None:
        """Count the rows in the written files."""
        by_uri = {file.uri: file for file in files}
        for row in self._counted("trips", "suspect", MARKS, files):
            file = by_uri[row["source_file"]]
            file.rows_kept, file.suspect = row["rows"], {mark: row[mark] for mark in MARKS}
        for row in self._counted("quarantine_trips", "reasons", REASONS, files):
            file = by_uri[row["source_file"]]
            file.rows_quarantined, file.rejected = row["rows"], {reason: row[reason] for reason in REASONS}

    def _counted(self, table: str, column: str, names: Sequence[str], files: Sequence[FileCounts]) -> list[Row]:
        each = [F.count_if(F.array_contains(column, name)).alias(name) for name in names]
        written = self._spark.read.schema(_COUNTED).parquet(self._folders[table])
        # With one file, its name need not be read three million times.
        source = F.col("source_file") if len(files) > 1 else F.lit(files[0].uri)
        return written.groupBy(source.alias("source_file")).agg(F.count(F.lit(1)).alias("rows"), *each).collect()

    def publish(self) -> dict[str, int]:
        """Copy the files into their tables under the run's name, where no reader looks before the commit.

        :returns: URIs and sizes
        """
        published: dict[str, int] = {}
        for table in TABLES:
            for number, file in enumerate(self.files(table)):
                target = f"{_month_of(table, self._arguments)}{self._arguments.run_id}-{number:05d}.parquet"
                self._storage.copy(file.uri, target)
                published[target] = file.size
        return published

    def prepare_audit(self, files: Sequence[FileCounts], *, status: str, started: datetime, now: datetime) -> Prepared:
        """Return the run's audit object, ready for its PUT."""
        folder = f"{self._root}audit"
        return prepare(
            self._spark, self._storage, self._arguments, files, staging=folder, status=status, started=started, now=now
        )

    def check(self, published: Mapping[str, int]) -> None:
        """Check that all of them exist with their sizes.

        :raises LoadError: when another run of the month has deleted some as leftovers
        """
        there = {each.uri: each.size for each in month_files(self._storage, self._arguments)}
        if lost := [uri for uri, size in published.items() if there.get(uri) != size]:
            raise LoadError(f"{', '.join(lost)} disappeared before the commit: run the month again")

    def clear(self) -> None:
        """Delete this run's staged files."""
        self._storage.delete([each.uri for each in self._storage.list(self._root)])


def month_files(storage: Storage, arguments: Arguments) -> list[Object]:
    """Return the month's files in the tables, of every run."""
    return [each for table in TABLES for each in storage.list(_month_of(table, arguments))]


def leftovers(storage: Storage, arguments: Arguments) -> list[str]:
    """Return the files of other runs of the month: superseded by this one's commit, or left by killed runs."""
    staged = storage.list(_staging_of(arguments))
    return [each.uri for each in [*month_files(storage, arguments), *staged]]


def delete_leftovers(storage: Storage, found: Sequence[str], newer_runs: Collection[str]) -> int:
    """Delete leftovers, except those of runs that committed since; return the number deleted."""
    gone = [uri for uri in found if not any(f"/{run}-" in uri or f"/{run}/" in uri for run in newer_runs)]
    storage.delete(gone)
    return len(gone)


def totals(files: Sequence[FileCounts]) -> dict[str, int]:
    """Return the rows by reason over all files, without reasons that have none."""
    found: defaultdict[str, int] = defaultdict(int)
    for file in files:
        for reason, rows in file.rejected.items():
            found[reason] += rows
    return {reason: rows for reason, rows in sorted(found.items()) if rows}


def _staging_of(arguments: Arguments) -> str:
    return f"{arguments.cleaned_uri}/_staging/{arguments.partition}/"


def _month_of(table: str, arguments: Arguments) -> str:
    return f"{arguments.cleaned_uri}/{table}/{arguments.partition}/"
