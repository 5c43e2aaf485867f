"""Real files of the TLC, where there are any: counts by reason, and by mark, computed a second way by DuckDB."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

pytest.importorskip("pyspark", reason="needs the extra 'local'")

import duckdb

from trips.errors import LoadError

FILES = Path(os.environ.get("LAKEHOUSE_TLC_FILES") or Path(__file__).resolve().parents[4] / "shared" / "data" / "tlc")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.spark,
    pytest.mark.skipif(not FILES.is_dir(), reason=f"no real files in {FILES} (LAKEHOUSE_TLC_FILES names their folder)"),
]

TLC = {
    **{"vendor": "VendorID", "pu": "PULocationID", "do_": "DOLocationID", "total": "total_amount"},
    **{"distance": "trip_distance", "passengers": "passenger_count"},
}
GREEN = {**TLC, "pickup": "lpep_pickup_datetime", "dropoff": "lpep_dropoff_datetime"}
YELLOW = {**TLC, "pickup": "tpep_pickup_datetime", "dropoff": "tpep_dropoff_datetime"}
CSV = {
    **{"vendor": "vendor_id::int", "pu": "pickup_location_id::int", "do_": "dropoff_location_id::int"},
    **{"total": "total_amount::double", "distance": "trip_distance::double", "passengers": "passenger_count::int"},
    **{"pickup": "pickup_datetime::timestamp", "dropoff": "dropoff_datetime::timestamp"},
}
CSV_OPTIONS = "header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', strict_mode = false"
SOURCES = [
    ("green", "2021-01", "green_tripdata_2021-01.parquet", GREEN),
    ("green", "2024-01", "green_tripdata_2024-01.parquet", GREEN),
    ("green", "2025-02", "green_tripdata_2025-02.parquet", GREEN),
    ("yellow", "2024-01", "yellow_sample_2024-01.parquet", YELLOW),
    ("yellow", "2019-01", "yellow_tripdata_sample_2019-01.csv", CSV),
]
REASONS = {
    "pickup_missing": "pickup is null",
    "dropoff_missing": "dropoff is null",
    "pickup_outside_month": "strftime(pickup, '%Y-%m') <> '{month}'",
    "dropoff_before_pickup": "dropoff < pickup",
    "trip_too_long": "dropoff - pickup > interval 24 hours",
    "distance_missing": "distance is null",
    "distance_negative": "distance < 0",
    "location_unknown": "pu not between 1 and 265 or do_ not between 1 and 265",
    "total_missing": "total is null",
    "total_implausible": "abs(total) > 10000",
    "duplicate": "occurrence > 1",
}
MARKS = {
    "duration_long": "dropoff - pickup > interval 12 hours",
    "distance_implausible": "distance > 500",
    "clock_change": "false",
    "time_stuck": "stuck",
}


def computed(path, month, columns):
    """Compute by DuckDB the rows, rows kept, reversals kept and sum of totals; rows by reason; kept rows by mark."""
    source = f"read_csv('{path}', {CSV_OPTIONS})" if path.suffix == ".csv" else f"read_parquet('{path}')"
    with duckdb.connect() as connection:
        names = ", ".join(f'"{row[0]}"' for row in connection.execute(f"describe from {source}").fetchall())
        selected = ", ".join(f"{expression} as {name}" for name, expression in columns.items())
        at_month = f"minute(pickup) = {int(month[-2:])} and minute(dropoff) = {int(month[-2:])}"
        reasons = {name: f"coalesce({rule.format(month=month)}, false)" for name, rule in REASONS.items()}
        connection.execute(f"""
            create table judged as
            with raw as (select {selected}, row_number() over (partition by {names}) as occurrence from {source}),
            vendors as (select *, coalesce(bool_and({at_month}) over (partition by vendor), false) as stuck from raw)
            select *, {", ".join(f"{rule} as {name}" for name, rule in reasons.items())} from vendors
        """)
        counts = ", ".join(f"count_if({name})" for name in REASONS)
        kept = f"not ({' or '.join(REASONS)})"
        marks = ", ".join(f"count_if({kept} and {rule})" for rule in MARKS.values())
        row = connection.execute(
            f"select count(*), count_if({kept}), count_if({kept} and total < 0),"
            f" sum(total::decimal(10, 2)) filter ({kept}), {counts}, {marks} from judged"
        ).fetchone()
    by_name = dict(zip([*REASONS, *MARKS], row[4:], strict=True))
    return row[:4], {name: by_name[name] for name in REASONS}, {name: by_name[name] for name in MARKS}


@pytest.mark.parametrize(("service", "month", "name", "columns"), SOURCES, ids=[name for *_, name, _ in SOURCES])
def test_counts_are_those_of_another_computation(lake, service, month, name, columns):
    shutil.copyfile(FILES / name, lake.raw(name))
    report = lake.load(service, month, name, min_kept=0.8)
    (rows, kept, reversals, total), reasons, marks = computed(FILES / name, month, columns)
    (audit,) = lake.audit()
    assert (report["rows_read"], report["rows_kept"], report["unknown_columns"]) == (rows, kept, [])
    assert {reason: audit[f"rejected_{reason}"] for reason in REASONS} == reasons
    assert (audit["rejected_uncastable"], audit["status"]) == (0, "committed")
    assert {mark: audit[f"suspect_{mark}"] for mark in MARKS} == marks
    found = lake.current("trips", service, month)
    assert (len(found), len({row["trip_id"] for row in found})) == (kept, kept)
    assert (sum(row["is_reversal"] for row in found), sum(row["total_amount"] for row in found)) == (reversals, total)


def test_the_yellow_sample_is_refused_at_the_usual_threshold(lake):
    shutil.copyfile(FILES / "yellow_sample_2024-01.parquet", lake.raw())
    sentence = (
        "175 of 200 rows would be kept, 87.5%, and --min_kept is 98.0%. Rejected: duplicate 24, pickup_outside_month 1"
    )
    with pytest.raises(LoadError, match=sentence):
        lake.load(min_kept=0.98)
    assert [row["status"] for row in lake.audit()] == ["refused"]
