"""Publishing a month: staged, counted, copied under the run's name, committed by one PUT; only then are old files gone.

At every moment the month is as it was or as it becomes: readers follow load_audit to the committed run's rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from trips.arguments import MARKS, REASONS, Arguments
from trips.audit import FileCounts
from trips.storage import Storage
from trips.transform import KEPT, unpacked

TABLES = ("trips", "quarantine_trips")


class Staging:
    """A run's own folder in the cleaned zone, which no crawler visits.

    :param spark: with the session time zone UTC
    :param storage: where to list, copy and delete
    """

    def __init__(self, spark: SparkSession, storage: Storage, arguments: Arguments) -> None:
        self._spark, self._storage, self._arguments = spark, storage, arguments
        self._month = f"{arguments.cleaned_uri}/_staging/{arguments.partition}/"
        self._root = f"{self._month}{arguments.run_id}/"

    def write(self, rows: DataFrame) -> None:
        """Write all rows in one go, then the rejected ones again with the columns that only they have."""
        rows.write.mode("overwrite").partitionBy(KEPT).parquet(f"{self._root}all")
        if self._files(f"all/{KEPT}=false"):
            rejected = self._spark.read.parquet(f"{self._root}all/{KEPT}=false")
            unpacked(rejected).coalesce(1).write.mode("overwrite").parquet(f"{self._root}rejected")

    def files(self, table: str) -> list[str]:
        """The staged files of a table."""
        return self._files(f"all/{KEPT}=true" if table == "trips" else "rejected")

    def _files(self, folder: str) -> list[str]:
        return [each.uri for each in self._storage.list(f"{self._root}{folder}/") if each.uri.endswith(".parquet")]

    def count(self, files: Sequence[FileCounts]) -> None:
        """Count what was written, back from the written files."""
        by_uri = {file.uri: file for file in files}
        for row in self._counted("trips", "suspect", MARKS):
            file = by_uri[row["source_file"]]
            file.rows_kept, file.suspect = row["rows"], {mark: row[mark] for mark in MARKS}
        for row in self._counted("quarantine_trips", "reasons", REASONS):
            file = by_uri[row["source_file"]]
            file.rows_quarantined, file.rejected = row["rows"], {reason: row[reason] for reason in REASONS}

    def _counted(self, table: str, column: str, names: Sequence[str]) -> list[Row]:
        files = self.files(table)
        if not files:
            return []
        each = [F.count_if(F.array_contains(column, name)).alias(name) for name in names]
        counts = self._spark.read.parquet(*files).groupBy("source_file").agg(F.count(F.lit(1)).alias("rows"), *each)
        return counts.collect()

    def publish(self) -> list[str]:
        """Copy the files into their tables under the run's name, where no reader looks before the commit."""
        published = []
        for table in TABLES:
            for number, file in enumerate(self.files(table)):
                target = f"{_month_of(table, self._arguments)}{self._arguments.run_id}-{number:05d}.parquet"
                self._storage.copy(file, target)
                published.append(target)
        return published

    def clear(self) -> None:
        """Delete what is staged, that of dead runs of the month included."""
        self._storage.delete([each.uri for each in self._storage.list(self._month)])

    def clear_own(self) -> None:
        """Delete what this run staged."""
        self._storage.delete([each.uri for each in self._storage.list(self._root)])


def delete_superseded(storage: Storage, arguments: Arguments) -> int:
    """After the commit: delete the month's files of every other run, committed earlier or dead; how many."""
    deleted = 0
    for table in TABLES:
        folder = _month_of(table, arguments)
        others = [each.uri for each in storage.list(folder) if not each.uri.startswith(f"{folder}{arguments.run_id}-")]
        storage.delete(others)
        deleted += len(others)
    return deleted


def totals(files: Sequence[FileCounts]) -> dict[str, int]:
    """Rows by reason over all files, reasons without rows left out."""
    found: defaultdict[str, int] = defaultdict(int)
    for file in files:
        for reason, rows in file.rejected.items():
            found[reason] += rows
    return {reason: rows for reason, rows in sorted(found.items()) if rows}


def _month_of(table: str, arguments: Arguments) -> str:
    return f"{arguments.cleaned_uri}/{table}/{arguments.partition}/"
