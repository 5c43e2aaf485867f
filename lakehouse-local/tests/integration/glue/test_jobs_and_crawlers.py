"""Jobs and crawlers through boto3; one Spark run covers everything that needs Spark."""

from __future__ import annotations

import io
import json
import textwrap
import time
import uuid
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError


def wait_for(condition, seconds=300.0, pause=0.05):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"the condition is still false after {seconds:g} seconds"
        time.sleep(pause)
    return found


@pytest.fixture
def glue(boto):
    return boto("glue")


@pytest.fixture
def make_job(boto, bucket):
    """Create a job from a script, and return its name."""

    def make(script, command="pythonshell", **settings):
        name = f"job-{uuid.uuid4().hex[:12]}"
        boto("s3").put_object(Bucket=bucket, Key=f"{name}.py", Body=textwrap.dedent(script))
        runs = {"Name": command, "ScriptLocation": f"s3://{bucket}/{name}.py"}
        boto("glue").create_job(Name=name, Role="role", Command=runs, **settings)
        return name

    return make


def finished(glue, name, run_id):
    def ended():
        run = glue.get_job_run(JobName=name, RunId=run_id)["JobRun"]
        return run if "CompletedOn" in run else None

    return wait_for(ended)


def run(glue, name, **arguments):
    run_id = glue.start_job_run(JobName=name, Arguments=arguments)["JobRunId"]
    return finished(glue, name, run_id)


def crawl(glue, name):
    glue.start_crawler(Name=name)
    wait_for(lambda: glue.get_crawler(Name=name)["Crawler"]["State"] == "READY")
    return glue.list_crawls(CrawlerName=name)["Crawls"][0]


def log(boto, group, stream):
    return [
        event["message"] for event in boto("logs").get_log_events(logGroupName=group, logStreamName=stream)["events"]
    ]


def parquet(**columns):
    content = io.BytesIO()
    pq.write_table(pa.table(columns), content)
    return content.getvalue()


def test_a_python_shell_job_with_boto3_inside(glue, boto, bucket, make_job):
    name = make_job("""
        import sys, boto3
        from awsglue.utils import getResolvedOptions
        given = getResolvedOptions(sys.argv, ["bucket"])
        boto3.client("s3").put_object(Bucket=given["bucket"], Key="made", Body=b"1")
        print("made it", boto3.client("sts").get_caller_identity()["Account"])
        raise ValueError("and failed all the same")
    """)  # fmt: skip
    ended = run(glue, name, **{"--bucket": bucket})
    assert ended["JobRunState"] == "FAILED"
    assert ended["ErrorMessage"] == "ValueError: and failed all the same"
    assert ended["StartedOn"].tzinfo is not None
    assert boto("s3").get_object(Bucket=bucket, Key="made")["Body"].read() == b"1"
    assert log(boto, "/aws-glue/python-jobs/output", ended["Id"]) == ["made it 123456789012"]
    assert log(boto, "/aws-glue/python-jobs/error", ended["Id"])[-1] == "ValueError: and failed all the same"


def test_errors_are_boto3s_own(glue, boto, make_job):
    name = make_job("import time; time.sleep(600)")
    run_id = glue.start_job_run(JobName=name)["JobRunId"]
    with pytest.raises(glue.exceptions.ConcurrentRunsExceededException):
        glue.start_job_run(JobName=name)
    with pytest.raises(
        glue.exceptions.EntityNotFoundException, match="Failed to start job run due to missing metadata"
    ):
        glue.start_job_run(JobName="none")
    with pytest.raises(glue.exceptions.InvalidInputException, match="MaxCapacity of a Python shell"):
        glue.start_job_run(JobName=name, MaxCapacity=3.0)
    unchecked = boto("glue", parameter_validation=False)
    with pytest.raises(ClientError, match="ValidationException"):
        unchecked.start_job_run(JobName=name, Timeout=0)
    assert glue.batch_stop_job_run(JobName=name, JobRunIds=[run_id])["SuccessfulSubmissions"]
    assert finished(glue, name, run_id)["JobRunState"] == "STOPPED"
    pages = glue.get_paginator("get_job_runs").paginate(JobName=name, PaginationConfig={"PageSize": 1})
    assert [each["Id"] for page in pages for each in page["JobRuns"]] == [run_id]
    glue.delete_job(JobName=name)
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.get_job(JobName=name)


