"""The checks, each a function of the resources in lakehouse.yaml and of the clients of a connection."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from airflow_lakehouse_provider.config import Lakehouse
from airflow_lakehouse_provider.doctor.report import Finding, call_aws, permission
from airflow_lakehouse_provider.s3_uri import split_s3_uri

_INHERIT = "InheritFromTable"


@dataclass(frozen=True)
class Subject:
    """An identity to check, and the lakehouse to check it against.

    :param client: a boto3 client of a service, under the connection's identity
    :param who: the identity's ARN, or the connection's name where the ARN is unknown
    """

    lakehouse: Lakehouse
    client: Callable[[str], Any]
    who: str


def identity(lakehouse: Lakehouse, client: Callable[[str], Any], connection: str) -> tuple[str, list[Finding]]:
    """Return the identity of a connection, and a finding on its AWS account."""
    answer = call_aws(client("sts").get_caller_identity)
    what = f"identity of {connection}"
    if answer.code:
        finding = Finding.wrong(
            what, f"{answer.code}: {answer.text}", "give the connection credentials, or the machine a role"
        )
        return connection, [finding]
    arn, account = answer.content["Arn"], answer.content["Account"]
    wanted = lakehouse.glue.account
    if account != wanted:
        to_do = "use that account's lakehouse.yaml, or its credentials"
        return arn, [Finding.wrong(what, f"{arn}; lakehouse.yaml's glue.role is of account {wanted}", to_do)]
    return arn, [Finding.ok(what, arn)]


def permissions_of_airflow(subject: Subject) -> Iterator[Finding]:
    """Check the permissions of Airflow's tasks, by calls that change nothing."""
    lakehouse, who = subject.lakehouse, subject.who
    glue, crawler = subject.client("glue"), lakehouse.glue.crawler
    nobody = f"jr_{uuid.uuid4().hex}{uuid.uuid4().hex}"  # a run id that does not exist
    for job in _jobs(lakehouse):
        answer = call_aws(glue.get_job, JobName=job)
        yield permission("glue:GetJob", f"job {job}", answer, who=who)
        if answer.code:
            continue
        missing = ("EntityNotFoundException",)
        for action, call, arguments, harmless in (
            ("glue:GetJobRuns", glue.get_job_runs, {"JobName": job, "MaxResults": 1}, ()),
            ("glue:GetJobRun", glue.get_job_run, {"JobName": job, "RunId": nobody}, missing),
            # The retry of a run that does not exist: refused, but only after the permission was checked.
            ("glue:StartJobRun", glue.start_job_run, {"JobName": job, "JobRunId": nobody}, missing),
            ("glue:BatchStopJobRun", glue.batch_stop_job_run, {"JobName": job, "JobRunIds": [nobody]}, ()),
        ):
            yield permission(action, f"job {job}", call_aws(call, **arguments), harmless=harmless, who=who)
        group = f"{_log_prefix(answer.content['Job'])}/error"
        events = call_aws(subject.client("logs").get_log_events, logGroupName=group, logStreamName=nobody, limit=1)
        not_found = ("ResourceNotFoundException",)
        yield permission("logs:GetLogEvents", f"log group {group}", events, harmless=not_found, who=who)
    answer = call_aws(glue.get_crawler, Name=crawler)
    yield permission("glue:GetCrawler", f"crawler {crawler}", answer, who=who)
    if not answer.code:
        listed = call_aws(glue.list_crawls, CrawlerName=crawler, MaxResults=1)
        yield permission("glue:ListCrawls", f"crawler {crawler}", listed, who=who)
        yield Finding.unknown(
            f"glue:StartCrawler on crawler {crawler}",
            "it can only be checked by starting a crawl",
            "start one by hand once",
        )
    s3 = subject.client("s3")
    bucket, _ = split_s3_uri(lakehouse.zones.raw)
    month = lakehouse.schedule.start
    key = lakehouse.raw_key(lakehouse.services[0], month)
    # Without s3:ListBucket, S3 returns 403 for a missing file, and the sensor fails instead of waiting.
    head = call_aws(s3.head_object, Bucket=bucket, Key=key)
    yield permission("s3:GetObject, s3:ListBucket", f"s3://{bucket}/{key}", head, harmless=("404",), who=who)


