"""Tables over files of other writers: every format by its SerDe's rules, columns by name, bad data reported."""

from __future__ import annotations

import datetime
import gzip
from decimal import Decimal

import pytest

OPEN_CSV = "row format serde 'org.apache.hadoop.hive.serde2.OpenCSVSerde'"
OPENX = "row format serde 'org.openx.data.jsonserde.JsonSerDe'"


def create(warehouse, columns, row_format="", rest=""):
    warehouse.run(f"create external table t ({columns}) {row_format} location 's3://{{bucket}}/t/' {rest}")


def test_open_csv(warehouse):
    warehouse.put("t/a.csv", 'id,name\n1,"a, ""b"" \\"c\\""\n2,plain\n3,\n')
    warehouse.put("t/deep/b.csv.gz", gzip.compress(b"id,name\r\n4,d\r\n"))
    warehouse.put("t/_SUCCESS", "no,data")
    warehouse.put("t/.hidden/c.csv", "no,data")
    header = "tblproperties ('skip.header.line.count' = '1')"
    create(warehouse, "id int, name string, missing string", OPEN_CSV, header)
    assert warehouse.query("select * from t order by id") == [
        ("1", 'a, "b" "c"', None),
        ("2", "plain", None),
        ("3", "", None),
        ("4", "d", None),
    ]


def test_open_csv_with_characters_of_its_own_and_typed_columns(warehouse):
    warehouse.put("t/a.csv", "'x;y';19723;1704067200000;1.5;TRUE\n")
    own = "with serdeproperties ('separatorChar' = ';', 'quoteChar' = '\\'', 'escapeChar' = '\\\\')"
    create(
        warehouse, "a string, d `date`, t timestamp, f double, b boolean".replace("`date`", "date"), f"{OPEN_CSV} {own}"
    )
    assert warehouse.query("select * from t") == [("x;y", "2024-01-01", "2024-01-01 00:00:00.000", "1.5", "true")]


@pytest.mark.parametrize("value", ["", "x", "1.5"])
def test_open_csv_refuses_a_text_that_is_no_number(warehouse, fails, value):
    warehouse.put("t/a.csv", f'"{value}",b\n')
    create(warehouse, "id int, name string", OPEN_CSV)
    assert warehouse.query("select name from t") == [("b",)]
    assert fails("select id from t").startswith(f"HIVE_BAD_DATA: Error parsing field value {value}")


def test_delimited_text(warehouse):
    warehouse.put(
        "t/a", "1\x01x\\N\x011.50\x01true\x012024-01-02\x012024-01-02 03:04:05.678\n\\N\x01\n1.5\x01\\N\x01x\x01yes\n"
    )
    create(warehouse, "i int, s string, d decimal(5,2), b boolean, day date, at timestamp")
    assert warehouse.query("select * from t order by s") == [
        (None, "", None, None, None, None),
        ("1", "x\\N", "1.50", "true", "2024-01-02", "2024-01-02 03:04:05.678"),
        (None, None, None, None, None, None),
    ]


def test_delimited_text_with_nested_values_escapes_and_its_own_null(warehouse):
    warehouse.put("t/a.txt", "a\\,b,1;2;-,k:1;l:-,x;7\n-,,,\n")
    create(
        warehouse,
        "s string, l array<int>, m map<string,int>, r struct<x:string,y:int>",
        "row format delimited fields terminated by ',' escaped by '\\\\' collection items terminated by '\\;'"
        " map keys terminated by ':' lines terminated by '\\n' null defined as '-'",
    )
    assert warehouse.query("select s, l, m, r.x, r.y from t order by s") == [
        ("a,b", "[1, 2, null]", "{k=1, l=null}", "x", "7"),
        (None, "[]", "{}", "", None),
    ]


def test_json_lines(warehouse):
    warehouse.put(
        "t/a.json",
        '{"ID": 1, "name": "a", "tags": ["x"], "at": "2024-01-02 03:04:05", "n": {"x": 1}, "z": 0}\n{"id": null}\n',
    )
    columns = "id int, name string, tags array<string>, `at` timestamp, n struct<x:int>, raw string, absent double"
    create(warehouse, columns, OPENX, "tblproperties ('x' = 'y')")
    warehouse.run("alter table t set tblproperties ('mapping.raw' = 'n')")
    assert warehouse.query("select * from t order by id") == [
        ("1", "a", "[x]", "2024-01-02 03:04:05.000", "{x=1}", '{"x":1}', None),
        (None,) * 7,
    ]


@pytest.mark.parametrize(("lenient", "rows"), [("true", [("1",), ("3",), (None,)]), ("false", None)])
def test_malformed_json(warehouse, fails, lenient, rows):
    warehouse.put("t/a.json", '{"id": 1}\nnot json\n{"id": 3}\n')
    create(warehouse, "id int", f"{OPENX} with serdeproperties ('ignore.malformed.json' = '{lenient}')")
    if rows is None:
        assert fails("select * from t").startswith("HIVE_CURSOR_ERROR: Row is not a valid JSON Object")
    else:
        assert warehouse.query("select * from t order by id") == rows


