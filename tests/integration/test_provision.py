"""Provisioning: what lakehouse.yaml names, made through the API, as often as one likes."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.exceptions import ClientError

from airflow_lakehouse_provider.config import Lakehouse

from . import s3_objects


@pytest.fixture(scope="module")
def names(repository: Path) -> dict[str, Any]:
    """The starter's lakehouse.yaml with names that no other test has."""
    text = (repository / "example_dags" / "lakehouse.yaml").read_text()
    content = yaml.safe_load(text.replace("nyc-taxi", "provisioned").replace("nyc_taxi", "provisioned"))
    content["zones"]["artifacts"] = "s3://provisioned-raw/artifacts"
    content["glue"]["role"] = "arn:aws:iam::123456789012:role/service-role/provisioned"
    content["dbt"]["fence_role"] = "arn:aws:iam::123456789012:role/service-role/provisioned-fence"
    assert isinstance(content, dict)
    return content


@pytest.fixture
def scripts(tmp_path: Path) -> Path:
    folder = tmp_path / "glue_scripts"
    (folder / "trips").mkdir(parents=True)
    (folder / "clean_trips.py").write_text("import trips\n")
    (folder / "trips" / "__init__.py").write_text("RULES = ()\n")
    return folder


def test_everything_is_there_and_a_second_time_brings_it_up_to_date(
    local_aws: Any, boto: Callable[..., Any], names: dict[str, Any], scripts: Path
) -> None:
    from airflow_lakehouse_provider.provision import provision

    provision(local_aws.endpoint, Lakehouse.from_mapping(names), glue_scripts=scripts)
    boto("s3").put_object(Bucket="provisioned-raw", Key="kept", Body=b"x")
    (scripts / "clean_trips.py").write_text("import trips  # newer\n")
    changed = {**names, "glue": {**names["glue"], "timeout_minutes": 90}, "athena": {"work_group": "provisioned-dbt"}}
    for _ in range(2):
        provision(local_aws.endpoint, Lakehouse.from_mapping(changed), glue_scripts=scripts)

    s3, glue, athena, iam = (boto(service) for service in ("s3", "glue", "athena", "iam"))
    buckets = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    assert buckets >= {f"provisioned-{zone}" for zone in ("raw", "cleaned", "curated", "athena-results")}
    assert s3.get_object(Bucket="provisioned-raw", Key="kept")["Body"].read() == b"x"

    job = glue.get_job(JobName=names["glue"]["job"])["Job"]
    assert job["Command"]["Name"] == "glueetl"
    assert job["Command"]["ScriptLocation"] == "s3://provisioned-raw/artifacts/glue_scripts/clean_trips.py"
    assert (job["Timeout"], job["MaxRetries"], job["GlueVersion"]) == (90, 0, names["glue"]["version"])
    assert job["ExecutionProperty"]["MaxConcurrentRuns"] == names["glue"]["max_concurrent_runs"]
    assert job["DefaultArguments"]["--job-bookmark-option"] == "job-bookmark-disable"
    assert s3_objects.read(boto("s3"), job["Command"]["ScriptLocation"]) == b"import trips  # newer\n"
    library = io.BytesIO(s3_objects.read(boto("s3"), job["DefaultArguments"]["--extra-py-files"]))
    assert zipfile.ZipFile(library).namelist() == ["trips/__init__.py"]

    crawler = glue.get_crawler(Name="provisioned-cleaned")["Crawler"]
    assert [target["Path"] for target in crawler["Targets"]["S3Targets"]] == [
        f"s3://provisioned-cleaned/{table}/" for table in ("trips", "quarantine_trips", "load_audit")
    ]
    output = json.loads(crawler["Configuration"])["CrawlerOutput"]
    assert output["Partitions"]["AddOrUpdateBehavior"] == "InheritFromTable"
    assert glue.get_database(Name="provisioned_marts")["Database"]["Name"] == "provisioned_marts"

    group = athena.get_work_group(WorkGroup="provisioned-dbt")["WorkGroup"]["Configuration"]
    assert group["EnforceWorkGroupConfiguration"] is False
    assert group["ResultConfiguration"]["OutputLocation"] == "s3://provisioned-athena-results/"
    assert iam.get_role(RoleName="provisioned")["Role"]["Arn"] == changed["glue"]["role"]


