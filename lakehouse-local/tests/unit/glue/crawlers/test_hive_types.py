"""Hive types: of Arrow's types, and common to two columns."""

from __future__ import annotations

import pyarrow as pa
import pytest

from lakehouse_local.glue.crawlers.hive_types import common, hive_type, merged


@pytest.mark.parametrize(
    ("arrow", "hive"),
    [
        (pa.int8(), "tinyint"),
        (pa.int32(), "int"),
        (pa.uint32(), "bigint"),
        (pa.float32(), "float"),
        (pa.float64(), "double"),
        (pa.large_string(), "string"),
        (pa.binary(16), "binary"),
        (pa.date32(), "date"),
        (pa.timestamp("us", tz="UTC"), "timestamp"),
        (pa.decimal128(10, 2), "decimal(10,2)"),
        (pa.dictionary(pa.int32(), pa.string()), "string"),
        (pa.list_(pa.struct([("X", pa.int64())])), "array<struct<x:bigint>>"),
        (pa.map_(pa.string(), pa.float64()), "map<string,double>"),
        (pa.null(), "string"),
    ],
)
def test_types(arrow, hive):
    assert hive_type(arrow) == hive


@pytest.mark.parametrize(
    ("left", "right", "both"),
    [
        ("int", "bigint", "bigint"),
        ("int", "double", "double"),
        ("float", "float", "float"),
        ("decimal(10,2)", "decimal(6,4)", "decimal(12,4)"),
        ("int", "decimal(5,2)", "decimal(12,2)"),
        ("decimal(5,2)", "double", "double"),
        ("date", "timestamp", "timestamp"),
        ("int", "string", "string"),
        ("boolean", "int", "string"),
        ("array<int>", "array<bigint>", "array<bigint>"),
        ("struct<a:int,b:struct<c:int>>", "struct<a:bigint,d:date>", "struct<a:bigint,b:struct<c:int>,d:date>"),
        ("map<string,int>", "map<string,bigint>", "string"),
    ],
)  # fmt: skip
def test_a_type_for_both(left, right, both):
    assert common(left, right) == both
    assert common(right, left).count("struct") == both.count("struct")


def test_merged_columns_keep_their_order():
    assert merged({"a": "int", "b": "string"}, {"c": "int", "a": "bigint"}) == {
        "a": "bigint",
        "b": "string",
        "c": "int",
    }
    assert list(merged({"a": "int", "b": "string"}, {"c": "int", "a": "int"})) == ["a", "b", "c"]
