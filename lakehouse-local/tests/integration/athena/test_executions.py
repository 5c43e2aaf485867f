"""Query executions: started once, polled, paged, stopped, listed, and found again after a restart."""

from __future__ import annotations

import csv
import io
import json
import threading
import time
import uuid

import pytest
from botocore.exceptions import ClientError

ENDLESS = "select sum(a + b * c - d) from " + " cross join ".join(
    f"unnest(sequence(1, 10000)) as x{name} ({name})" for name in "abcd"
)


def refused(call, code="InvalidRequestException"):
    with pytest.raises(ClientError) as raised:
        call()
    assert raised.value.response["Error"]["Code"] == code
    return raised.value.response["Error"]["Message"]


def test_a_query_from_start_to_its_files(warehouse):
    execution_id = warehouse.start("select 1 as a, 'x \"y\"' as b, cast(null as varchar) as c, '' as d -- so\n;")
    execution = warehouse.wait(execution_id)
    assert execution["QueryExecutionId"] == execution_id
    assert execution["Query"].endswith("-- so\n;")
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DML", "SELECT")
    assert execution["QueryExecutionContext"] == {"Database": warehouse.database, "Catalog": "AwsDataCatalog"}
    assert execution["WorkGroup"] == "primary"
    assert execution["EngineVersion"]["EffectiveEngineVersion"] == "Athena engine version 3"
    status, statistics = execution["Status"], execution["Statistics"]
    assert status["State"] == "SUCCEEDED"
    assert status["SubmissionDateTime"] <= status["CompletionDateTime"]
    assert {"DataScannedInBytes", "EngineExecutionTimeInMillis", "TotalExecutionTimeInMillis"} <= statistics.keys()
    location = execution["ResultConfiguration"]["OutputLocation"]
    assert location == f"{warehouse.output}{execution_id}.csv"
    assert warehouse.read(location) == b'"a","b","c","d"\n"1","x ""y""",,""\n'
    assert [column["Name"] for column in json.loads(warehouse.read(f"{location}.metadata"))] == ["a", "b", "c", "d"]
    rows = warehouse.results(execution)["ResultSet"]["Rows"]
    assert rows[0] == {"Data": [{"VarCharValue": name} for name in "abcd"]}
    assert rows[1] == {"Data": [{"VarCharValue": "1"}, {"VarCharValue": 'x "y"'}, {}, {"VarCharValue": ""}]}
    runtime = warehouse.athena.get_query_runtime_statistics(QueryExecutionId=execution_id)["QueryRuntimeStatistics"]
    assert runtime["Timeline"]["TotalExecutionTimeInMillis"] == statistics["TotalExecutionTimeInMillis"]


@pytest.mark.parametrize(
    ("sql", "of", "precision", "scale", "text"),
    [
        ("tinyint '1'", "tinyint", 3, 0, "1"),
        ("smallint '1'", "smallint", 5, 0, "1"),
        ("1", "integer", 10, 0, "1"),
        ("3000000000", "bigint", 19, 0, "3000000000"),
        ("real '1.5'", "float", 17, 0, "1.5"),
        ("1e10", "double", 17, 0, "1.0E10"),
        ("true", "boolean", 0, 0, "true"),
        ("1.50", "decimal", 3, 2, "1.50"),
        ("'abc'", "varchar", 3, 0, "abc"),
        ("cast('abc' as varchar)", "varchar", 2147483647, 0, "abc"),
        ("cast('abc' as char(5))", "char", 5, 0, "abc  "),
        ("date '2024-02-29'", "date", 0, 0, "2024-02-29"),
        ("timestamp '2024-01-02 03:04:05.678'", "timestamp", 3, 0, "2024-01-02 03:04:05.678"),
        ("timestamp '2024-01-02 03:04:05 UTC'", "timestamp with time zone", 3, 0, "2024-01-02 03:04:05.000 UTC"),
        ("X'0aff'", "varbinary", 1073741824, 0, "0a ff"),
        ("array[1, null]", "array", 0, 0, "[1, null]"),
        ("map(array['a'], array[1.5])", "map", 0, 0, "{a=1.5}"),
        ("cast(row(1, 'x') as row(a integer, b varchar))", "row", 0, 0, "{a=1, b=x}"),
    ],
)
def test_columns_are_described_and_written_as_athena_does(warehouse, sql, of, precision, scale, text):
    response = warehouse.results(warehouse.run(f"select {sql} as c"))["ResultSet"]
    (column,) = response["ResultSetMetadata"]["ColumnInfo"]
    assert (column["Name"], column["Type"], column["Precision"], column["Scale"]) == ("c", of, precision, scale)
    assert column["CaseSensitive"] == (of in ("varchar", "char"))
    assert response["Rows"][1]["Data"] == [{"VarCharValue": text}]


