"""Create the resources that a lakehouse.yaml names through AWS's API: Terraform's part, for a local AWS."""

from __future__ import annotations

import json
from collections.abc import Iterable
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

# The actions of the fence role: infra/terraform/modules/access/fence.tf has them too, and tests/infra compares the two.
_READ_TABLES = ("glue:BatchGetPartition", "glue:GetPartition", "glue:GetPartitions", "glue:GetTable")
_OWN_TABLES = (
    *_READ_TABLES,
    *("glue:CreateTable", "glue:DeleteTable", "glue:GetTables", "glue:UpdateTable"),
    *("glue:BatchCreatePartition", "glue:BatchDeletePartition", "glue:CreatePartition", "glue:UpdatePartition"),
)
_QUERIES = (
    *("athena:GetQueryExecution", "athena:GetQueryResults", "athena:GetWorkGroup"),
    *("athena:StartQueryExecution", "athena:StopQueryExecution"),
)
# Partitions inherit the table's columns: else Athena fails with HIVE_PARTITION_SCHEMA_MISMATCH where files differ.
_CRAWLER_CONFIGURATION = {
    "Version": 1.0,
    "CrawlerOutput": {
        "Partitions": {"AddOrUpdateBehavior": "InheritFromTable"},
        "Tables": {"AddOrUpdateBehavior": "MergeNewColumns"},
    },
}


def provision(endpoint: str, lakehouse: Lakehouse, *, glue_scripts: Path | None = None) -> None:
    """Create the buckets, the roles, the databases, the Glue job with its script, the crawler and the work group.

    Resources that exist already are updated; nothing is deleted.

    :param endpoint: of the local AWS
    :param glue_scripts: the folder of the Glue script; None takes the starter's
    :raises FileNotFoundError: when the script is not in that folder
    """
    aws = _Clients(endpoint, lakehouse.region)
    _buckets(aws.s3, lakehouse)
    _role(aws.iam, lakehouse.glue.role, {"Service": "glue.amazonaws.com"})
    _fence_role(aws.iam, lakehouse)
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


def _role(iam: Any, arn: str, principal: dict[str, str]) -> str:
    """Create a role that a principal may take; return its name."""
    path, _, name = arn.partition(":role/")[2].rpartition("/")
    trust = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    _unless_there(
        iam.create_role,
        RoleName=name,
        Path=f"/{path}/" if path else "/",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    return name


def _fence_role(iam: Any, lakehouse: Lakehouse) -> None:
    arn = lakehouse.dbt.fence_role
    if arn is None:
        return
    # Whoever may do anything here runs dbt, and so it is the account that is trusted.
    partition, account = arn.split(":")[1], arn.split(":")[4]
    name = _role(iam, arn, {"AWS": f"arn:{partition}:iam::{account}:root"})
    iam.put_role_policy(RoleName=name, PolicyName="lakehouse", PolicyDocument=json.dumps(fence_policy(lakehouse)))


def fence_policy(lakehouse: Lakehouse) -> dict[str, Any]:
    """Return the policy of the fence role: dbt reads the lakehouse, and writes where audit schemas lie."""
    partition, account = lakehouse.glue.role.split(":")[1], lakehouse.glue.account

    def arn(service: str, *names: str) -> list[str]:
        return [f"arn:{partition}:{service}:{lakehouse.region}:{account}:{name}" for name in names]

    def tables(database: str) -> list[str]:
        return arn("glue", f"database/{database}", f"table/{database}/*")

    def objects(zone: str, folder: str = "") -> str:
        bucket, prefix = split_s3_uri(zone)
        return f"arn:{partition}:s3:::{bucket}/{prefix and f'{prefix}/'}{folder}*"

    zones, marts, cleaned = lakehouse.zones, lakehouse.databases.marts, lakehouse.databases.cleaned
    audits = f"{marts}__audit_*"
    buckets = {zone: split_s3_uri(zone) for zone in (zones.cleaned, zones.curated, zones.results)}
    bucket_arns = {zone: f"arn:{partition}:s3:::{bucket}" for zone, (bucket, _) in buckets.items()}
    listed = {zone: f"{prefix}/*" for zone, (_, prefix) in buckets.items() if prefix}
    listed[zones.results] = f"{buckets[zones.results][1]}/dbt/*".lstrip("/")
    databases = [f"database/{name}" for name in ("default", cleaned, marts, audits)]
    written = [objects(zones.results, "dbt/"), objects(zones.curated, "generations/")]
    own_database = ("glue:CreateDatabase", "glue:GetDatabase")
    statements = [
        _allow(_QUERIES, arn("athena", f"workgroup/{lakehouse.athena.work_group}")),
        _allow(("athena:GetDataCatalog",), arn("athena", "datacatalog/AwsDataCatalog")),
        _allow(("glue:GetDatabases",), arn("glue", "catalog", "database/*")),
        _allow((*_OWN_TABLES, *own_database), arn("glue", "catalog")),
        _allow(("glue:GetDatabase",), arn("glue", *databases)),
        _allow(("glue:CreateDatabase",), arn("glue", f"database/{audits}")),
        _allow(_READ_TABLES, [*tables(cleaned), *tables(marts)]),
        _allow(("glue:GetTables",), tables(marts)),
        _allow(_OWN_TABLES, tables(audits)),
        _allow(("s3:GetObject",), [objects(zones.cleaned), objects(zones.curated), objects(zones.results, "dbt/")]),
        _allow(("s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"), written),
        _allow(("s3:DeleteObject",), written[1:]),
        _allow(("s3:GetBucketLocation",), bucket_arns.values()),
        _allow(("s3:ListBucketMultipartUploads",), [bucket_arns[zones.curated], bucket_arns[zones.results]]),
    ]
    for zone, bucket in bucket_arns.items():
        when = {"Condition": {"StringLike": {"s3:prefix": listed[zone]}}} if zone in listed else {}
        statements.append({**_allow(("s3:ListBucket",), [bucket]), **when})
    return {"Version": "2012-10-17", "Statement": statements}


def _allow(actions: Iterable[str], resources: Iterable[str]) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": list(actions), "Resource": list(dict.fromkeys(resources))}


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