def permissions_of_dbt(subject: Subject) -> Iterator[Finding]:
    """Check the permissions of dbt on Athena, by calls that change nothing and a query that reads nothing."""
    lakehouse, who = subject.lakehouse, subject.who
    group = lakehouse.athena.work_group
    athena, glue, s3 = subject.client("athena"), subject.client("glue"), subject.client("s3")
    place = f"{lakehouse.zones.results}/dbt/"
    started = call_aws(
        athena.start_query_execution,
        QueryString="select 1",
        WorkGroup=group,
        ResultConfiguration={"OutputLocation": place},
    )
    yield permission("athena:StartQueryExecution", f"work group {group}", started, who=who)
    if not started.code:
        query = started.content["QueryExecutionId"]
        read = call_aws(athena.get_query_execution, QueryExecutionId=query)
        yield permission("athena:GetQueryExecution", f"work group {group}", read, who=who)
    for database in (lakehouse.databases.cleaned, lakehouse.databases.marts):
        yield permission(
            "glue:GetTables", f"database {database}", call_aws(glue.get_tables, DatabaseName=database), who=who
        )
    for zone, uri in (("cleaned", lakehouse.zones.cleaned), ("curated", lakehouse.zones.curated)):
        bucket, prefix = split_s3_uri(uri)
        listed = call_aws(s3.list_objects_v2, Bucket=bucket, Prefix=f"{prefix}/" if prefix else "", MaxKeys=1)
        yield permission("s3:ListBucket", f"the {zone} zone, {uri}", listed, who=who)


def jobs(subject: Subject) -> Iterator[Finding]:
    """Check the Glue jobs' settings that the operators depend on."""
    for name in _jobs(subject.lakehouse):
        answer = call_aws(subject.client("glue").get_job, JobName=name)
        if not answer.code:  # an error is a finding of the permissions already
            yield from _job(subject.lakehouse, name, answer.content["Job"])


def _job(lakehouse: Lakehouse, name: str, found: dict[str, Any]) -> Iterator[Finding]:
    retries = found.get("MaxRetries", 0)
    yield _expect(
        f"retries of job {name}", retries == 0, f"MaxRetries is {retries}", "set it to 0: Airflow retries, and Glue's "
        "own retry would start a month twice",
    )  # fmt: skip
    runs = found.get("ExecutionProperty", {}).get("MaxConcurrentRuns", 1)
    yield _expect(
        f"concurrency of job {name}", runs >= lakehouse.glue.max_concurrent_runs, f"MaxConcurrentRuns is {runs}",
        f"raise it to lakehouse.yaml's glue.max_concurrent_runs, {lakehouse.glue.max_concurrent_runs}",
    )  # fmt: skip
    if name != lakehouse.glue.job:
        return
    bookmark = found.get("DefaultArguments", {}).get("--job-bookmark-option", "job-bookmark-disable")
    yield _expect(
        f"bookmark of job {name}", bookmark == "job-bookmark-disable", f"--job-bookmark-option is {bookmark}",
        "set job-bookmark-disable: with a bookmark a rerun of a month reads nothing",
    )  # fmt: skip
    role = found.get("Role", "")
    yield _expect(
        f"role of job {name}", role in (lakehouse.glue.role, lakehouse.glue.role.rpartition("/")[2]), f"it is {role}",
        f"make it lakehouse.yaml's glue.role, {lakehouse.glue.role}",
    )  # fmt: skip


