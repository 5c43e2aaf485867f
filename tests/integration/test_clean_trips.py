"""The Glue script as users have it: a job of the local AWS, started over HTTP, crawled and queried through Athena."""

from __future__ import annotations

import json
import time
import uuid

import pytest
import yaml

from airflow_lakehouse_provider import sample_data
from airflow_lakehouse_provider.config import Lakehouse
from airflow_lakehouse_provider.month import Month

from . import s3_objects

pytestmark = pytest.mark.spark

# The cleaned zone's columns, which its readers rely on
TRIPS = """
    trip_id string, vendor_id int, pickup_at timestamp, dropoff_at timestamp, passenger_count int, trip_distance double,
    rate_code_id int, store_and_fwd_flag string, pickup_location_id int, dropoff_location_id int, payment_type_id int,
    trip_type_id int, fare_amount decimal(10,2), extra decimal(10,2), mta_tax decimal(10,2), tip_amount decimal(10,2),
    tolls_amount decimal(10,2), improvement_surcharge decimal(10,2), congestion_surcharge decimal(10,2),
    airport_fee decimal(10,2), cbd_congestion_fee decimal(10,2), ehail_fee decimal(10,2), total_amount decimal(10,2),
    is_reversal boolean, suspect array<string>, source_file string, run_id string, loaded_at timestamp
"""


def wait_for(condition, seconds=120.0, pause=0.1):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(pause)
    return found


class Months:
    """A lakehouse of this module's own, and how to load a month into it."""

    def __init__(self, local_aws, boto, repository):
        from airflow_lakehouse_provider.provision import provision

        name = uuid.uuid4().hex[:8]
        text = (repository / "example_dags" / "lakehouse.yaml").read_text()
        content = yaml.safe_load(text.replace("nyc-taxi", f"clean-{name}").replace("nyc_taxi", f"clean_{name}"))
        content["glue"]["job"] = f"clean-{name}"
        self.lakehouse, self.local, self.boto = Lakehouse.from_mapping(content), local_aws, boto
        provision(local_aws.endpoint, self.lakehouse)

    def start(self, service, month, **arguments):
        given = {"YEAR": month.year_text, "MONTH": str(month.month), "service": service}
        given |= {"raw_uri": self.lakehouse.raw_uri(service, month), **arguments}
        job = {f"--{name}": value for name, value in given.items()}
        return self.boto("glue").start_job_run(JobName=self.lakehouse.glue.job, Arguments=job)["JobRunId"]

    def state(self, run_id):
        return self.boto("glue").get_job_run(JobName=self.lakehouse.glue.job, RunId=run_id)["JobRun"]

    def ended(self, run_id):
        return wait_for(lambda: (run := self.state(run_id)).get("CompletedOn") and run)

    def upload(self, path, service, month):
        s3_objects.upload(self.boto("s3"), self.lakehouse.raw_uri(service, month), path)

    def objects(self):
        found = s3_objects.uris(self.boto("s3"), f"{self.lakehouse.zones.cleaned}/")
        return [uri.removeprefix(f"{self.lakehouse.zones.cleaned}/") for uri in found]

    def crawl(self):
        glue, crawler = self.boto("glue"), self.lakehouse.glue.crawler
        glue.start_crawler(Name=crawler)
        wait_for(lambda: glue.get_crawler(Name=crawler)["Crawler"]["State"] == "READY")

    def columns(self, table):
        found = self.boto("glue").get_table(DatabaseName=self.lakehouse.databases.cleaned, Name=table)["Table"]
        columns = {column["Name"]: column["Type"] for column in found["StorageDescriptor"]["Columns"]}
        return columns, [key["Name"] for key in found["PartitionKeys"]]

    def query(self, sql):
        athena = self.boto("athena")
        query_id = athena.start_query_execution(
            QueryString=sql,
            WorkGroup=self.lakehouse.athena.work_group,
            QueryExecutionContext={"Database": self.lakehouse.databases.cleaned},
        )["QueryExecutionId"]
        status = wait_for(
            lambda: (
                (found := athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"])["State"]
                not in ("QUEUED", "RUNNING")
                and found
            )
        )
        assert status["State"] == "SUCCEEDED", status
        rows = athena.get_query_results(QueryExecutionId=query_id)["ResultSet"]["Rows"][1:]
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows]


@pytest.fixture(scope="module")
def months(local_aws, boto, repository):
    return Months(local_aws, boto, repository)


