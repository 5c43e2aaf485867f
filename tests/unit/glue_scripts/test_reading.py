"""Raw files as they come: schemas that drift, CSV, several files, and those that cannot be read."""

from __future__ import annotations

import gzip

import pytest

pytest.importorskip("pyspark", reason="needs the extra 'local'")

import pyarrow as pa
import pyarrow.parquet as pq

from airflow_lakehouse_provider import sample_data
from airflow_lakehouse_provider.month import Month
from trips.errors import LoadError

pytestmark = pytest.mark.spark

HEADER = " vendor_name ,Trip_Pickup_DateTime,DROPOFF_DATETIME, Trip_Distance,Start_Lon,Payment_Type,Total_Amt"
LINES = [
    "CMT,2009-01-04 02:52:00,2009-01-04 03:02:00,2.6,-73.99,CASH,9.4",
    'VTS,2009-01-04 02:53:00,2009-01-04 03:02:00,"2.7",-73.99,Credit,9.4,surplus',
    "dds,2009-01-04 02:54:00,2009-01-04 03:02:00,2.8,,No Charge,9.4",
    "XYZ,2009-01-04 02:55:00,2009-01-04 03:02:00,2.9,-73.99,1,9.4",
    "1,2009-01-04 02:56:00,2009-01-04 03:02:00",
]


def test_a_csv_of_the_first_years(lake):
    content = "\r\r\n".join([HEADER, *LINES, "", ""])
    lake.raw("old.csv").write_text(content, newline="")
    lake.raw("gz.csv.gz").write_bytes(gzip.compress(content.encode()))
    for file in ("old.csv", "gz.csv.gz"):
        report = lake.load("yellow", "2009-01", file)
        assert report["rows_read"] == 5
        assert report["unknown_columns"] == ["Start_Lon"]
        kept = sorted(lake.current("trips", "yellow", "2009-01"), key=lambda row: row["pickup_at"])
        assert [(row["vendor_id"], row["payment_type_id"], row["trip_distance"]) for row in kept] == [
            *((1, 2, 2.6), (2, 1, 2.7), (3, 3, 2.8)),
        ]
        assert report["quarantined"] == {"distance_missing": 1, "total_missing": 1, "uncastable": 1}


@pytest.mark.slow
@pytest.mark.parametrize("service", ["yellow", "green"])
def test_a_month_as_csv_is_the_month_as_parquet(lake, service):
    loads = []
    for file_format in sample_data.FORMATS:
        folder = lake.raw(f"{file_format}/x").parent
        folder.mkdir(exist_ok=True)
        path = sample_data.write(service, Month(2021, 2), 1_000, folder, file_format=file_format)
        report = lake.load(service, "2021-02", f"{file_format}/{path.name}")
        ids = ("trip_id", "run_id", "loaded_at", "source_file")
        rows = lake.current("trips", service, "2021-02")
        loads.append(
            (report["quarantined"], sorted(str({k: v for k, v in row.items() if k not in ids}) for row in rows))
        )
    assert loads[0] == loads[1]


def test_several_files_of_one_month_whose_types_differ(lake):
    lake.put([{}, {"trip_distance": -1.0}], "parts/1.parquet")
    lake.put([{}, {"VendorID": 1}], "parts/2.parquet", VendorID=pa.int64(), passenger_count=pa.float64(),
             airport_fee=pa.null(), note=pa.string())  # fmt: skip
    lake.raw("parts/readme.txt").write_text("passed over")
    report = lake.load(file="parts/")
    assert (report["rows_read"], report["rows_kept"], report["unknown_columns"]) == (4, 3, ["note"])
    audit = {row["source_file"].rpartition("/")[2]: row for row in lake.audit()}
    assert {name: (row["rows_read"], row["rows_kept"], row["rows_quarantined"]) for name, row in audit.items()} == {
        **{"1.parquet": (2, 1, 1), "2.parquet": (2, 2, 0)},
    }
    assert {row["passenger_count"] for row in lake.current("trips")} == {1}
    assert audit["2.parquet"]["unknown_columns"] == ["note"]