def crawler(subject: Subject) -> Iterator[Finding]:
    """Check the crawler's settings that break queries, or start crawls at the wrong time."""
    lakehouse = subject.lakehouse
    name = lakehouse.glue.crawler
    answer = call_aws(subject.client("glue").get_crawler, Name=name)
    if answer.code:
        return
    found = answer.content["Crawler"]
    try:
        output = json.loads(found.get("Configuration") or "{}").get("CrawlerOutput", {})
    except ValueError:
        output = {}
    behaviour = output.get("Partitions", {}).get("AddOrUpdateBehavior")
    yield _expect(
        f"partitions of crawler {name}", behaviour == _INHERIT, f"AddOrUpdateBehavior is {behaviour}",
        f"set {_INHERIT}: else Athena fails with HIVE_PARTITION_SCHEMA_MISMATCH where two files differ",
    )  # fmt: skip
    schedule = found.get("Schedule", {}).get("ScheduleExpression")
    yield _expect(
        f"schedule of crawler {name}", not schedule, f"it runs at {schedule}" if schedule else "",
        "remove the schedule: Airflow starts a crawl after each load",
    )  # fmt: skip
    database = found.get("DatabaseName")
    yield _expect(
        f"database of crawler {name}", database == lakehouse.databases.cleaned, f"it is {database}",
        f"make it lakehouse.yaml's databases.cleaned, {lakehouse.databases.cleaned}",
    )  # fmt: skip


def work_group(subject: Subject) -> Iterator[Finding]:
    """Check the work group's settings under which dbt-athena writes marts to the wrong place, or finds no results."""
    name = subject.lakehouse.athena.work_group
    answer = call_aws(subject.client("athena").get_work_group, WorkGroup=name)
    yield permission("athena:GetWorkGroup", f"work group {name}", answer, who=subject.who)
    if answer.code:
        return
    found = answer.content["WorkGroup"]
    settings = found.get("Configuration", {})
    state = found.get("State", "ENABLED")
    yield _expect(f"state of work group {name}", state == "ENABLED", f"it is {state}", "enable it")
    yield _expect(
        f"location of work group {name}",
        # AWS's default where it is missing
        not settings.get("EnforceWorkGroupConfiguration", True),
        "it enforces its own output location" if settings.get("EnforceWorkGroupConfiguration", True) else "",
        "turn enforcement off: dbt-athena would leave external_location out, and marts would be among query results",
    )
    managed = settings.get("ManagedQueryResultsConfiguration", {}).get("Enabled", False)
    yield _expect(
        f"results of work group {name}", not managed, "Athena manages its results" if managed else "",
        "turn managed results off: dbt-athena sets an output location of its own, which such a work group refuses",
    )  # fmt: skip


def lake_formation(subject: Subject) -> Iterator[Finding]:
    """Check that IAM alone grants access, not Lake Formation."""
    glue = subject.client("glue")
    for name in (subject.lakehouse.databases.cleaned, subject.lakehouse.databases.marts):
        answer = call_aws(glue.get_database, Name=name)
        what = f"Lake Formation and database {name}"
        if answer.code:
            yield permission("glue:GetDatabase", f"database {name}", answer, who=subject.who)
            continue
        grants = answer.content["Database"].get("CreateTableDefaultPermissions")
        everyone = [
            each for each in grants or []
            if each.get("Principal", {}).get("DataLakePrincipalIdentifier") == "IAM_ALLOWED_PRINCIPALS"
        ]  # fmt: skip
        if grants is None or everyone:
            yield Finding.ok(what, "IAM grants access")
        else:
            yield Finding.wrong(
                what,
                "new tables do not grant IAM_ALLOWED_PRINCIPALS: Lake Formation grants access",
                "grant the roles their tables in Lake Formation, or new tables to IAM_ALLOWED_PRINCIPALS",
            )


def _expect(what: str, holds: bool, found: str, to_do: str) -> Finding:
    return Finding.ok(what, found) if holds else Finding.wrong(what, found, to_do)


def _jobs(lakehouse: Lakehouse) -> list[str]:
    """The jobs that the DAG starts."""
    return [name for name in (lakehouse.glue.job, lakehouse.dbt.glue_job_name) if name]


def _log_prefix(job: dict[str, Any]) -> str:
    return str(job.get("DefaultArguments", {}).get("--custom-logGroup-prefix", "/aws-glue/jobs"))