def test_a_month_ends_up_in_athena_with_the_counts_of_its_truth(months, tmp_path):
    service, month = "green", Month(2025, 2)
    path = sample_data.write(service, month, 3_000, tmp_path)
    truth = json.loads(path.with_suffix(".truth.json").read_text())
    months.upload(path, service, month)
    report_uri = f"{months.lakehouse.zones.artifacts}/report.json"
    run_id = months.start(service, month, report_uri=report_uri)
    run = months.ended(run_id)
    assert run["JobRunState"] == "SUCCEEDED", run
    report = json.loads(s3_objects.read(months.boto("s3"), report_uri))
    assert (report["run_id"], report["rows_kept"], report["quarantined"]) == (run_id, truth["kept"], truth["reasons"])
    assert set(report["files"]) <= set(s3_objects.uris(months.boto("s3"), f"{months.lakehouse.zones.cleaned}/"))

    months.crawl()
    promised = dict(column.strip().rsplit(" ", 1) for column in TRIPS.replace("(10,2)", "(10;2)").split(","))
    promised = {name: type_.replace(";", ",") for name, type_ in promised.items()}
    assert months.columns("trips") == (promised, ["service", "year", "month"])
    quarantine = {**promised, "reasons": "array<string>", "raw_row": "string"}
    assert months.columns("quarantine_trips") == (quarantine, ["service", "year", "month"])
    audit, keys = months.columns("load_audit")
    assert keys == []
    assert (audit["rows_read"], audit["rejected_duplicate"], audit["suspect_time_stuck"]) == ("bigint",) * 3
    assert (audit["committed_at"], audit["unknown_columns"], audit["seconds"]) == (
        "timestamp",
        "array<string>",
        "double",
    )

    by_reason = months.query(
        "select reason, count(*) from quarantine_trips cross join unnest(reasons) as t(reason) "
        "where service = 'green' and year = '2025' and month = '02' group by reason"
    )
    assert {reason: int(rows) for reason, rows in by_reason} == truth["reasons"]
    marks = months.query("select mark, count(*) from trips cross join unnest(suspect) as t(mark) group by mark")
    assert {mark: int(rows) for mark, rows in marks} == {mark: n for mark, n in truth["suspect"].items() if n}
    counted = months.query("select rows_read, rows_kept, rows_quarantined, status, year, month from load_audit")
    expected = [truth["rows"], truth["kept"], truth["quarantined"], "committed", "2025", "02"]
    assert counted == [[str(each) for each in expected]]
    assert months.query("select count(*) from trips where is_reversal") == [[str(truth["reversals"])]]


@pytest.mark.slow
def test_a_run_that_is_stopped_leaves_the_month_as_it_was(months, tmp_path):
    service, month = "yellow", Month(2024, 3)
    months.upload(sample_data.write(service, month, 150_000, tmp_path), service, month)
    before = months.objects()
    run_id = months.start(service, month)
    staging = f"_staging/service={service}/"
    folder = months.local.root / months.lakehouse.zones.cleaned.removeprefix("s3://") / staging
    wait_for(lambda: folder.exists() or "CompletedOn" in months.state(run_id))
    months.boto("glue").batch_stop_job_run(JobName=months.lakehouse.glue.job, JobRunIds=[run_id])
    assert months.ended(run_id)["JobRunState"] == "STOPPED"
    assert [name for name in months.objects() if not name.startswith(staging)] == before
    # The next run of the month clears up.
    assert months.ended(months.start(service, month))["JobRunState"] == "SUCCEEDED"
    assert not [name for name in months.objects() if name.startswith(staging)]
    assert not [name for name in months.objects() if run_id in name]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"MONTH": "13"}, "LoadError: the job's arguments cannot be used: argument --MONTH: it is '13', and must be"),
        ({}, "LoadError: there is no raw file at s3://"),
        (
            {"raw_uri": "s3://no-such-bucket-here/f.parquet"},
            "LoadError: the bucket of s3://no-such-bucket-here/f. does",
        ),
    ],
)
def test_the_error_message_of_a_run_that_cannot_be(months, arguments, sentence):
    before = months.objects()
    run = months.ended(months.start("yellow", Month(2019, 5), **arguments))
    assert run["JobRunState"] == "FAILED"
    assert run["ErrorMessage"].startswith(sentence)
    assert months.objects() == before