def test_an_empty_result_has_columns(warehouse):
    response = warehouse.results(
        warehouse.run("select * from (select 1 as a, 'x' as b) as __dbt_sbq where false limit 0")
    )
    assert [column["Name"] for column in response["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]] == ["a", "b"]
    assert len(response["ResultSet"]["Rows"]) == 1
    assert "NextToken" not in response


def test_results_are_paged_at_a_thousand_rows(warehouse):
    execution = warehouse.run("select n from unnest(sequence(1, 2500)) as x (n) order by n")
    pages = [warehouse.results(execution)]
    while "NextToken" in pages[-1]:
        pages.append(warehouse.results(execution, NextToken=pages[-1]["NextToken"]))
    assert [len(page["ResultSet"]["Rows"]) for page in pages] == [1000, 1000, 501]  # the header is a row
    values = [row["Data"][0]["VarCharValue"] for page in pages for row in page["ResultSet"]["Rows"]]
    assert values == ["n", *map(str, range(1, 2501))]
    assert all(page["ResultSet"]["ResultSetMetadata"]["ColumnInfo"] for page in pages)
    assert len(warehouse.results(execution, MaxResults=7)["ResultSet"]["Rows"]) == 7
    assert "less than or equal to 1000" in refused(lambda: warehouse.results(execution, MaxResults=1001))
    assert "NextToken 'x'" in refused(lambda: warehouse.results(execution, NextToken="x"))
    body = warehouse.read(execution["ResultConfiguration"]["OutputLocation"]).decode()
    assert len(list(csv.reader(io.StringIO(body)))) == 2501


def test_a_failure_says_why(warehouse):
    execution = warehouse.wait(warehouse.start("select * from nowhere"))
    status = execution["Status"]
    assert status["State"] == "FAILED"
    assert status["StateChangeReason"].startswith("TABLE_NOT_FOUND: line 1:15: Table ")
    error = status["AthenaError"]
    assert (error["ErrorCategory"], error["ErrorType"], error["Retryable"]) == (2, 1110, False)
    assert error["ErrorMessage"] == status["StateChangeReason"]
    assert (
        refused(lambda: warehouse.results(execution)) == "Query did not finish successfully. Final query state: FAILED"
    )
    assert warehouse.objects("results/") == []


def test_the_same_token_starts_once(warehouse, boto):
    token = uuid.uuid4().hex
    ids: list[str] = []
    threads = [
        threading.Thread(target=lambda: ids.append(warehouse.start("select 1", ClientRequestToken=token)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 8
    assert len(set(ids)) == 1
    message = refused(lambda: warehouse.start("select 2", ClientRequestToken=token))
    assert message == "Idempotent parameters do not match: this ClientRequestToken started another query"
    raw = boto("athena", parameter_validation=False)
    message = refused(lambda: raw.start_query_execution(QueryString="select 1", ClientRequestToken="short"))
    assert "length greater than or equal to 32" in message


def test_get_holds_while_a_query_runs_and_stop_ends_it(warehouse):
    execution_id = warehouse.start(ENDLESS)
    begun = time.monotonic()
    execution = warehouse.athena.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"]
    held = time.monotonic() - begun
    assert execution["Status"]["State"] in ("QUEUED", "RUNNING")
    assert 0.4 < held < 5
    message = refused(lambda: warehouse.results(execution))
    assert message.startswith("Query has not yet finished. Current state: ")
    warehouse.athena.stop_query_execution(QueryExecutionId=execution_id)
    stopped = warehouse.wait(execution_id)
    assert time.monotonic() - begun < 30
    assert stopped["Status"]["State"] == "CANCELLED"
    assert stopped["Status"]["StateChangeReason"] == "Query was cancelled by user"
    assert "Final query state: CANCELLED" in refused(lambda: warehouse.results(stopped))
    warehouse.athena.stop_query_execution(QueryExecutionId=execution_id)  # once more does nothing
    assert warehouse.wait(execution_id)["Status"]["State"] == "CANCELLED"


def test_more_queries_than_run_at_once_are_queued_and_can_be_stopped(warehouse):
    ids = [warehouse.start(ENDLESS) for _ in range(10)]
    for execution_id in reversed(ids):  # the queued ones first
        warehouse.athena.stop_query_execution(QueryExecutionId=execution_id)
    assert {warehouse.wait(execution_id)["Status"]["State"] for execution_id in ids} == {"CANCELLED"}
    assert warehouse.query("select 1") == [("1",)]


def test_a_stopped_create_table_as_leaves_nothing(warehouse):
    execution_id = warehouse.start(f"create table t (a) as {ENDLESS}")
    warehouse.athena.get_query_execution(QueryExecutionId=execution_id)
    warehouse.athena.stop_query_execution(QueryExecutionId=execution_id)
    assert warehouse.wait(execution_id)["Status"]["State"] == "CANCELLED"
    assert warehouse.lines("show tables") == []
    assert [key for key in warehouse.objects() if "tables/" in key] == []


def test_batch_get_and_list(warehouse):
    group = f"group-{uuid.uuid4().hex[:8]}"
    warehouse.athena.create_work_group(Name=group)
    ids = [warehouse.start(f"select {n}", WorkGroup=group) for n in range(3)]
    for execution_id in ids:
        warehouse.wait(execution_id)
    assert warehouse.athena.list_query_executions(WorkGroup=group)["QueryExecutionIds"] == ids[::-1]
    first = warehouse.athena.list_query_executions(WorkGroup=group, MaxResults=2)
    second = warehouse.athena.list_query_executions(WorkGroup=group, MaxResults=2, NextToken=first["NextToken"])
    assert first["QueryExecutionIds"] + second["QueryExecutionIds"] == ids[::-1]
    response = warehouse.athena.batch_get_query_execution(QueryExecutionIds=[*ids, "gone"])
    assert [each["Query"] for each in response["QueryExecutions"]] == ["select 0", "select 1", "select 2"]
    (missing,) = response["UnprocessedQueryExecutionIds"]
    assert (missing["QueryExecutionId"], missing["ErrorMessage"]) == ("gone", "QueryExecution gone was not found")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"WorkGroup": "nowhere"}, "WorkGroup nowhere is not found."),
        ({"ResultConfiguration": {}}, "No output location provided."),
        (
            {"ResultConfiguration": {"OutputLocation": "/tmp/x"}},
            "outputLocation is not a valid S3 path. provided: /tmp/x",
        ),
        ({"ResultConfiguration": {"OutputLocation": "s3://no-such-bucket-0/"}}, "output bucket no-such-bucket-0."),
        (
            {"QueryExecutionContext": {"Catalog": "other"}},
            "Catalog other is not found: the local AWS has only AwsDataCatalog",
        ),
    ],
)
def test_start_query_execution_refuses(warehouse, arguments, message):
    assert message in refused(lambda: warehouse.start("select 1", **arguments))


def test_a_statement_that_is_too_long(warehouse):
    assert "262144" in refused(lambda: warehouse.start(f"select '{'x' * 262144}'"))


@pytest.mark.parametrize(
    "call",
    [
        lambda athena: athena.get_query_execution(QueryExecutionId="gone"),
        lambda athena: athena.get_query_results(QueryExecutionId="gone"),
        lambda athena: athena.stop_query_execution(QueryExecutionId="gone"),
    ],
)
def test_an_execution_that_is_not_there(warehouse, call):
    assert refused(lambda: call(warehouse.athena)) == "QueryExecution gone was not found"


def test_explain(warehouse):
    execution = warehouse.run("explain select count(*) from (values 1, 2) v (a) where a > 1")
    assert execution["SubstatementType"] == "EXPLAIN"
    response = warehouse.results(execution)["ResultSet"]
    assert response["ResultSetMetadata"]["ColumnInfo"][0]["Name"] == "Query Plan"
    assert len(response["Rows"]) > 3
    assert response["Rows"][0] == {"Data": [{"VarCharValue": "Query Plan"}]}
    assert json.loads("\n".join(warehouse.lines("explain (format json) select 1")[1:]))
    assert warehouse.lines("explain (type validate) select 1") == ["Valid", "true"]
    assert (
        "is not supported by the local AWS"
        in (warehouse.wait(warehouse.start("explain (format graphviz) select 1"))["Status"]["StateChangeReason"])
    )
    assert len(warehouse.lines("explain analyze select 1")) > 3
    assert (
        "TABLE_NOT_FOUND"
        in warehouse.wait(warehouse.start("explain select * from gone"))["Status"]["StateChangeReason"]
    )


def test_prepared_statements_and_parameters(warehouse):
    athena, group = warehouse.athena, "primary"
    name = f"p_{uuid.uuid4().hex[:8]}"
    statement = "select a, b from (values (1, 'x'), (2, 'it''s')) v (a, b) where a >= ? and b = ?"
    athena.create_prepared_statement(StatementName=name, WorkGroup=group, QueryStatement=statement, Description="one")
    assert warehouse.query(f"execute {name} using 1, 'it''s'") == [("2", "it's")]
    assert warehouse.query(f"EXECUTE {name}", ExecutionParameters=["1", "'x'"]) == [("1", "x")]
    assert warehouse.query(statement, ExecutionParameters=["2", "'it''s'"]) == [("2", "it's")]
    for sql, given in ((statement, ["1"]), (statement, []), (f"execute {name} using 1", [])):
        arguments = {"ExecutionParameters": given} if given else {}
        reason = warehouse.wait(warehouse.start(sql, **arguments))["Status"]["StateChangeReason"]
        assert "Incorrect number of parameters: expected 2 but found" in reason
    found = athena.get_prepared_statement(StatementName=name, WorkGroup=group)["PreparedStatement"]
    assert (found["QueryStatement"], found["Description"]) == (statement, "one")
    athena.update_prepared_statement(StatementName=name, WorkGroup=group, QueryStatement="select ?")
    assert warehouse.query(f"execute {name} using 'y'") == [("y",)]
    batch = athena.batch_get_prepared_statement(PreparedStatementNames=[name, "gone"], WorkGroup=group)
    assert [each["StatementName"] for each in batch["PreparedStatements"]] == [name]
    assert [each["StatementName"] for each in batch["UnprocessedPreparedStatementNames"]] == ["gone"]
    assert "already exists" in refused(
        lambda: athena.create_prepared_statement(StatementName=name, WorkGroup=group, QueryStatement="select 1")
    )
    athena.delete_prepared_statement(StatementName=name, WorkGroup=group)
    gone = "ResourceNotFoundException"
    assert name in refused(lambda: athena.get_prepared_statement(StatementName=name, WorkGroup=group), gone)
    assert name in refused(lambda: warehouse.start(f"execute {name}"), gone)
    warehouse.run(f"prepare {name} from select ? + 1")
    listed = athena.list_prepared_statements(WorkGroup=group)["PreparedStatements"]
    assert name in [each["StatementName"] for each in listed]
    assert warehouse.query(f"execute {name} using 41") == [("42",)]
    warehouse.run(f"deallocate prepare {name}")
    assert name in refused(lambda: warehouse.start(f"execute {name}"), gone)
    assert "mismatched input" in refused(lambda: warehouse.start(f"prepare {name} from selekt 1"))


def test_two_tables_written_at_once(warehouse):
    ids = [warehouse.start(f"create table t{n} as select {n} as a") for n in range(8)]
    assert {warehouse.wait(execution_id)["Status"]["State"] for execution_id in ids} == {"SUCCEEDED"}
    assert warehouse.lines("show tables") == [f"t{n}" for n in range(8)]


@pytest.mark.slow
def test_a_restart_finds_tables_executions_and_results(start_local):
    local = start_local()
    local.client("s3").create_bucket(Bucket="kept")
    local.client("glue").create_database(DatabaseInput={"Name": "kept"})
    output = {
        "ResultConfiguration": {"OutputLocation": "s3://kept/results/"},
        "QueryExecutionContext": {"Database": "kept"},
    }

    def run(athena, sql):
        execution_id = athena.start_query_execution(QueryString=sql, **output)["QueryExecutionId"]
        while athena.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"]["Status"]["State"] in (
            "QUEUED",
            "RUNNING",
        ):
            pass
        return execution_id

    athena = local.client("athena")
    made = run(athena, "create table t as select 1 as a, 'x' as b")
    selected = run(athena, "select * from t")
    athena.create_work_group(Name="mine", Tags=[{"Key": "k", "Value": "v"}])
    endless = athena.start_query_execution(QueryString=ENDLESS, **output)["QueryExecutionId"]
    athena.get_query_execution(QueryExecutionId=endless)
    begun = time.monotonic()
    assert local.stop() == 0
    assert time.monotonic() - begun < 30  # a running query does not hold it

    again = start_local(local.root).client("athena")
    rows = again.get_query_results(QueryExecutionId=selected)["ResultSet"]["Rows"]
    assert [cell["VarCharValue"] for cell in rows[1]["Data"]] == ["1", "x"]
    assert again.list_query_executions()["QueryExecutionIds"] == [endless, selected, made]
    status = again.get_query_execution(QueryExecutionId=endless)["QueryExecution"]["Status"]
    assert (status["State"], status["StateChangeReason"]) == (
        "FAILED",
        "GENERIC_INTERNAL_ERROR: the local AWS ended while the query ran",
    )
    after = run(again, "select count(*) from t")
    assert again.get_query_results(QueryExecutionId=after)["ResultSet"]["Rows"][1]["Data"] == [{"VarCharValue": "1"}]
    assert again.get_work_group(WorkGroup="mine")["WorkGroup"]["State"] == "ENABLED"
