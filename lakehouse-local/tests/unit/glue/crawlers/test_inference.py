"""Formats and columns of objects."""

from __future__ import annotations

import datetime
import decimal
import gzip

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import orc

from lakehouse_local.glue.crawlers.inference import Unclassifiable, contents


def test_parquet_and_orc(tmp_path):
    table = pa.table({"ID": [1, 2], "At": [datetime.datetime(2024, 1, 1)] * 2, "fee": [decimal.Decimal("1.50")] * 2})
    pq.write_table(table, tmp_path / "a.parquet")
    orc.write_table(table, tmp_path / "a.orc")
    expected = {"id": "bigint", "at": "timestamp", "fee": "decimal(3,2)"}
    for name in ("parquet", "orc"):
        found = contents(tmp_path / f"a.{name}")
        assert (found.format, found.columns, found.records) == (name, expected, 2)


def text(tmp_path, content, name="a"):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return contents(tmp_path / name)


@pytest.mark.parametrize(
    ("content", "delimiter", "header", "columns", "records"),
    [
        ("id,name\n1,a\n2,b\n", ",", True, {"id": "bigint", "name": "string"}, 2),
        ("1,a\n2,b\n", ",", False, {"col0": "bigint", "col1": "string"}, 2),
        ("a|b\n1.5|x\n", "|", True, {"a": "double", "b": "string"}, 1),
        ("a\tb\n1\t2\n", "\t", True, {"a": "bigint", "b": "bigint"}, 1),
        ('id,"a, b"\n1,"x, y"\n', ",", False, {"col0": "string", "col1": "string"}, 2),  # no name has a comma
        ('id,note\n1,"x, y"\n', ",", True, {"id": "bigint", "note": "string"}, 1),
        ("a,b\nc,d\n", ",", False, {"col0": "string", "col1": "string"}, 2),  # nothing shows that it is a header
        ("a,a\n1,2\n", ",", False, {"col0": "string", "col1": "string"}, 2),
        ("id,x\n1,\n2,\n", ",", True, {"id": "bigint", "x": "string"}, 2),
        ("\ufeffid;x\n1;2\n", ";", True, {"id": "bigint", "x": "bigint"}, 1),
    ],
)
def test_csv(tmp_path, content, delimiter, header, columns, records):
    found = text(tmp_path, content)
    assert (found.format, found.columns, found.records) == ("csv", columns, records)
    assert (found.csv.delimiter, found.csv.header) == (delimiter, header)


@pytest.mark.parametrize(
    ("content", "columns", "records"),
    [
        (
            '{"a": 1, "B": "x"}\n{"a": 3000000000, "c": [1.5]}\n',
            {"a": "bigint", "b": "string", "c": "array<double>"},
            2,
        ),
        ('[{"a": true}, {"a": false}]', {"a": "boolean"}, 2),
        ('{"a": null}', {"a": "string"}, 1),
        ('{"a": {"b": 1, "c": null}}', {"a": "struct<b:int,c:string>"}, 1),
    ],
)
def test_json(tmp_path, content, columns, records):
    found = text(tmp_path, content)
    assert (found.format, found.columns, found.records) == ("json", columns, records)


def test_gzip(tmp_path):
    found = text(tmp_path, gzip.compress(b"id,x\n1,2\n"))
    assert (found.format, found.compression) == ("csv", "gzip")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PAR1 but not really", "begins as parquet and cannot be read"),
        (b"ORC nor this", "begins as orc"),
        (b"just words\nin lines\n", "no common delimiter"),
        (b"a,b\n1\n", "no common delimiter"),
        (b'{"a": 1', "begins as JSON"),
        (b"[1, 2]", "records are not objects"),
        (b"\xff\xfe\x00\x01", "neither Parquet, ORC nor UTF-8 text"),
        (b"a\x00b", "neither Parquet, ORC nor text"),
        (gzip.compress(b"a,b\n1,2\n" * 1000, mtime=0)[:40], "not a whole gzip file"),
    ],
)
def test_an_object_that_no_classifier_recognizes(tmp_path, content, message):
    with pytest.raises(Unclassifiable, match=message):
        text(tmp_path, content)


def test_a_large_text_is_estimated(tmp_path):
    found = text(tmp_path, "id,x\n" + "1,2\n" * 400_000)
    assert 395_000 < found.records < 405_000
