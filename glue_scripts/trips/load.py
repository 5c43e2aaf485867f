"""The load of a month, from its raw files to the commit."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from pyspark.sql import SparkSession

from trips import audit
from trips.arguments import Arguments
from trips.audit import FileCounts
from trips.errors import LoadError
from trips.publish import Staging, delete_leftovers, leftovers, totals
from trips.reading import RawFile, find, read, together
from trips.storage import Object, Storage
from trips.transform import raw_schema, staged

_SETTINGS = {
    # The one large shuffle sets its own number of partitions, and the counts are few rows.
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "4",
    # A longer method is never compiled by Java; Spark then makes many small ones of our long list of rules.
    "spark.sql.codegen.hugeMethodLimit": "8000",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "false",  # a failed cast rejects a row and does not fail the job
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # In UTC both kinds of timestamp hold the same number; to cast one into the other takes longer than to read it.
    "spark.sql.parquet.inferTimestampNTZ.enabled": "false",
    # Kept and rejected rows are written side by side in the order they come, else Spark sorts them by that first.
    "spark.sql.maxConcurrentOutputFileWriters": "2",
    "spark.sql.caseSensitive": "true",  # a file may have airport_fee and Airport_fee: the script refuses it
    "spark.sql.legacy.parquet.nanosAsLong": "true",  # pandas writes such times, which Spark does not know
    # A pickup of the year 1 is a row to reject, not a reason to stop.
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",
    "spark.sql.parquet.int96RebaseModeInRead": "CORRECTED",
}


def load(arguments: Arguments, *, storage: Storage | None = None) -> None:
    """Load the month; when this raises, the month is as it was.

    :raises LoadError: with a sentence for the reader of Airflow's log
    """
    began, started = time.monotonic(), _now()
    storage = storage or Storage()
    found = find(storage, arguments.raw_uri)
    earlier = audit.runs(storage, arguments)
    if arguments.run_id in earlier:
        raise LoadError(f"the run {arguments.run_id} has ended: its result is in {earlier[arguments.run_id]}")
    spark = _session(arguments)
    last = audit.last_load(spark, list(earlier.values()))
    # Listed now, deleted after the commit: files that other runs write from here on are theirs.
    old = leftovers(storage, arguments)
    files = _read(spark, found, arguments)
    changed = _log_files(files, last.etags if last else {})

    counts = [FileCounts(file.uri, file.size, file.etag, file.rows, file.unknown) for file in files]
    staging = Staging(spark, storage, arguments)
    try:
        _stage(staging, files, arguments, started, counts)
        _refuse_changed(storage, arguments, files)
        _refuse_too_little(staging, storage, arguments, counts, started)
        published = staging.publish()
        now = last.next_commit(_now()) if last else _now()
        commit = staging.prepare_audit(counts, status=audit.COMMITTED, started=started, now=now)
        staging.check(published)
        storage.put(commit.uri, commit.content)  # from here on readers see this run's month
    except BaseException as error:
        # Only staged files: if the commit's response was lost, the published files may be the month by now.
        newer: set[str] = set()
        with contextlib.suppress(Exception):
            staging.clear()
            newer = set(audit.runs(storage, arguments)) - {*earlier, arguments.run_id}
        if newer and isinstance(error, Exception):
            # After its commit, that run deleted this one's files as leftovers.
            raise LoadError(
                f"another run loaded {arguments.label} at the same time, {', '.join(sorted(newer))}, and this one "
                f"failed: {error}. The month is that run's; run one load of a month at a time"
            ) from error
        raise
    kept, quarantined = _sum(counts, "rows_kept"), _sum(counts, "rows_quarantined")
    rows = _sum(counts, "rows_read")
    print(f"{arguments.label}: {rows} rows read, {kept} kept, {quarantined} quarantined; committed by {commit.uri}")
    if arguments.report_uri:
        report = {
            "service": arguments.service,
            "year": arguments.month.year,
            "month": arguments.month.month,
            "run_id": arguments.run_id,
            "rows_read": rows,
            "rows_kept": kept,
            "rows_quarantined": quarantined,
            "quarantined": totals(counts),
            "files": list(published),
            "seconds": round(time.monotonic() - began, 3),
            "unknown_columns": sorted({name for file in files for name in file.unknown}),
            "changed_files": changed,
        }
        storage.put(arguments.report_uri, json.dumps(report).encode())
    _tidy(storage, arguments, staging, old, earlier)


def _session(arguments: Arguments) -> SparkSession:
    spark = SparkSession.builder.appName(f"clean {arguments.label}").getOrCreate()
    for name, value in _SETTINGS.items():
        spark.conf.set(name, value)
    return spark


def _read(spark: SparkSession, found: Sequence[Object], arguments: Arguments) -> list[RawFile]:
    files = [read(spark, each) for each in found]
    if not any(file.rows for file in files) and not arguments.allow_empty:
        names = ", ".join(file.uri for file in files)
        raise LoadError(f"{names} has no rows: upload the month's file, or pass --allow_empty true to empty the month")
    return files


def _tidy(
    storage: Storage, arguments: Arguments, staging: Staging, old: Sequence[str], earlier: Mapping[str, str]
) -> None:
    """Delete files that no reader needs any more. The month is loaded: an error here does not fail the load."""
    try:
        staging.clear()
        newer = set(audit.runs(storage, arguments)) - set(earlier)
        print(f"{delete_leftovers(storage, old, newer)} superseded files are deleted")
    except Exception as error:
        print(f"superseded files are not deleted, the month's next load deletes them: {type(error).__name__}: {error}")


def _stage(
    staging: Staging, files: Sequence[RawFile], arguments: Arguments, started: datetime, counts: Sequence[FileCounts]
) -> None:
    frame, columns = together(files)
    rows = sum(file.rows for file in files)
    try:
        staging.write(staged(frame, columns, rows, arguments, started), raw_schema(frame))
    except LoadError:
        raise
    except Exception as error:
        # The rows were read and written in one go: reading the files again shows which of the two failed.
        for file in files:
            file.check()
        raise staging.unwritable(error) from None
    staging.count(counts)
    for file in counts:
        if file.rows_read != file.rows_kept + file.rows_quarantined:
            raise LoadError(
                f"{file.uri} has {file.rows_read} rows, but {file.rows_kept} were written as kept and "
                f"{file.rows_quarantined} as quarantined: nothing is committed; run the month again, and report this"
            )


def _refuse_too_little(
    staging: Staging, storage: Storage, arguments: Arguments, counts: Sequence[FileCounts], started: datetime
) -> None:
    rows, kept = _sum(counts, "rows_read"), _sum(counts, "rows_kept")
    if not rows or kept / rows >= arguments.thresholds.min_kept:
        return
    refusal = staging.prepare_audit(counts, status=audit.REFUSED, started=started, now=_now())
    storage.put(refusal.uri, refusal.content)
    listed = ", ".join(
        f"{reason} {rejected}" for reason, rejected in sorted(totals(counts).items(), key=lambda item: -item[1])
    )
    raise LoadError(
        f"{arguments.label} is refused: {kept} of {rows} rows would be kept, {kept / rows:.1%}, and --min_kept is "
        f"{arguments.thresholds.min_kept:.1%}. Rejected: {listed}. The month stays as it was. Look into the raw file, "
        "or lower --min_kept"
    )


def _refuse_changed(storage: Storage, arguments: Arguments, files: Sequence[RawFile]) -> None:
    now = {each.uri: each.etag for each in find(storage, arguments.raw_uri)}
    for file in files:
        if now.get(file.uri) != file.etag:
            raise LoadError(f"the raw file {file.uri} was replaced while it was read: run the month again")


def _log_files(files: Sequence[RawFile], last: Mapping[str, str]) -> list[str]:
    """Log the files; return those that have changed since the month's last load."""
    changed = []
    for file in files:
        size = f"{file.rows} rows, {file.size} bytes"
        before, known = last.get(file.uri), ""
        if before not in (None, file.etag):
            changed.append(file.uri)
            known = f"; it has changed since its last load (its ETag was {before})"
        print(f"reading {file.uri}: {size}, ETag {file.etag}{known}")
        if file.unknown:
            print(f"unknown columns of {file.uri}, left out: {', '.join(file.unknown)}")
    return changed


def _sum(counts: Sequence[FileCounts], name: str) -> int:
    return sum(getattr(file, name) for file in counts)


def _now() -> datetime:
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)  # Athena's timestamps have milliseconds
