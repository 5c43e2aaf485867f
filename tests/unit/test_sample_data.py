"""The generated files: the TLC's schema of their month, its habits, its dirt, and the truth about it."""

from __future__ import annotations

import collections
import json

import pytest

pytest.importorskip("pyarrow", reason="needs the extra 'local'")

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from airflow_lakehouse_provider import sample_data
from airflow_lakehouse_provider.month import Month

I32, I64, F64, TEXT, TIME = (str(of) for of in (pa.int32(), pa.int64(), pa.float64(), pa.string(), pa.timestamp("us")))


def schema(path):
    return {field.name: str(field.type) for field in pq.read_schema(path)}


@pytest.mark.parametrize(
    ("service", "month", "expected", "absent"),
    [
        ("yellow", "2011-03", {"VendorID": I64, "RateCodeID": I64, "passenger_count": I64}, ["PULocationID"]),
        ("yellow", "2016-07", {"PULocationID": I64, "RatecodeID": I64, "payment_type": I64}, ["cbd_congestion_fee"]),
        (
            "yellow",
            "2019-01",
            {"passenger_count": F64, "RatecodeID": F64, "congestion_surcharge": F64},
            ["Airport_fee"],
        ),
        ("yellow", "2021-01", {"VendorID": I64, "airport_fee": F64, "tpep_pickup_datetime": TIME}, ["Airport_fee"]),
        ("yellow", "2023-02", {"VendorID": I32, "DOLocationID": I32, "passenger_count": I64, "Airport_fee": F64}, []),
        ("yellow", "2025-01", {"cbd_congestion_fee": F64, "RatecodeID": I64}, ["request_source"]),
        ("yellow", "2026-06", {"request_source": TEXT}, ["airport_fee"]),
        ("green", "2016-06", {"Lpep_dropoff_datetime": TIME}, ["lpep_dropoff_datetime", "DOLocationID"]),
        ("green", "2021-01", {"VendorID": I64, "payment_type": F64, "trip_type": F64, "ehail_fee": "null"}, []),
        ("green", "2023-12", {"VendorID": I32, "payment_type": I64, "trip_type": I64, "ehail_fee": F64}, []),
        ("green", "2025-11", {"VendorID": I32, "passenger_count": F64, "payment_type": F64}, []),
        ("green", "2025-02", {"cbd_congestion_fee": F64, "store_and_fwd_flag": TEXT}, ["airport_fee", "Airport_fee"]),
    ],
)
def test_the_schema_is_the_one_of_the_month(tmp_path, service, month, expected, absent):
    path = sample_data.write(service, Month.parse(month), 10, tmp_path)
    assert path == tmp_path / f"{service}_tripdata_{month}.parquet"
    found = schema(path)
    assert {name: found.get(name) for name in expected} == expected
    assert not set(absent) & set(found)


def test_a_column_of_nulls_flips_its_type_from_month_to_month(tmp_path):
    types = {schema(sample_data.write("yellow", Month(2018, n), 5, tmp_path))["airport_fee"] for n in (1, 2)}
    assert types == {I32, F64}


@pytest.mark.parametrize("file_format", sample_data.FORMATS)
def test_the_same_seed_gives_the_same_bytes(tmp_path, file_format):
    def content(folder, **arguments):
        path = sample_data.write(
            "yellow", Month(2024, 1), 2_000, tmp_path / folder, file_format=file_format, **arguments
        )
        return path.read_bytes(), path.with_suffix(".truth.json").read_bytes()

    assert content("a") == content("b")
    assert content("c", seed=1)[0] != content("d", seed=2)[0]
    assert content("e", seed=1) == content("c", seed=1)


def test_months_differ(tmp_path):
    first, second = (pq.read_table(sample_data.write("yellow", Month(2024, n), 50, tmp_path)) for n in (1, 2))
    assert first["trip_distance"] != second["trip_distance"]