def test_equal_rows_of_several_files_are_duplicates(lake):
    for name in ("parts/1.parquet", "parts/2.parquet"):
        lake.put([{}], name)
    assert lake.load(file="parts/")["quarantined"] == {"duplicate": 1}
    (kept,) = lake.current("trips")
    assert kept["source_file"].endswith("parts/1.parquet")


def parquet(**columns):
    def write(path):
        pq.write_table(pa.table(columns), path)

    return write


def cut(path):
    content = pa.BufferOutputStream()
    pq.write_table(pa.table({"tpep_pickup_datetime": ["a"] * 1000}), content)
    path.write_bytes(content.getvalue().to_pybytes()[:-100])


def broken_inside(path):
    pq.write_table(pa.table({"pickup_datetime": list(range(9000)), "dropoff_datetime": list(range(9000))}), path)
    content = bytearray(path.read_bytes())
    content[200:2000] = b"\xff" * 1800
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("name", "write", "sentence"),
    [
        ("f.parquet", None, r"there is no raw file at s3://raw/\w+/f\.parquet: upload it, or correct --raw_uri"),
        ("f.parquet", lambda path: path.write_bytes(b""), r"f\.parquet is empty \(0 bytes\): upload it again"),
        ("f.parquet", lambda path: path.write_text("a,b\n1,2\n"), r"f\.parquet cannot be read as Parquet: .*Upload it"),
        ("f.parquet", cut, r"f\.parquet cannot be read as Parquet: .*Upload it again"),
        ("f.parquet", broken_inside, r"f\.parquet cannot be read as Parquet: .*Upload it again"),
        ("f.csv.gz", lambda path: path.write_bytes(b"not gzip"), r"f\.csv\.gz cannot be read as CSV: .*Upload it"),
        ("f.parquet", parquet(zone=[1]), r"has no column for pickup_at \(one of tpep_pickup_datetime, .*it has zone"),
        ("f.parquet", parquet(pickup_datetime=["a"]), r"has no column for dropoff_at \(one of tpep_dropoff_datetime"),
        ("f.parquet", parquet(pickup_datetime=["a"], lpep_pickup_datetime=["a"]), r"has two columns for pickup_at"),
        ("f.parquet", parquet(Airport_fee=[1], airport_fee=[1]), r"two columns of one name: Airport_fee, airport_fee"),
        ("f.parquet", parquet(pickup_datetime=pa.array([], pa.string()), dropoff_datetime=pa.array([], pa.string())),
         r"f\.parquet has no rows: upload the month's file, or pass --allow_empty true"),
        ("f.csv", lambda path: path.write_text("pickup_datetime,dropoff_datetime\n"), r"f\.csv has no rows"),
        ("f.csv", lambda path: path.write_bytes(bytes(range(256)) * 9), r"f\.csv"),
        ("f.xlsx", lambda path: path.write_bytes(b"x"), r"a raw file's name must end in \.parquet, \.csv or \.csv\.gz"),
    ],
)  # fmt: skip
def test_a_raw_file_that_cannot_be_loaded_is_refused_with_a_sentence_and_nothing_written(lake, name, write, sentence):
    if write:
        write(lake.raw(name))
    with pytest.raises(LoadError, match=sentence) as refused:
        lake.load(file=name)
    assert lake.files() == []
    assert len(str(refused.value)) < 700
    assert "\n" not in str(refused.value)


def test_csv_and_parquet_of_one_month_are_refused_by_name(lake):
    lake.put([{}], "m.parquet")
    lake.raw("m.csv.gz").write_bytes(gzip.compress(b"pickup_datetime,dropoff_datetime\n1,2\n"))
    for file in ("m.parquet", ""):
        with pytest.raises(LoadError, match=r"m\.csv\.gz and s3://raw/\w+/m\.parquet: remove one of them"):
            lake.load(file=file)