def test_json_of_another_type(warehouse, fails):
    warehouse.put("t/a.json", '{"id": "one"}\n')
    create(warehouse, "id int", OPENX)
    assert fails("select * from t").startswith("HIVE_BAD_DATA: Error parsing field value one as integer for field id")


def test_parquet_by_name_missing_columns_null_types_widened(warehouse):
    import pyarrow as pa

    warehouse.put_parquet("t/old.parquet", [{"B": "x", "a": 1}], B=pa.string(), a=pa.int32())
    warehouse.put_parquet(
        "t/new.parquet",
        [{"a": 2, "extra": 1, "d": Decimal("1.5"), "at": datetime.datetime(2024, 1, 2, 3)}],
        a=pa.int64(), extra=pa.int8(), d=pa.decimal128(5, 1), at=pa.timestamp("ns"),
    )  # fmt: skip
    warehouse.put("t/empty.parquet", b"")
    create(warehouse, "a bigint, b string, d decimal(10,2), at timestamp", "stored as parquet")
    assert warehouse.query("select * from t order by a") == [
        ("1", "x", None, None),
        ("2", None, "1.50", "2024-01-02 03:00:00.000"),
    ]


@pytest.mark.parametrize(
    ("arrow", "value", "hive", "message"),
    [
        (
            "int64",
            1,
            "double",
            "Field c's type INT64 in parquet file s3://{}/t/a.parquet is incompatible with type double",
        ),
        ("float64", 1.0, "bigint", "Field c's type DOUBLE in parquet file"),
        ("string", "x", "int", "Field c's type BINARY in parquet file"),
        ("int64", 1, "string", "incompatible with type varchar defined in table schema"),
        ("bool", True, "int", "Field c's type BOOLEAN"),
        ("date32", datetime.date(2024, 1, 1), "timestamp", "Field c's type INT32"),
        ("string", "x", "array<string>", "Field c's type BINARY"),
        ("list", ["x"], "string", "Field c's type group"),
    ],
)
def test_parquet_of_another_type_than_the_tables(warehouse, fails, arrow, value, hive, message):
    import pyarrow as pa

    of = pa.list_(pa.string()) if arrow == "list" else getattr(pa, {"bool": "bool_"}.get(arrow, arrow))()
    warehouse.put_parquet("t/a.parquet", [{"ok": 1, "c": value}], ok=pa.int32(), c=of)
    warehouse.put_parquet("t/nulls.parquet", [{"ok": 2, "c": None}], ok=pa.int32(), c=of)
    create(warehouse, f"ok int, c {hive}", "stored as parquet")
    assert warehouse.query("select sum(ok) from t") == [("3",)]  # only what is read can be bad
    reason = fails("select c from t")
    assert reason.startswith("HIVE_BAD_DATA: ")
    assert message.format(warehouse.bucket) in reason


def test_parquet_integers_that_do_not_fit(warehouse, fails):
    import pyarrow as pa

    warehouse.put_parquet("t/a.parquet", [{"c": 3_000_000_000}], c=pa.int64())
    create(warehouse, "c int", "stored as parquet")
    assert "out of range" in fails("select c from t").lower()


@pytest.mark.parametrize("content", [b"this is no parquet", b"PAR1" + b"\0" * 40 + b"PAR1"], ids=["text", "magic only"])
def test_a_corrupt_parquet_file_is_named(warehouse, fails, content):
    import pyarrow as pa

    warehouse.put_parquet("t/a.parquet", [{"c": 1}], c=pa.int64())
    warehouse.put("t/b.parquet", content)
    create(warehouse, "c bigint", "stored as parquet")
    reason = fails("select c from t")
    assert reason.startswith(f"HIVE_BAD_DATA: Not valid Parquet file: s3://{warehouse.bucket}/t/b.parquet: ")
    assert "/root/" not in reason


