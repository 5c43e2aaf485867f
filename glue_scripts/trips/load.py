"""Loading a month, from its raw files to the commit."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime, timezone

from pyspark.sql import SparkSession

from trips import audit
from trips.arguments import Arguments
from trips.audit import FileCounts
from trips.errors import LoadError
from trips.publish import Staging, delete_superseded, totals
from trips.reading import RawFile, find, read, together, unreadable
from trips.storage import Storage
from trips.transform import staged

_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",  # a failed cast is a row's fault, not the job's
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Kept and rejected rows are written side by side in the order they come, else Spark sorts them by that first.
    "spark.sql.maxConcurrentOutputFileWriters": "2",
    "spark.hadoop.mapreduce.fileoutputcommitter.marksuccessfuljobs": "false",
}


def load(arguments: Arguments, *, storage: Storage | None = None) -> None:
    """Load the month; when this raises, the month is as it was.

    :raises LoadError: with a sentence for whoever reads Airflow's log
    """
    began, started = time.monotonic(), _now()
    storage = storage or Storage()
    found = find(storage, arguments.raw_uri)
    spark = SparkSession.builder.appName(f"clean {arguments.label}").getOrCreate()
    for name, value in _SETTINGS.items():
        spark.conf.set(name, value)
    files = [read(spark, each) for each in found]
    _say_what_is_new(files, audit.last_etags(storage, arguments))
    rows = sum(file.rows for file in files)
    if not rows and not arguments.allow_empty:
        names = ", ".join(file.uri for file in files)
        raise LoadError(f"{names} has no rows: upload the month's file, or say --allow_empty true to empty the month")

    counts = [FileCounts(file.uri, file.size, file.etag, file.rows, file.unknown) for file in files]
    staging = Staging(spark, storage, arguments)
    try:
        _stage(staging, files, arguments, started, counts)
        _refuse_too_little(storage, arguments, counts, started)
        published = staging.publish()
        committed = audit.put(storage, arguments, counts, status=audit.COMMITTED, started=started, now=_now())
    except BaseException:
        staging.clear_own()
        raise
    kept, quarantined = _sum(counts, "rows_kept"), _sum(counts, "rows_quarantined")
    print(f"{arguments.label}: {rows} rows read, {kept} kept, {quarantined} quarantined; committed by {committed}")
    superseded = delete_superseded(storage, arguments)
    staging.clear()
    print(f"{len(published)} files are current, {superseded} superseded ones are deleted")
    if arguments.report_uri:
        report = {
            "service": arguments.service,
            "year": int(arguments.year),
            "month": int(arguments.month),
            "run_id": arguments.run_id,
            "rows_read": rows,
            "rows_kept": kept,
            "rows_quarantined": quarantined,
            "quarantined": totals(counts),
            "files": published,
            "seconds": round(time.monotonic() - began, 3),
            "unknown_columns": sorted({name for file in files for name in file.unknown}),
        }
        storage.put(arguments.report_uri, json.dumps(report).encode())


def _stage(
    staging: Staging, files: Sequence[RawFile], arguments: Arguments, started: datetime, counts: Sequence[FileCounts]
) -> None:
    frame, columns = together(files)
    rows = sum(file.rows for file in files)
    try:
        staging.write(staged(frame, columns, rows, arguments, started))
    except LoadError:
        raise
    except Exception as error:
        # Only now were the rows really read. What of several files is broken stands in Spark's own words.
        broken = next((file.uri for file in files if file.uri in str(error)), files[0].uri)
        raise unreadable(broken, error) from None
    staging.count(counts)
    for file in counts:
        if file.rows_read != file.rows_kept + file.rows_quarantined:
            raise LoadError(
                f"{file.uri} has {file.rows_read} rows, but {file.rows_kept} were written as kept and "
                f"{file.rows_quarantined} as quarantined: nothing is committed; run the month again, and report this"
            )


def _refuse_too_little(storage: Storage, arguments: Arguments, counts: Sequence[FileCounts], started: datetime) -> None:
    rows, kept = _sum(counts, "rows_read"), _sum(counts, "rows_kept")
    if not rows or kept / rows >= arguments.thresholds.min_kept:
        return
    audit.put(storage, arguments, counts, status=audit.REFUSED, started=started, now=_now())
    listed = ", ".join(
        f"{reason} {rejected}" for reason, rejected in sorted(totals(counts).items(), key=lambda item: -item[1])
    )
    raise LoadError(
        f"{arguments.label} is refused: {kept} of {rows} rows would be kept, {kept / rows:.1%}, and --min_kept is "
        f"{arguments.thresholds.min_kept:.1%}. Rejected: {listed}. The month stays as it was. Look into the raw file, "
        "or lower --min_kept"
    )


def _say_what_is_new(files: Sequence[RawFile], last: dict[str, str]) -> None:
    for file in files:
        size = f"{file.rows} rows, {file.size} bytes"
        before = last.get(file.uri)
        known = "" if before in (None, file.etag) else f"; it has changed since its last load (ETag was {before})"
        print(f"reading {file.uri}: {size}, ETag {file.etag}{known}")
        if file.unknown:
            print(f"columns of {file.uri} that nothing is known of, left out: {', '.join(file.unknown)}")


def _sum(counts: Sequence[FileCounts], name: str) -> int:
    return sum(getattr(file, name) for file in counts)


def _now() -> datetime:
    return datetime.now(timezone.utc).replace(tzinfo=None)