def test_tags_of_jobs_and_crawlers(glue, bucket, database, make_job):
    name = make_job("", Tags={"team": "a"})
    arn = f"arn:aws:glue:us-east-1:123456789012:job/{name}"
    assert glue.get_tags(ResourceArn=arn)["Tags"] == {"team": "a"}
    targets = {"S3Targets": [{"Path": f"s3://{bucket}/"}]}
    glue.create_crawler(Name=name, Role="r", DatabaseName=database, Targets=targets, Tags={"x": "1"})
    assert glue.get_tags(ResourceArn=arn.replace(":job/", ":crawler/"))["Tags"] == {"x": "1"}
    glue.delete_crawler(Name=name)
    assert glue.get_tags(ResourceArn=arn.replace(":job/", ":crawler/"))["Tags"] == {}


def test_a_crawl_of_objects_put_over_http(glue, boto, bucket, database):
    for month in ("01", "02"):
        key = f"trips/year=2024/month={month}/part-0.parquet"
        boto("s3").put_object(Bucket=bucket, Key=key, Body=parquet(id=[1, 2], fare=[1.5, 2.5]))
    name = f"crawler-{database}"
    glue.create_crawler(
        Name=name, Role="r", DatabaseName=database, Targets={"S3Targets": [{"Path": f"s3://{bucket}/trips"}]}
    )
    record = crawl(glue, name)
    assert record["State"] == "COMPLETED"
    assert json.loads(json.loads(record["Summary"])["PARTITION"])["ADD"]["Count"] == 2
    table = glue.get_table(DatabaseName=database, Name="trips")["Table"]
    assert [column["Type"] for column in table["StorageDescriptor"]["Columns"]] == ["bigint", "double"]
    found = glue.get_partitions(DatabaseName=database, TableName="trips", Expression="month > '01'")["Partitions"]
    assert [each["Values"] for each in found] == [["2024", "02"]]
    last = glue.get_crawler(Name=name)["Crawler"]["LastCrawl"]
    assert last["Status"] == "SUCCEEDED"
    assert any("Created table trips" in line for line in log(boto, last["LogGroup"], last["LogStream"]))
    with pytest.raises(glue.exceptions.CrawlerNotRunningException):
        glue.stop_crawler(Name=name)
    with pytest.raises(glue.exceptions.EntityNotFoundException):
        glue.start_crawler(Name="none")


SPARK = """
    import sys
    from awsglue.context import GlueContext
    from awsglue.dynamicframe import DynamicFrame
    from awsglue.job import Job
    from awsglue.transforms import ApplyMapping, DropNullFields, Filter
    from awsglue.utils import getResolvedOptions
    from pyspark.context import SparkContext
    from pyspark.sql.functions import udf

    given = getResolvedOptions(sys.argv, ["JOB_NAME", "bucket", "database"])
    glue = GlueContext(SparkContext.getOrCreate())
    spark, base = glue.spark_session, "s3://" + given["bucket"]
    job = Job(glue)
    job.init(given["JOB_NAME"], given)
    rows = spark.read.parquet(base + "/in/")
    rows = rows.withColumn("twice", udf(lambda n: 2 * n, "int")("id"))
    rows.write.mode("overwrite").partitionBy("month").parquet(base + "/out/")

    frame = glue.create_dynamic_frame.from_catalog(
        database=given["database"], table_name="zones", push_down_predicate="year = '2024'")
    assert sorted(frame.toDF().columns) == ["empty", "id", "month", "year"], frame.toDF().columns
    assert {row.month for row in frame.toDF().collect()} == {"01"}, "partition values keep their zeros"
    frame = DropNullFields.apply(frame=frame)
    frame = Filter.apply(frame=frame, f=lambda row: row["id"] > 1)
    frame = ApplyMapping.apply(frame=frame, mappings=[("id", "bigint", "zone", "string")])
    glue.write_dynamic_frame.from_options(
        frame=frame, connection_type="s3", connection_options={"path": base + "/csv/"}, format="csv")
    back = glue.create_dynamic_frame.from_options(
        connection_type="s3", connection_options={"paths": [base + "/csv/"]}, format="csv",
        format_options={"withHeader": True})
    print("zones", [row.zone for row in back.toDF().collect()])
    print("conf", spark.conf.get("spark.sql.shuffle.partitions"), spark.conf.get("spark.sql.session.timeZone"))
    glue.get_logger().info("a line of the logger")
    job.commit()
    spark.read.parquet(base + "/nothing/")
"""


