"""A month through the whole script on Spark: what is kept, rejected and marked, and what a reader sees of it."""

from __future__ import annotations

import datetime
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from airflow_lakehouse_provider import sample_data
from airflow_lakehouse_provider.month import Month

pytestmark = pytest.mark.spark

AT = datetime.datetime(2024, 1, 10, 9, 30)
TRIP = {
    **{"VendorID": 2, "tpep_pickup_datetime": AT, "tpep_dropoff_datetime": AT + datetime.timedelta(minutes=12)},
    **{"passenger_count": 1, "trip_distance": 2.5, "RatecodeID": 1, "store_and_fwd_flag": "N", "PULocationID": 132},
    **{"DOLocationID": 4, "payment_type": 1, "fare_amount": 10.0, "total_amount": 13.5},
}
TYPES = {
    **{"VendorID": pa.int32(), "tpep_pickup_datetime": pa.timestamp("us"), "tpep_dropoff_datetime": pa.timestamp("us")},
    **{"passenger_count": pa.int64(), "trip_distance": pa.float64(), "RatecodeID": pa.int64()},
    **{"store_and_fwd_flag": pa.string(), "PULocationID": pa.int32(), "DOLocationID": pa.int32()},
    **{"payment_type": pa.int64(), "fare_amount": pa.float64(), "total_amount": pa.float64()},
}


def table(rows, **types):
    """Rows that differ from the usual trip, told apart by their fares; `types` adds columns or changes theirs."""
    schema = pa.schema([(name, of) for name, of in {**TYPES, **types}.items()])
    return pa.Table.from_pylist([{**TRIP, "fare_amount": 10.0 + at, **row} for at, row in enumerate(rows)], schema)


def put(lake, rows, name="file.parquet", **types):
    pq.write_table(table(rows, **types), lake.raw(name))


def reasons(lake, columns="fare_amount, reasons"):
    return {int(row["fare_amount"]) - 10: row["reasons"] for row in lake.current("quarantine_trips", columns=columns)}


@pytest.mark.parametrize(
    ("service", "month", "file_format"),
    [
        ("yellow", "2024-01", "parquet"),
        ("green", "2025-02", "parquet"),
        ("yellow", "2026-11", "parquet"),
        ("yellow", "2011-03", "parquet"),
        ("green", "2019-06", "csv"),
    ],
)
def test_a_generated_month_comes_out_as_its_truth_says(lake, service, month, file_format):
    path = sample_data.write(service, Month.parse(month), 2_000, lake.raw().parent, file_format=file_format)
    truth = json.loads(path.with_suffix(".truth.json").read_text())
    report = lake.load(service, month, path.name)
    (audit,) = lake.audit()
    assert report["quarantined"] == truth["reasons"]
    assert {
        name.removeprefix("suspect_"): rows for name, rows in audit.items() if name.startswith("suspect_")
    } == truth["suspect"]
    assert (report["rows_read"], report["rows_kept"]) == (truth["rows"], truth["kept"])
    kept = lake.current("trips", service, month)
    assert len({row["trip_id"] for row in kept}) == len(kept) == truth["kept"] == audit["rows_kept"]
    assert sum(row["is_reversal"] for row in kept) == truth["reversals"]


HOURS = datetime.timedelta(hours=1)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"tpep_pickup_datetime": None}, ["pickup_missing"]),
        ({"tpep_dropoff_datetime": None}, ["dropoff_missing"]),
        ({"tpep_pickup_datetime": datetime.datetime(2024, 2, 1), "tpep_dropoff_datetime": AT + 24 * 30 * HOURS},
         ["pickup_outside_month"]),
        ({"tpep_pickup_datetime": datetime.datetime(1, 1, 1)}, ["pickup_outside_month", "trip_too_long"]),
        ({"tpep_dropoff_datetime": AT - datetime.timedelta(seconds=1)}, ["dropoff_before_pickup"]),
        ({"tpep_dropoff_datetime": AT + 24 * HOURS}, None),
        ({"tpep_dropoff_datetime": AT + 24 * HOURS + datetime.timedelta(microseconds=1)}, ["trip_too_long"]),
        ({"trip_distance": None}, ["distance_missing"]),
        ({"trip_distance": -0.01}, ["distance_negative"]),
        ({"trip_distance": 0.0}, None),
        ({"PULocationID": None, "DOLocationID": 265}, None),
        ({"PULocationID": 0}, ["location_unknown"]),
        ({"DOLocationID": 266}, ["location_unknown"]),
        ({"total_amount": None}, ["total_missing"]),
        ({"total_amount": -10_000.0}, None),
        ({"total_amount": -10_000.01}, ["total_implausible"]),
        ({"passenger_count": None}, None),
        ({"passenger_count": 2**31}, ["uncastable"]),
        ({"trip_distance": float("nan")}, ["uncastable"]),
        ({"trip_distance": float("inf")}, ["uncastable"]),
        ({"total_amount": float("-inf")}, ["uncastable"]),
        ({"total_amount": 1e9}, ["uncastable"]),
        ({"total_amount": None, "trip_distance": -1.0, "PULocationID": 999},
         ["distance_negative", "location_unknown", "total_missing"]),
    ],
)  # fmt: skip
def test_edges(request, change, expected):
    """All of them are rows of one file, loaded once; see the fixture."""
    EDGES.append((change, expected))


EDGES: list = []


def test_the_edges_of_the_rules_are_where_the_issue_says(lake):
    marks = test_edges.pytestmark
    cases = next(mark for mark in marks if mark.name == "parametrize").args[1]
    put(lake, [change for change, _ in cases])
    lake.load()
    found = reasons(lake)
    assert {at: found.get(at) for at in range(len(cases))} == {at: expected for at, (_, expected) in enumerate(cases)}
