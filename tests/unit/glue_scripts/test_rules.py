"""Values and rules, at their edges: what a row becomes, and why it is rejected or marked."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import pytest

pytest.importorskip("pyspark", reason="needs the extra 'local'")

import pyarrow as pa
import pyarrow.parquet as pq

pytestmark = pytest.mark.spark

AT = datetime.datetime(2024, 1, 10, 9, 30)
IN_UTC = AT.replace(tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
DECIMAL = pa.decimal128(12, 4)
MOMENT = datetime.timedelta(microseconds=1)


def trip(pickup, dropoff, **values):
    return {"tpep_pickup_datetime": pickup, "tpep_dropoff_datetime": dropoff, **values}


# a row's difference from the usual one -> the reasons to reject it
EDGES = [
    ({"tpep_pickup_datetime": None}, ["pickup_missing"]),
    ({"tpep_dropoff_datetime": None}, ["dropoff_missing"]),
    (trip(datetime.datetime(2024, 1, 1), datetime.datetime(2024, 1, 1)), []),
    (trip(datetime.datetime(2024, 1, 31, 23, 59, 59), datetime.datetime(2024, 2, 1)), []),
    (trip(datetime.datetime(2024, 2, 1), datetime.datetime(2024, 2, 1, 1)), ["pickup_outside_month"]),
    (trip(datetime.datetime(1, 1, 1), AT), ["pickup_outside_month", "trip_too_long"]),
    ({"tpep_dropoff_datetime": AT - MOMENT}, ["dropoff_before_pickup"]),
    ({"tpep_dropoff_datetime": AT + DAY}, []),
    ({"tpep_dropoff_datetime": AT + DAY + MOMENT}, ["trip_too_long"]),
    ({"trip_distance": None}, ["distance_missing"]),
    ({"trip_distance": -0.01}, ["distance_negative"]),
    ({"trip_distance": 0.0}, []),
    ({"trip_distance": 1e300}, []),
    ({"PULocationID": None, "DOLocationID": 265}, []),
    ({"PULocationID": 0}, ["location_unknown"]),
    ({"DOLocationID": 266}, ["location_unknown"]),
    ({"total_amount": None}, ["total_missing"]),
    ({"total_amount": -10_000.0}, []),
    ({"total_amount": -10_000.01}, ["total_implausible"]),
    ({"passenger_count": None}, []),
    ({"passenger_count": 2**31}, ["uncastable"]),
    ({"trip_distance": float("nan")}, ["uncastable"]),
    ({"trip_distance": float("-inf")}, ["uncastable"]),
    ({"total_amount": float("nan")}, ["uncastable"]),
    ({"total_amount": 1e9}, ["uncastable"]),
    ({"total_amount": None, "trip_distance": -1.0, "PULocationID": 999},
     ["distance_negative", "location_unknown", "total_missing"]),
]  # fmt: skip


def test_every_rule_at_its_edge(lake):
    lake.put([change for change, _ in EDGES])
    report = lake.load()
    found = lake.reasons()
    assert [found.get(at, []) for at in range(len(EDGES))] == [reasons for _, reasons in EDGES]
    expected = {reason: sum(reason in reasons for _, reasons in EDGES) for _, reasons in EDGES for reason in reasons}
    assert report["quarantined"] == expected
    (audit,) = lake.audit()
    assert {name: audit[f"rejected_{name}"] for name in expected} == expected
    assert audit["rejected_duplicate"] == 0
    row = next(row for row in lake.current("quarantine_trips") if row["reasons"] == ["trip_too_long"])
    assert json.loads(row["raw_row"])["tpep_dropoff_datetime"] == "2024-01-11 09:30:00.000001"
    assert row["suspect"] == ["duration_long"]


NOVEMBER = datetime.datetime(2024, 11, 3, 1, 40)
MINUTES = datetime.timedelta(minutes=1)


def test_an_hour_that_comes_twice_and_a_clock_that_stands_still(lake):
    week_later, fifth = NOVEMBER + 7 * DAY, NOVEMBER.replace(day=5, minute=11)
    rows = [
        *(trip(NOVEMBER, NOVEMBER - after * MINUTES) for after in (1, 60, 61)),
        trip(NOVEMBER + 20 * MINUTES, NOVEMBER),  # at 2 it is over
        trip(week_later, week_later - MINUTES),
        *(trip(fifth.replace(second=9), fifth.replace(hour=hour), VendorID=6) for hour in (2, 1, 0)),
        trip(fifth, fifth.replace(hour=2), VendorID=7),
        trip(fifth, fifth.replace(minute=12, hour=2), VendorID=7),
        trip(NOVEMBER, NOVEMBER + DAY / 2),
        trip(NOVEMBER, NOVEMBER + DAY / 2 + MOMENT, trip_distance=501.0),
        trip(NOVEMBER, NOVEMBER, trip_distance=500.0, total_amount=-1),
    ]  # fmt: skip
    lake.put(rows)
    lake.load("yellow", "2024-11")
    kept = {int(row["fare_amount"]) - 10: row for row in lake.current("trips", "yellow", "2024-11")}
    assert {at: row["suspect"] for at, row in kept.items()} == {
        **{0: ["clock_change"], 1: ["clock_change"], 5: ["time_stuck"], 8: [], 9: []},
        **{10: [], 11: ["duration_long", "distance_implausible"], 12: []},
    }
    assert lake.reasons("yellow", "2024-11") == {at: ["dropoff_before_pickup"] for at in (2, 3, 4, 6, 7)}
    assert [kept[at]["trip_distance"] for at in (10, 11, 12)] == [2.5, None, 500.0]
    assert [at for at, row in kept.items() if row["is_reversal"]] == [12]
    (audit,) = lake.audit()
    marks = ("duration_long", "distance_implausible", "clock_change", "time_stuck")
    assert [audit[f"suspect_{mark}"] for mark in marks] == [1, 1, 2, 1]


def test_a_clock_that_stands_still_is_found_wherever_its_vendor_begins(lake, monkeypatch):
    from trips import rules

    monkeypatch.setattr(rules, "_FIRST_ROWS", 3)
    stuck, runs = trip(AT.replace(minute=1), AT.replace(minute=1, hour=11)), trip(AT, AT + MINUTES)
    vendors = [(None, runs), (1, runs), (2, stuck), (6, stuck), (2, runs), (None, stuck), (6, stuck), (1, stuck)]
    lake.put([{**times, "VendorID": vendor} for vendor, times in vendors])
    lake.load()
    kept = {int(row["fare_amount"]) - 10: row["suspect"] for row in lake.current("trips")}
    assert kept == {at: ["time_stuck"] if at in (3, 6) else [] for at in range(len(vendors))}


def test_money_is_rounded_half_up_on_its_decimal_text_whatever_its_type(lake):
    amounts = {
        "1.005": "1.01",
        "2.675": "2.68",
        "-1.005": "-1.01",
        "0.004": "0.00",
        "1234.5": "1234.50",
        "9.995": "10.00",
    }
    types = {"extra": pa.float64(), "mta_tax": pa.float32(), "tip_amount": pa.string(), "tolls_amount": DECIMAL}
    convert = {DECIMAL: Decimal, pa.string(): str}
    lake.put([{name: convert.get(type_, float)(text) for name, type_ in types.items()} for text in amounts], **types)
    lake.load()
    kept = sorted(lake.current("trips"), key=lambda row: row["fare_amount"])
    found = {name: [str(row[name]) for row in kept] for name in types}
    assert found == {name: list(amounts.values()) for name in types}


def test_whole_numbers_and_text_of_whatever_type(lake):
    values = ["1", " 2 ", "3.0", "4e0", "", "  ", None, "1.5", "one", "3000000000", "NaN", "0x1"]
    rows = [{"passenger_count": value, "VendorID": "vts"} for value in values]
    lake.put(rows, passenger_count=pa.string(), VendorID=pa.string())
    lake.load()
    kept = sorted(lake.current("trips"), key=lambda row: row["fare_amount"])
    assert [row["passenger_count"] for row in kept] == [1, 2, 3, 4, None, None, None]
    assert {row["vendor_id"] for row in kept} == {2}
    assert lake.reasons() == {at: ["uncastable"] for at in range(7, 12)}


def test_times_as_text(lake):
    half = AT + datetime.timedelta(seconds=0.5)
    texts = {"2024-01-10 09:30:00.5": half, " 2024-01-10T09:30 ": AT, "2024-01-32 09:30:00": None, "2024": None}
    lake.put([{"tpep_pickup_datetime": text} for text in texts], tpep_pickup_datetime=pa.string())
    lake.load()
    rows = [*lake.current("trips"), *lake.current("quarantine_trips")]
    assert [row["pickup_at"] for row in sorted(rows, key=lambda row: row["fare_amount"])] == list(texts.values())
    assert lake.reasons() == {at: ["uncastable"] for at in (2, 3)}


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        (pa.timestamp("ns"), AT, AT),
        pytest.param(pa.timestamp("ms"), AT, AT, marks=pytest.mark.slow),
        pytest.param(
            pa.timestamp("us", tz="UTC"), AT.replace(tzinfo=datetime.timezone.utc), AT, marks=pytest.mark.slow
        ),
        (pa.float64(), 1.0, None),
    ],
)
def test_times_of_whatever_type(lake, type_, value, expected):
    lake.put([{"tpep_pickup_datetime": value}], tpep_pickup_datetime=type_)
    lake.load()
    (row,) = [*lake.current("trips"), *lake.current("quarantine_trips")]
    assert row["pickup_at"] == expected
    assert row.get("reasons") == (None if expected else ["uncastable"])


def test_rules_can_be_turned_off_and_moved_and_the_audit_says_so(lake):
    rows = [{"trip_distance": None}, {"total_amount": -600.0}, {"fare_amount": 12.0}, {"fare_amount": 12.0},
            {"tpep_dropoff_datetime": AT + 2 * DAY}, {"total_amount": float("nan")}]  # fmt: skip
    lake.put(rows)
    lake.load(rules_off="distance_missing,duplicate,uncastable", max_total=500, max_hours=72, long_hours=47)
    assert lake.reasons() == {1: ["total_implausible"], 5: ["total_missing"]}
    kept = lake.current("trips")
    assert len({row["trip_id"] for row in kept}) == len(kept) == 4
    assert [row["suspect"] for row in kept if row["suspect"]] == [["duration_long"]]
    thresholds = json.loads(lake.audit()[0]["thresholds"])
    assert thresholds["off"] == ["distance_missing", "duplicate", "uncastable"]
    assert (thresholds["max_total"], thresholds["max_hours"], thresholds["min_kept"]) == (500, 72, 0)


def test_limits_beyond_what_a_column_holds_reject_nothing(lake):
    lake.put([{"tpep_dropoff_datetime": datetime.datetime(9999, 12, 31)}, {"total_amount": 99_999_999.99}])
    report = lake.load(max_hours=1e15, long_hours=1e15, max_total=1e15)
    assert (report["rows_kept"], [row["suspect"] for row in lake.current("trips")]) == (2, [[], []])


def test_duplicates_are_equal_in_every_raw_column_nulls_and_unknown_ones_included(lake):
    unknown = {"request_source": pa.string(), "notes": pa.list_(pa.string())}
    same = {"fare_amount": 10.0, "request_source": "a", "passenger_count": None, "notes": ["x", None]}
    rows = [
        *(same, same, same),
        {**same, "request_source": "b"},
        {**same, "request_source": None},
        {**same, "notes": ["x"]},
        {**same, "passenger_count": 1, "RatecodeID": None},
        {**same, "passenger_count": None, "RatecodeID": 1, "trip_distance": -0.0},
        {**same, "passenger_count": None, "RatecodeID": 1, "trip_distance": 0.0},
        {**same, "total_amount": -13.5},
        {**same, "total_amount": None},
        {**same, "total_amount": None},
    ]
    lake.put(rows, **unknown)
    report = lake.load()
    assert report["quarantined"] == {"duplicate": 4, "total_missing": 2}
    assert sorted(report["unknown_columns"]) == ["notes", "request_source"]
    kept = lake.current("trips")
    assert len({row["trip_id"] for row in kept}) == len(kept) == report["rows_kept"] == 7
    assert all(len(row["trip_id"]) == 32 and int(row["trip_id"], 16) for row in kept)
    raw = [json.loads(row["raw_row"]) for row in lake.current("quarantine_trips")]
    assert {row["request_source"] for row in raw} == {"a"}


def test_a_trip_keeps_its_id_whatever_the_width_and_order_of_the_columns(lake, spark):
    lake.put([{"passenger_count": None}], "a.parquet")
    lake.load(file="a.parquet")
    (trip_id,) = (row["trip_id"] for row in lake.current("trips"))
    lake.put(
        [{"passenger_count": None}], "b.parquet", VendorID=pa.int64(), PULocationID=pa.int16(), ehail_fee=pa.null()
    )
    table = pq.read_table(lake.raw("b.parquet"))
    pq.write_table(table.select(table.column_names[::-1]), lake.raw("b.parquet"))
    lake.load(file="b.parquet")
    assert [row["trip_id"] for row in lake.current("trips")] == [trip_id]
    # The bytes that identity.py documents: ids in marts outlive the code.
    there = sum(1 << place for place in (0, 1, 2, 4, 5, 6, 7, 8, 9, 11, 21))
    times = "timestamp_ntz'2024-01-10 09:30:00', timestamp_ntz'2024-01-10 09:42:00'"
    values = f"'yellow', '2024-01', '', {there}L, 2L, {times}, 2.5D, 1L, 'N', 132L, 4L, 1L, 10D, 13.5D"
    halves = ", ".join(f"lpad(hex(xxhash64({half}L, {values})), 16, '0')" for half in (1, 2))
    assert spark.sql(f"select concat({halves}) as id").first()["id"] == trip_id