@pytest.mark.spark
def test_a_spark_job(glue, boto, bucket, database, make_job):
    s3 = boto("s3")
    s3.put_object(
        Bucket=bucket, Key="in/a.parquet", Body=parquet(id=pa.array([1, 2, 3], pa.int32()), month=["01", "01", "02"])
    )
    s3.put_object(Bucket=bucket, Key="out/month=01/old.parquet", Body=parquet(id=[9]))
    empty = pa.array([None, None], pa.string())
    for year in ("2023", "2024"):
        s3.put_object(Bucket=bucket, Key=f"zones/year={year}/month=01/a.parquet", Body=parquet(id=[1, 2], empty=empty))
    targets = {"S3Targets": [{"Path": f"s3://{bucket}/zones/"}]}
    glue.create_crawler(Name=database, Role="r", DatabaseName=database, Targets=targets)
    crawl(glue, database)
    name = make_job(SPARK, "glueetl", WorkerType="G.1X", NumberOfWorkers=4, GlueVersion="5.0")
    arguments = {"--bucket": bucket, "--database": database, "--conf": "spark.sql.shuffle.partitions=3"}
    ended = run(glue, name, **arguments)
    output = log(boto, "/aws-glue/jobs/output", ended["Id"])
    errors = log(boto, "/aws-glue/jobs/error", ended["Id"])
    # The last line of the script fails on purpose, after everything else succeeded.
    assert (
        ended["ErrorMessage"] == f"AnalysisException: [PATH_NOT_FOUND] Path does not exist: s3://{bucket}/nothing."
    ), errors
    assert ended["DPUSeconds"] == ended["ExecutionTime"] * 4
    assert output == ["zones ['2']", "conf 3 UTC"]
    assert any(line.endswith("a line of the logger") for line in errors)
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket, Prefix="out/")["Contents"]]
    assert not any("_temporary" in key or key.endswith((".crc", "old.parquet")) for key in keys)
    parts = [key for key in keys if "month=" in key]
    bodies = [s3.get_object(Bucket=bucket, Key=key)["Body"].read() for key in parts]
    found = [pq.read_table(io.BytesIO(body)).to_pylist() for body in bodies]
    assert sorted(row["twice"] for rows in found for row in rows) == [2, 4, 6]


@pytest.mark.slow
def test_a_restart_after_a_kill(start_local, tmp_path):
    local = start_local()
    s3, glue = local.client("s3"), local.client("glue")
    s3.create_bucket(Bucket="code")
    s3.put_object(Bucket="code", Key="a.py", Body="import os, time; print(os.getpid(), flush=True); time.sleep(600)")
    glue.create_job(Name="job", Role="r", Command={"Name": "pythonshell", "ScriptLocation": "s3://code/a.py"})
    run_id = glue.start_job_run(JobName="job")["JobRunId"]
    output = local.root / ".jobs" / run_id / "output.log"
    pid = int(wait_for(lambda: output.is_file() and output.read_text()))
    local.kill()
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        wait_for(lambda: not stat.exists() or stat.read_text().split()[2] == "Z", seconds=5)
    glue = start_local(local.root).client("glue")
    found = glue.get_job_run(JobName="job", RunId=run_id)["JobRun"]
    assert found["JobRunState"] == "FAILED"
    assert found["ErrorMessage"].startswith("The job run ended because the local AWS was stopped or killed.")
    assert glue.get_job(JobName="job")["Job"]["Command"]["ScriptLocation"] == "s3://code/a.py"