def test_the_fence_can_be_taken_and_writes_beside_production_alone(
    names: dict[str, Any], scripts: Path, tmp_path: Path
) -> None:
    from airflow_lakehouse_provider.provision import provision
    from lakehouse_local.process import LocalAwsProcess

    with LocalAwsProcess(tmp_path / "root", enforce_iam=True, empty=True) as local:
        for _ in range(2):
            provision(local.endpoint, Lakehouse.from_mapping(names), glue_scripts=scripts)
        sts = local.client("sts")
        session = sts.assume_role(RoleArn=names["dbt"]["fence_role"], RoleSessionName="dbt")["Credentials"]
        s3, glue, audit = local.client("s3", session), local.client("glue", session), "provisioned_marts__audit_0f"
        s3.put_object(Bucket="provisioned-curated", Key=f"generations/{audit}/trips/1", Body=b"x")
        glue.create_database(DatabaseInput={"Name": audit})
        with pytest.raises(ClientError, match="not authorized to perform: s3:PutObject"):
            s3.put_object(Bucket="provisioned-curated", Key="provisioned_marts/trips/1", Body=b"x")
        with pytest.raises(ClientError, match="not authorized to perform: glue:CreateTable"):
            glue.create_table(DatabaseName="provisioned_marts", TableInput={"Name": "trips"})


def test_a_lakehouse_without_a_fence(
    local_aws: Any, boto: Callable[..., Any], names: dict[str, Any], scripts: Path
) -> None:
    from airflow_lakehouse_provider.provision import provision

    without = {key: value for key, value in names["dbt"].items() if key != "fence_role"}
    glue = {**names["glue"], "role": "arn:aws:iam::123456789012:role/alone"}
    before = {role["RoleName"] for role in boto("iam").list_roles()["Roles"]}
    provision(local_aws.endpoint, Lakehouse.from_mapping({**names, "dbt": without, "glue": glue}), glue_scripts=scripts)
    assert {role["RoleName"] for role in boto("iam").list_roles()["Roles"]} - before == {"alone"}


def test_a_script_that_is_missing_is_named(local_aws: Any, names: dict[str, Any], tmp_path: Path) -> None:
    from airflow_lakehouse_provider.provision import provision

    with pytest.raises(FileNotFoundError, match=r"clean_trips\.py is missing"):
        provision(local_aws.endpoint, Lakehouse.from_mapping(names), glue_scripts=tmp_path)


def test_another_region(names: dict[str, Any], scripts: Path, tmp_path: Path) -> None:
    from airflow_lakehouse_provider.provision import provision
    from lakehouse_local.process import LocalAwsProcess

    with LocalAwsProcess(tmp_path / "root", region="eu-west-1", empty=True) as local:
        provision(local.endpoint, Lakehouse.from_mapping({**names, "region": "eu-west-1"}), glue_scripts=scripts)
        location = local.client("s3").get_bucket_location(Bucket="provisioned-raw")["LocationConstraint"]
    assert location == "eu-west-1"


def test_a_tool_may_query_without_naming_database_work_group_or_place(
    local_aws: Any, boto: Callable[..., Any], names: dict[str, Any], scripts: Path
) -> None:
    from airflow_lakehouse_provider.provision import provision

    provision(local_aws.endpoint, Lakehouse.from_mapping(names), glue_scripts=scripts)
    athena = boto("athena")
    query = athena.start_query_execution(QueryString="SELECT 1")["QueryExecutionId"]
    while (execution := athena.get_query_execution(QueryExecutionId=query)["QueryExecution"])["Status"]["State"] in (
        "QUEUED",
        "RUNNING",
    ):
        pass  # held by the server while it runs
    assert execution["Status"]["State"] == "SUCCEEDED"
    assert execution["ResultConfiguration"]["OutputLocation"] == f"s3://athena-results/{query}.csv"
    assert {"Name": "default"}.items() <= boto("glue").get_database(Name="default")["Database"].items()
