"""Failures that need patched parts: a table that cannot be registered, files that change, internal errors."""

from __future__ import annotations

import pytest

from lakehouse_local.athena.failures import athena_error
from lakehouse_local.athena.results.outcome import column_info
from lakehouse_local.athena.sql import Column
from lakehouse_local.http.wire import AwsError


def test_files_go_again_when_the_table_cannot_be_registered(athena, monkeypatch):
    def refuse(*_, **__):
        raise AwsError("AlreadyExistsException", "Table already exists: default.t")

    monkeypatch.setattr(athena.catalog, "create_table", refuse)
    execution = athena.run("create table t with (external_location = 's3://bucket/t/') as select 1 as a")
    assert execution["Status"]["State"] == "FAILED"
    assert execution["Status"]["StateChangeReason"] == "AlreadyExistsException: Table already exists: default.t"
    assert athena.objects("t/") == []
    assert list((athena.store.root / ".tmp").iterdir()) in ([], [athena.store.root / ".tmp" / "duckdb"])


def test_an_internal_error_fails_the_query_and_nothing_else(athena, monkeypatch, caplog):
    def stumble(*_, **__):
        raise RuntimeError("an accident")

    monkeypatch.setattr(athena.catalog, "get_table", stumble)
    execution = athena.run("select * from t")
    assert execution["Status"]["State"] == "FAILED"
    error = execution["Status"]["AthenaError"]
    assert (error["ErrorCategory"], error["ErrorType"]) == (1, 200)
    assert "an accident" in error["ErrorMessage"]
    assert "failed inside the local Athena" in caplog.text
    monkeypatch.undo()
    assert athena.run("select 1")["Status"]["State"] == "SUCCEEDED"


def test_a_file_that_changes_is_read_anew(athena):
    import pyarrow as pa
    import pyarrow.parquet as pq

    athena.run("create external table t (a bigint, b string) stored as parquet location 's3://bucket/t/'")
    path = athena.store.root / "bucket" / "t" / "x.parquet"
    path.parent.mkdir()
    for table, expected in ((pa.table({"a": [1]}), '"1",\n'), (pa.table({"a": [2], "b": ["y"]}), '"2","y"\n')):
        pq.write_table(table, path)  # as Spark does: past the S3 API
        execution = athena.run("select a, b from t")
        assert athena.store.read(execution["ResultConfiguration"]["OutputLocation"]).decode().endswith(expected)


def test_a_file_that_goes_away_between_listing_and_reading(athena, monkeypatch):
    athena.run("create external table t (a bigint) stored as parquet location 's3://bucket/t/'")
    stored = athena.store.write("s3://bucket/t/x.parquet", b"whatever")
    athena.store.delete(stored.uri)
    monkeypatch.setattr(athena.store, "objects", lambda prefix: [stored])
    reason = athena.run("select a from t")["Status"]["StateChangeReason"]
    assert reason.startswith("HIVE_CANNOT_OPEN_SPLIT: ")
    assert "s3://bucket/t/x.parquet" in reason


def test_many_partitions_are_planned_and_read(athena):
    athena.run("create external table t (a string) partitioned by (p int) location 's3://bucket/t/'")
    for p in range(300):
        athena.store.write(f"s3://bucket/t/p={p}/x", b"%d\n" % p)
    athena.run("msck repair table t")
    execution = athena.run("select sum(p) as s, sum(cast(a as integer)) as t from t where p <> 0")
    assert athena.store.read(execution["ResultConfiguration"]["OutputLocation"]) == b'"s","t"\n"44850","44850"\n'


@pytest.mark.parametrize(
    "sql", ["select * from read_csv('/etc/passwd')", "copy t to 'x'", "attach 'x'", "pragma version"]
)
def test_duckdbs_own_statements_are_none_of_athenas(athena, sql):
    with pytest.raises(AwsError) as raised:
        athena.run(sql)
    assert raised.value.code == "InvalidRequestException"


@pytest.mark.parametrize(
    "sql", ['select * from "/etc/passwd"', "select read_text('/etc/passwd')", "select getenv('HOME')"]
)
def test_duckdbs_own_names_are_none_of_athenas(athena, sql):
    execution = athena.run(sql)
    assert execution["Status"]["State"] == "FAILED"
    assert execution["Status"]["StateChangeReason"].startswith(("TABLE_NOT_FOUND", "FUNCTION_NOT_FOUND"))


def test_error_types_are_those_of_athenas_reference():
    assert athena_error("SYNTAX_ERROR", "m") == {
        "ErrorCategory": 2, "ErrorType": 1006, "Retryable": False, "ErrorMessage": "m",
    }  # fmt: skip
    assert athena_error("ANYTHING_ELSE", "m")["ErrorType"] == 1000
    assert athena_error("GENERIC_INTERNAL_ERROR", "m")["ErrorCategory"] == 1


def test_a_utilitys_column_is_hives_string():
    info = column_info(Column("field", "string"))
    assert (info["Type"], info["Precision"], info["CaseSensitive"]) == ("string", 0, False)
