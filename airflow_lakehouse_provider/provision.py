"""Create the resources that a lakehouse.yaml names through AWS's API: Terraform's part, for a local AWS."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from airflow_lakehouse_provider import starter
from airflow_lakehouse_provider.config import Lakehouse
from airflow_lakehouse_provider.dbt.library import library as dbt_library
from airflow_lakehouse_provider.s3_uri import split_s3_uri
from airflow_lakehouse_provider.starter import zip_of as zip_of

SCRIPT = "clean_trips.py"
DBT_SCRIPT, DBT_LIBRARY = "run_dbt.py", "airflow_lakehouse_provider.zip"
LIBRARY = "trips"  # the folder beside the script that travels as --extra-py-files
CLEANED_TABLES = ("trips", "quarantine_trips", "load_audit")

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"},
    ],
}
# Partitions inherit the table's columns: else Athena fails with HIVE_PARTITION_SCHEMA_MISMATCH where files differ.
_CRAWLER_CONFIGURATION = {
    "Version": 1.0,
    "CrawlerOutput": {
        "Partitions": {"AddOrUpdateBehavior": "InheritFromTable"},
        "Tables": {"AddOrUpdateBehavior": "MergeNewColumns"},
    },
}


def provision(endpoint: str, lakehouse: Lakehouse, *, glue_scripts: Path | None = None) -> None:
    """Create the buckets, the role, the databases, the Glue job with its script, the crawler and the work group.

    Resources that exist already are updated; nothing is deleted.

    :param endpoint: of the local AWS
    :param glue_scripts: the folder of the Glue script; None takes the starter's
    :raises FileNotFoundError: when the script is not in that folder
    """
    aws = _Clients(endpoint, lakehouse.region)
    _buckets(aws.s3, lakehouse)
    _role(aws.iam, lakehouse.glue.role)
    for database in (lakehouse.databases.cleaned, lakehouse.databases.marts):
        _unless_there(aws.glue.create_database, DatabaseInput={"Name": database})
    _upload_script(aws.s3, lakehouse, glue_scripts or starter.path("glue_scripts"))
    _job(aws.glue, lakehouse)
    _dbt_job(aws.glue, lakehouse)
    _crawler(aws.glue, lakehouse)
    _work_group(aws.athena, lakehouse)


class _Clients:
    def __init__(self, endpoint: str, region: str) -> None:
        import boto3

        session = boto3.Session("local", "local", region_name=region)
        config = Config(retries={"mode": "standard", "total_max_attempts": 3})

        def client(service: str) -> Any:
            return session.client(service, endpoint_url=endpoint, config=config)

        self.s3, self.iam, self.glue, self.athena = (client(name) for name in ("s3", "iam", "glue", "athena"))


def _unless_there(create: Any, **arguments: Any) -> bool:
    """Call a create operation; return False if the resource exists already."""
    try:
        create(**arguments)
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"]["Message"]
        if "AlreadyExists" in code or "AlreadyOwned" in code or "already" in message.lower():
            return False
        raise
    return True


def _buckets(s3: Any, lakehouse: Lakehouse) -> None:
    there = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    # us-east-1 is the one region that CreateBucket refuses as a LocationConstraint.
    elsewhere = {"CreateBucketConfiguration": {"LocationConstraint": lakehouse.region}}
    for bucket in lakehouse.buckets:
        if bucket not in there:
            s3.create_bucket(Bucket=bucket, **({} if lakehouse.region == "us-east-1" else elsewhere))


def _role(iam: Any, arn: str) -> None:
    path, _, name = arn.partition(":role/")[2].rpartition("/")
    _unless_there(
        iam.create_role,
        RoleName=name,
        Path=f"/{path}/" if path else "/",
        AssumeRolePolicyDocument=json.dumps(_TRUST),
    )


def _upload_script(s3: Any, lakehouse: Lakehouse, folder: Path) -> None:
    script = folder / SCRIPT
    if not script.is_file():
        raise FileNotFoundError(f"the Glue script {script} is missing")
    bucket, prefix = split_s3_uri(lakehouse.zones.artifacts)
    prefix = f"{prefix}/glue_scripts" if prefix else "glue_scripts"
    s3.put_object(Bucket=bucket, Key=f"{prefix}/{SCRIPT}", Body=script.read_bytes())
    s3.put_object(Bucket=bucket, Key=f"{prefix}/{LIBRARY}.zip", Body=zip_of(folder / LIBRARY))
    if lakehouse.dbt.glue_job:
        own = folder / DBT_SCRIPT  # optional there: the script is the same for every lakehouse
        dbt_script = own if own.is_file() else starter.path("glue_scripts") / DBT_SCRIPT
        s3.put_object(Bucket=bucket, Key=f"{prefix}/{DBT_SCRIPT}", Body=dbt_script.read_bytes())
        s3.put_object(Bucket=bucket, Key=f"{prefix}/{DBT_LIBRARY}", Body=dbt_library())


def _job(glue: Any, lakehouse: Lakehouse) -> None:
    scripts = f"{lakehouse.zones.artifacts}/glue_scripts"
    job = {
        "Role": lakehouse.glue.role,
        "Command": {"Name": "glueetl", "ScriptLocation": f"{scripts}/{SCRIPT}", "PythonVersion": "3"},
        "DefaultArguments": {
            "--extra-py-files": f"{scripts}/{LIBRARY}.zip",
            "--job-language": "python",
            "--job-bookmark-option": "job-bookmark-disable",  # a rerun of a month must read the raw file again
            "--cleaned_uri": lakehouse.zones.cleaned,
        },
        "GlueVersion": lakehouse.glue.version,
        "WorkerType": lakehouse.glue.worker_type,
        "NumberOfWorkers": lakehouse.glue.workers,
        "Timeout": lakehouse.glue.timeout_minutes,
        "MaxRetries": 0,  # Airflow retries
        "ExecutionProperty": {"MaxConcurrentRuns": lakehouse.glue.max_concurrent_runs},
        "Description": "Cleans a month of trips. Created by airflow-lakehouse-provider.",
    }
    if not _unless_there(glue.create_job, Name=lakehouse.glue.job, **job):
        glue.update_job(JobName=lakehouse.glue.job, JobUpdate=job)


def _dbt_job(glue: Any, lakehouse: Lakehouse) -> None:
    if not lakehouse.dbt.glue_job:
        return
    scripts = f"{lakehouse.zones.artifacts}/glue_scripts"
    lines = (starter.path("dbt_models") / "requirements.txt").read_text(encoding="utf-8").splitlines()
    wanted = [line.partition("#")[0].strip() for line in lines]
    job = {
        "Role": lakehouse.glue.role,
        "Command": {"Name": "glueetl", "ScriptLocation": f"{scripts}/{DBT_SCRIPT}", "PythonVersion": "3"},
        "DefaultArguments": {
            "--extra-py-files": f"{scripts}/{DBT_LIBRARY}",
            "--additional-python-modules": ",".join(line for line in wanted if line),
            "--job-language": "python",
        },
        "GlueVersion": "5.1",
        "WorkerType": "G.1X",
        "NumberOfWorkers": 2,
        "Timeout": lakehouse.glue.timeout_minutes,
        "MaxRetries": 0,
        "ExecutionProperty": {"MaxConcurrentRuns": lakehouse.glue.max_concurrent_runs},
        "Description": "Runs dbt on Athena. Created by airflow-lakehouse-provider.",
    }
    if not _unless_there(glue.create_job, Name=lakehouse.dbt.glue_job, **job):
        glue.update_job(JobName=lakehouse.dbt.glue_job, JobUpdate=job)


def _crawler(glue: Any, lakehouse: Lakehouse) -> None:
    crawler = {
        "Name": lakehouse.glue.crawler,
        "Role": lakehouse.glue.role,
        "DatabaseName": lakehouse.databases.cleaned,
        "Targets": {"S3Targets": [{"Path": f"{lakehouse.zones.cleaned}/{table}/"} for table in CLEANED_TABLES]},
        "SchemaChangePolicy": {"UpdateBehavior": "UPDATE_IN_DATABASE", "DeleteBehavior": "LOG"},
        "RecrawlPolicy": {"RecrawlBehavior": "CRAWL_EVERYTHING"},
        "Configuration": json.dumps(_CRAWLER_CONFIGURATION),
    }
    if _unless_there(glue.create_crawler, **crawler):
        return
    try:
        glue.update_crawler(**crawler)
    except ClientError as error:
        if error.response["Error"]["Code"] != "CrawlerRunningException":
            raise


def _work_group(athena: Any, lakehouse: Lakehouse) -> None:
    # Not enforced: else dbt-athena leaves external_location out, and marts are written among the query results.
    configuration = {
        "ResultConfiguration": {"OutputLocation": f"{lakehouse.zones.results}/"},
        "EnforceWorkGroupConfiguration": False,
        "PublishCloudWatchMetricsEnabled": False,
    }
    name = lakehouse.athena.work_group
    there = {group["Name"] for group in athena.list_work_groups()["WorkGroups"]}
    if name not in there:
        athena.create_work_group(Name=name, Configuration=configuration)
        return
    update = {
        "EnforceWorkGroupConfiguration": False,
        "ResultConfigurationUpdates": {"OutputLocation": f"{lakehouse.zones.results}/"},
    }
    athena.update_work_group(WorkGroup=name, ConfigurationUpdates=update)
