"""load_audit: one row for each run and source file. The PUT of its object commits a run."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pyspark.sql import SparkSession
from pyspark.sql import types as T

from trips.arguments import MARKS, REASONS, Arguments
from trips.storage import Storage

COMMITTED, REFUSED = "committed", "refused"
_TEXT, _WHOLE, _TIME = T.StringType(), T.LongType(), T.TimestampNTZType()
_COLUMNS: dict[str, T.DataType] = {
    **dict.fromkeys(("service", "year", "month", "run_id", "status", "source_file"), _TEXT),
    **dict.fromkeys(("rows_read", "rows_kept", "rows_quarantined"), _WHOLE),
    **{f"rejected_{reason}": _WHOLE for reason in REASONS},
    **{f"suspect_{mark}": _WHOLE for mark in MARKS},
    "bytes": _WHOLE,
    "seconds": T.DoubleType(),
    "etag": _TEXT,
    "unknown_columns": T.ArrayType(_TEXT),
    "thresholds": _TEXT,
    "started_at": _TIME,
    "committed_at": _TIME,
}
SCHEMA = T.StructType([T.StructField(name, data_type) for name, data_type in _COLUMNS.items()])


@dataclass
class FileCounts:
    """The counts of a source file: rows read as counted in it, the others as counted in the written files."""

    uri: str
    size: int
    etag: str
    rows_read: int
    unknown_columns: Sequence[str] = ()
    rows_kept: int = 0
    rows_quarantined: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    suspect: Mapping[str, int] = field(default_factory=dict)


def folder(cleaned_uri: str) -> str:
    return f"{cleaned_uri}/load_audit/"


@dataclass(frozen=True)
class Prepared:
    """An audit object before its PUT."""

    uri: str
    content: bytes


@dataclass(frozen=True)
class LastLoad:
    """The month's latest committed load."""

    committed_at: datetime
    etags: Mapping[str, str]  # of its source files, by URI

    def next_commit(self, now: datetime) -> datetime:
        """Return now, or a time just after this load if a clock was wrong: the latest commit is the valid one."""
        return max(now, self.committed_at + timedelta(milliseconds=1))


def prepare(
    spark: SparkSession,
    storage: Storage,
    arguments: Arguments,
    files: Sequence[FileCounts],
    *,
    staging: str,
    status: str,
    started: datetime,
    now: datetime,
) -> Prepared:
    """Return the rows of a run as one object that is still to be put: readers see all of them or none.

    :param staging: a folder for Spark to write to first
    :param now: the time of the commit, or of the refusal
    """
    common = {
        "service": arguments.service,
        "year": arguments.month.year_text,
        "month": arguments.month.month_text,
        "run_id": arguments.run_id,
        "status": status,
        "seconds": (now - started).total_seconds(),
        "thresholds": json.dumps(dataclasses.asdict(arguments.thresholds), sort_keys=True),
        "started_at": started,
        "committed_at": now if status == COMMITTED else None,
    }
    rows = [
        {
            **common,
            "source_file": file.uri,
            "rows_read": file.rows_read,
            "rows_kept": file.rows_kept,
            "rows_quarantined": file.rows_quarantined,
            **{f"rejected_{reason}": file.rejected.get(reason, 0) for reason in REASONS},
            **{f"suspect_{mark}": file.suspect.get(mark, 0) for mark in MARKS},
            "bytes": file.size,
            "etag": file.etag,
            "unknown_columns": list(file.unknown_columns),
        }
        for file in files
    ]
    ordered = [tuple(row[name] for name in SCHEMA.names) for row in rows]
    spark.createDataFrame(ordered, SCHEMA).coalesce(1).write.mode("overwrite").parquet(staging)
    (written,) = (each.uri for each in storage.list(f"{staging}/") if each.uri.endswith(".parquet"))
    return Prepared(f"{_prefix(arguments)}{now:%Y%m%dT%H%M%S%f}-{arguments.run_id}.parquet", storage.get(written))


def runs(storage: Storage, arguments: Arguments) -> dict[str, str]:
    """Return the month's runs that have an audit object: run id -> its URI, in the order of their PUTs."""
    prefix = _prefix(arguments)
    found = {each.uri.removeprefix(prefix).removesuffix(".parquet"): each.uri for each in storage.list(prefix)}
    return {name.partition("-")[2]: found[name] for name in sorted(found)}


def last_load(spark: SparkSession, uris: Sequence[str]) -> LastLoad | None:
    """Return the latest committed load of these objects, which are in order; None when none was committed."""
    columns = ("committed_at", "source_file", "etag")
    for uri in reversed(uris):
        rows = spark.read.schema(SCHEMA).parquet(uri).where(f"status = '{COMMITTED}'").select(*columns).collect()
        if rows:
            return LastLoad(rows[0]["committed_at"], {row["source_file"]: row["etag"] for row in rows})
    return None


def _prefix(arguments: Arguments) -> str:
    # The time is first in the name: sorted names are loads in order.
    return f"{folder(arguments.cleaned_uri)}{arguments.service}-{arguments.month}-"
