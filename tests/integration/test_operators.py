"""The Glue operator and the crawler's sensor on the local AWS, with real clients, waiting here and in a trigger."""

from __future__ import annotations

import asyncio
import importlib
import json
import uuid

import pytest

pytest.importorskip("airflow")

from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowFailException, TaskDeferred
from airflow_lakehouse_provider.operators.glue import GlueMonthlyJobOperator
from airflow_lakehouse_provider.sensors.crawler import CrawlerCompletionSensor
from airflow_lakehouse_provider.triggers import base

ROLE = "arn:aws:iam::123456789012:role/glue"
MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["here", "deferred"])
# Writes a row for the month, and its report; fails when asked to.
SCRIPT = """
import json, sys
import boto3
args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
month = f"year={int(args['--YEAR'])}/month={int(args['--MONTH']):02d}"
if "--fail" in args:
    raise ValueError(f"nothing is known of {month}")
s3 = boto3.client("s3")
bucket = args["--bucket"]
s3.put_object(Bucket=bucket, Key=f"cleaned/sales/{month}/part.csv", Body=b"id,amount\\n1,2.5\\n2,3.5\\n")
s3.put_object(Bucket=bucket, Key="report.json", Body=json.dumps({"rows_kept": 2}).encode())
"""


class Pushed(dict):
    """A task instance as far as operators and links ask it."""

    map_index, try_number, task_id, dag_id, run_id = -1, 1, "task", "dag", "run"

    def xcom_push(self, key, value, **more):
        self[key] = value


def context():
    ti = Pushed()
    return {"ti": ti, "task_instance": ti, "params": {}, "run_id": "run", "dag_run": None}


def run(make):
    """Execute a task to its end, through its trigger where it defers; return its result."""
    try:
        return make().execute(context())
    except TaskDeferred as deferred:
        path, arguments = deferred.trigger.serialize()
        module, _, name = path.rpartition(".")
        trigger = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))

        async def first():
            async for event in trigger.run():
                return json.loads(json.dumps(event.payload))

        return getattr(make(), deferred.method_name)(context(), event=asyncio.run(first()))


@pytest.fixture
def aws(local_aws, monkeypatch):
    for name, value in local_aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    monkeypatch.setattr(base, "HOLD", 0.0)
    return local_aws


@pytest.fixture
def job(aws, boto, bucket):
    name = f"clean-{uuid.uuid4().hex[:8]}"
    boto("s3").put_object(Bucket=bucket, Key="clean.py", Body=SCRIPT.encode())
    boto("glue").create_job(
        Name=name,
        Role=ROLE,
        Command={"Name": "pythonshell", "ScriptLocation": f"s3://{bucket}/clean.py", "PythonVersion": "3.9"},
        DefaultArguments={"--bucket": bucket},
    )
    return name


def clean(job, **arguments):
    defaults = {"task_id": "clean", "job_name": job, "year": 2024, "month": 1, "job_poll_interval": 0.2}
    return GlueMonthlyJobOperator(**defaults | arguments)


@MODES
def test_a_month_is_cleaned_and_catalogued(aws, boto, job, bucket, database, deferrable):
    cleaned = run(lambda: clean(job, script_args={"--report_uri": f"s3://{bucket}/report.json"}, deferrable=deferrable))
    assert (cleaned["state"], cleaned["year"], cleaned["month"]) == ("SUCCEEDED", 2024, 1)
    assert cleaned["report"] == {"rows_kept": 2}
    started = boto("glue").get_job_run(JobName=job, RunId=cleaned["run_id"])["JobRun"]
    assert (started["Arguments"]["--YEAR"], started["Arguments"]["--MONTH"]) == ("2024", "01")

    crawler = f"crawl-{uuid.uuid4().hex[:8]}"
    boto("glue").create_crawler(
        Name=crawler,
        Role=ROLE,
        DatabaseName=database,
        Targets={"S3Targets": [{"Path": f"s3://{bucket}/cleaned/sales/"}]},
    )

    def catalogue():
        return CrawlerCompletionSensor(
            task_id="catalogue",
            crawler_name=crawler,
            since=cleaned["completed_on"],
            poke_interval=0.2,
            timeout=60,
            deferrable=deferrable,
        )

    crawled = run(catalogue)
    assert crawled["state"] == "COMPLETED"
    assert crawled["started_on"] >= cleaned["completed_on"]
    partitions = boto("glue").get_partitions(DatabaseName=database, TableName="sales")["Partitions"]
    assert [each["Values"] for each in partitions] == [["2024", "01"]]
    # A second wait for the same load takes the same crawl.
    assert run(catalogue)["crawl_id"] == crawled["crawl_id"]
    assert len(boto("glue").list_crawls(CrawlerName=crawler)["Crawls"]) == 1


@MODES
def test_a_failed_run_shows_the_scripts_own_error(aws, job, deferrable):
    with pytest.raises(AirflowException, match=r"ended FAILED: ValueError: nothing is known of year=2024/month=01"):
        run(lambda: clean(job, script_args={"--fail": "yes"}, deferrable=deferrable))


def test_an_unknown_job_is_named(aws):
    with pytest.raises(AirflowFailException, match="no-such-job"):
        run(lambda: clean("no-such-job"))


@pytest.mark.parametrize(("year", "month"), [(2024, 13), (24, 1), (2024, None)])
def test_a_month_that_is_none_starts_nothing(aws, boto, job, year, month):
    with pytest.raises(AirflowFailException, match=r"month|year"):
        run(lambda: clean(job, year=year, month=month))
    assert boto("glue").get_job_runs(JobName=job)["JobRuns"] == []


def test_an_unknown_crawler_is_named(aws):
    with pytest.raises(AirflowFailException, match="no-such-crawler"):
        run(lambda: CrawlerCompletionSensor(task_id="c", crawler_name="no-such-crawler", since="2024-01-01T00:00:00Z"))