def test_only_the_partitions_that_qualify_are_read(warehouse, fails):
    import pyarrow as pa

    for month in ("01", "02"):
        warehouse.put_parquet(f"t/year=2024/month={month}/a.parquet", [{"c": int(month)}], c=pa.int64())
    warehouse.put("t/year=2024/month=03/corrupt.parquet", b"rubbish")
    create(warehouse, "c bigint", "partitioned by (year int, month string) stored as parquet")
    warehouse.run("msck repair table t")
    for where in (
        "month = '02'",
        "year = 2024 and month in ('02', '04')",
        "month > '01' and month < '03'",
        "month = '0' || '2' and c > 1",
        "month like '%2'",
    ):
        assert warehouse.query(f"select c, year, month from t where {where}") == [("2", "2024", "02")]
    assert warehouse.query("select count(*) from (select * from t) where month <> '03'") == [("2",)]
    assert warehouse.query("with x as (select * from t) select count(*) from x where month <> '03'") == [("2",)]
    warehouse.run("create view v as select c, month from t")
    assert warehouse.query("select count(*) from v where month <> '03'") == [("2",)]
    assert warehouse.query("select count(*) from t where year = 2023") == [("0",)]
    assert "corrupt.parquet" in fails("select c from t")
    one, both = (warehouse.run(f"select c from t where month <= '{m}'")["Statistics"] for m in ("01", "02"))
    assert 0 < one["DataScannedInBytes"] < both["DataScannedInBytes"]


def test_bytes_scanned_are_those_of_the_columns_read(warehouse):
    import pyarrow as pa

    rows = [{"a": i, "b": f"{i:0200d}"} for i in range(3000)]
    warehouse.put_parquet("t/a.parquet", rows, a=pa.int64(), b=pa.string())
    create(warehouse, "a bigint, b string", "stored as parquet")
    size = len(warehouse.read(f"s3://{warehouse.bucket}/t/a.parquet"))
    few, all_of_it = (
        warehouse.run(sql)["Statistics"] for sql in ("select sum(a) from t", "select sum(length(b)) from t")
    )
    assert 0 < few["DataScannedInBytes"] < all_of_it["DataScannedInBytes"] <= size
    again = warehouse.run("select sum(a) from t")["Statistics"]
    assert again["DataScannedInBytes"] == few["DataScannedInBytes"]  # no cache of DuckDB's hides them
    assert warehouse.run("select 1")["Statistics"]["DataScannedInBytes"] == 0


def test_a_partition_that_declares_another_type(warehouse, fails):
    create(warehouse, "c int", "partitioned by (p string) stored as parquet")
    warehouse.run("alter table t add partition (p = 'a') location 's3://{bucket}/t/a/'")
    warehouse.run("alter table t replace columns (c date)")
    assert fails("select * from t").startswith(
        "HIVE_PARTITION_SCHEMA_MISMATCH: There is a mismatch between the table and"
    )


@pytest.mark.parametrize(
    ("row_format", "message"),
    [
        (
            "stored as orc",
            "NOT_SUPPORTED: ORC, which Athena has, is not supported by the local AWS; PARQUET, TEXTFILE, CSV, JSON are",
        ),
        ("stored as avro", "NOT_SUPPORTED: AVRO, which Athena has, is not supported by the local AWS"),
        (
            "row format serde 'org.apache.hadoop.hive.serde2.RegexSerDe'",
            "RegexSerDe, is not supported by the local AWS",
        ),
        ("stored as csvfile", "STORED AS 'CSVFILE' is not one of PARQUET"),
    ],
)
def test_formats_that_are_not_supported(warehouse, fails, row_format, message):
    assert message in fails(f"create external table t (c int) {row_format} location 's3://{{bucket}}/t/'")
    assert warehouse.lines("show tables") == []


def test_unsupported_tables_of_other_clients(warehouse, fails):
    create(warehouse, "c int", "stored as parquet")
    table = warehouse.table("t")
    serde = {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.orc.OrcSerde"}
    for name, changed in (
        ("orc", {"StorageDescriptor": {**table["StorageDescriptor"], "SerdeInfo": serde}}),
        ("iceberg", {"Parameters": {"table_type": "ICEBERG"}, "StorageDescriptor": table["StorageDescriptor"]}),
        ("projected", {"Parameters": {"projection.enabled": "true"}, "StorageDescriptor": table["StorageDescriptor"]}),
    ):
        made = {"Name": name, "TableType": "EXTERNAL_TABLE", **changed}
        warehouse.glue.create_table(DatabaseName=warehouse.database, TableInput=made)
    assert fails("select * from orc").startswith("NOT_SUPPORTED: ORC")
    assert "is an Iceberg table: these are not supported by the local AWS yet" in fails("select * from iceberg")
    assert "partition projection" in fails("select * from projected")


def test_a_compression_that_is_not_served(warehouse, fails):
    warehouse.put("t/a.csv.bz2", b"BZh91AY")
    create(warehouse, "c string")
    assert "t/a.csv.bz2: this compression is not supported by the local AWS" in fails("select * from t")


def test_a_table_without_files_or_bucket(warehouse, fails):
    create(warehouse, "c int", "stored as parquet")
    assert warehouse.query("select count(*), max(c) from t") == [("0", None)]
    warehouse.run("create external table gone (c int) location 's3://no-such-bucket-here/x/'")
    assert fails("select * from gone").startswith("HIVE_FILESYSTEM_ERROR: Error listing s3://no-such-bucket-here/x/")