def test_the_trips_have_the_habits_of_trips(tmp_path):
    table = pq.read_table(sample_data.write("yellow", Month(2024, 1), 60_000, tmp_path))
    hours = collections.Counter(pc.hour(table["tpep_pickup_datetime"]).to_pylist())
    assert 16 <= max((hour for hour in hours if hour is not None), key=hours.__getitem__) <= 19
    assert hours[4] * 4 < hours[18]
    zones = collections.Counter(table["PULocationID"].to_pylist())
    assert {zone for zone, _ in zones.most_common(5)} <= {132, 161, 237, 236, 162, 138}
    assert len(zones) > 250
    # Flex fares, and only they, come without passengers.
    flex = pc.equal(table["payment_type"], 0)
    assert flex.equals(pc.is_null(table["passenger_count"]))
    assert 0.05 < pc.mean(pc.cast(flex, pa.float64())).as_py() < 0.15
    parts = [
        *("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount", "improvement_surcharge"),
        *("congestion_surcharge", "Airport_fee"),
    ]
    rows = table.select([*parts, "total_amount"]).to_pylist()
    adds_up = sum(abs(sum(row[part] or 0 for part in parts) - (row["total_amount"] or 0)) < 3 for row in rows)
    assert adds_up / len(rows) > 0.98
    assert 0.001 < sum((row["total_amount"] or 0) < 0 for row in rows) / len(rows) < 0.01


@pytest.mark.parametrize(("service", "month"), [("yellow", "2024-11"), ("green", "2025-02"), ("yellow", "2011-01")])
def test_the_truth_adds_up_and_knows_every_fault(tmp_path, service, month):
    path = sample_data.write(service, Month.parse(month), 5_000, tmp_path)
    truth = json.loads(path.with_suffix(".truth.json").read_text())
    assert truth["rows"] == truth["kept"] + truth["quarantined"] == pq.read_metadata(path).num_rows == 5_000
    assert sum(truth["reasons"].values()) == truth["quarantined"]
    expected = {
        *("pickup_missing", "dropoff_missing", "pickup_outside_month", "dropoff_before_pickup", "trip_too_long"),
        *("distance_missing", "distance_negative", "total_missing", "total_implausible", "uncastable", "duplicate"),
    }
    assert set(truth["reasons"]) == expected | ({"location_unknown"} if month > "2016-07" else set())
    assert truth["kept"] / truth["rows"] > 0.98
    marks = {"duration_long", "distance_implausible"}
    marks |= {"clock_change"} if month.endswith("-11") else set()
    marks |= {"time_stuck"} if service == "green" else set()
    assert {mark for mark, rows in truth["suspect"].items() if rows} == marks


def test_csv_holds_what_parquet_holds(tmp_path):
    paths = [
        sample_data.write("green", Month(2019, 6), 500, tmp_path, file_format=each) for each in sample_data.FORMATS
    ]
    parquet, csv = pq.read_table(paths[0]), pa_csv.read_csv(paths[1])
    assert csv.column_names == parquet.column_names
    assert csv.num_rows == parquet.num_rows
    assert csv["DOLocationID"].to_pylist() == parquet["DOLocationID"].to_pylist()
    assert paths[1].name == "green_tripdata_2019-06.csv"


@pytest.mark.parametrize(("month", "surplus"), [(Month(2014, 5), 0), (Month(2016, 8), 2)])
def test_csv_has_the_traps_of_its_time(tmp_path, month, surplus):
    """Names behind blanks in 2014; in the second half of 2016, more fields than names."""
    header, line, *_ = sample_data.write("yellow", month, 5, tmp_path, file_format="csv").read_text().splitlines()
    names, fields = header.split(","), line.split(",")
    assert len(fields) == len(names) + surplus
    assert all(name.startswith(" ") for name in names[1:]) is (month.year == 2014)
    assert line.endswith("," * surplus)


@pytest.mark.parametrize("rows", [1, 2, 3, 999])
def test_few_rows_are_fine(tmp_path, rows):
    assert pq.read_metadata(sample_data.write("green", Month(2025, 2), rows, tmp_path)).num_rows == rows


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"service": "blue"}, "service must be one of yellow, green, not 'blue'"),
        ({"month": Month(2010, 12)}, "month must be from 2011-01 to 2027-12, not 2010-12"),
        ({"month": Month(2028, 1)}, "not 2028-01"),
        ({"rows": 0}, "rows must be from 1 to 50000000, not 0"),
        ({"file_format": "orc"}, "file_format must be one of parquet, csv, not 'orc'"),
    ],
)
def test_what_cannot_be_written_is_refused_by_name(tmp_path, changes, sentence):
    arguments = {"service": "yellow", "month": Month(2024, 1), "rows": 10, "file_format": "parquet", **changes}
    with pytest.raises(ValueError, match=sentence):
        sample_data.write(out_dir=tmp_path, **arguments)
    assert list(tmp_path.iterdir()) == []
