"""lakehouse.yaml: what the shipped one holds, and the sentence that each mistake gets."""

from __future__ import annotations

import copy

import pytest
import yaml

from airflow_lakehouse_provider.config import Dbt, Lakehouse, LakehouseConfigError
from airflow_lakehouse_provider.month import Month


@pytest.fixture
def content(repository):
    return yaml.safe_load((repository / "example_dags" / "lakehouse.yaml").read_text())


def changed(content, key, value):
    content = copy.deepcopy(content)
    *path, last = key.split(".")
    section = content
    for name in path:
        section = section[name]
    if value is ...:
        del section[last]
    else:
        section[last] = value
    return content


def test_the_shipped_file_names_everything(repository):
    lakehouse = Lakehouse.load(repository / "example_dags" / "lakehouse.yaml")
    assert lakehouse.raw_uri("green", Month(2024, 3)) == "s3://nyc-taxi-raw/green/2024/green_tripdata_2024-03.parquet"
    assert len(lakehouse.buckets) == 5
    assert lakehouse.schedule.start == Month(2024, 1)
    assert lakehouse.dbt.project == str(repository / "dbt_models")
    assert lakehouse.poll_seconds == 30


def test_zones_may_share_a_bucket_under_prefixes(content):
    content["zones"] = {zone: f"s3://one-bucket/{zone}/" for zone in content["zones"]}
    lakehouse = Lakehouse.from_mapping(content)
    assert lakehouse.buckets == ("one-bucket",)
    assert lakehouse.zones.cleaned == "s3://one-bucket/cleaned"
    assert lakehouse.raw_uri("yellow", Month(2024, 1)).startswith("s3://one-bucket/raw/yellow/2024/")


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("region", "mars", "region is 'mars'; it must be an AWS region such as us-east-1"),
        ("services", [], "services is []; it must be a list of services, each once, of yellow, green"),
        ("services", ["yellow", "purple"], "services is ['yellow', 'purple']; it must be one of yellow, green"),
        ("zones.raw", "nyc-taxi", "zones.raw is 'nyc-taxi'; it must be s3://bucket or s3://bucket/prefix"),
        ("zones.raw", "s3://NYC", "zones.raw is 's3://NYC'; it must be s3://bucket or s3://bucket/prefix"),
        ("zones.raw", ..., "zones.raw is missing"),
        ("raw_key", "{service}/{year}.parquet", "raw_key is '{service}/{year}.parquet'; it must be a key holding"),
        ("raw_key", "{service}/{year}/{month", "it must be a key holding {service}, {year} and {month}"),
        ("databases.marts", "Marts", "databases.marts is 'Marts'; it must be a database name of a-z"),
        ("databases.marts", "nyc_taxi_cleaned", "the same as databases.cleaned"),
        ("glue.role", "taxi", "glue.role is 'taxi'; it must be the ARN of an IAM role"),
        ("glue.workers", 1, "glue.workers is 1; it must be a whole number from 2 to 299"),
        ("glue.workers", True, "glue.workers is True; it must be a whole number from 2 to 299"),
        ("glue.version", "2.0", "glue.version is '2.0'; it must be one of 5.0, 5.1"),
        ("glue.jobb", "x", "unknown key glue.jobb; allowed here: job, crawler"),
        ("dbt.connection", "!", "dbt.connection is '!'"),
        ("dbt.fence_role", "fence", "dbt.fence_role is 'fence'; it must be the ARN of an IAM role"),
        ("dbt.fence_role", "", "dbt.fence_role is ''; it must be the ARN of an IAM role"),
        ("dbt.runs_in", "moon", "dbt.runs_in is 'moon'; it must be one of worker, glue"),
        ("schedule.cron", "@monthly", "schedule.cron is '@monthly'; it must be five cron fields"),
        ("schedule.timezone", "Mars/Base", "schedule.timezone is 'Mars/Base'; it must be a time zone such as UTC"),
        ("schedule.start", "2024-13", "schedule.start is '2024-13'; it must be a month written YYYY-MM"),
        ("schedule.catchup", "no", "schedule.catchup is 'no'; it must be true or false"),
        ("databases", ["a"], "databases must hold keys and values, not ['a']"),
        ("poll_seconds", 0, "poll_seconds is 0; it must be a number of seconds from 0.2 to 3600"),
        ("gate", 0.9, "gate must hold keys and values, not 0.9"),
        ("gate", None, "gate must hold keys and values, not None"),
        ("gate", {"rows_of_replaced": 90}, "gate.rows_of_replaced is 90; it must be a share from 0 to 1, such as 0.9"),
        ("gate", {"rows_of_neighbours": "0.5"}, "gate.rows_of_neighbours is '0.5'; it must be a share from 0 to 1"),
        ("gate", {"late_rows": True}, "gate.late_rows is True; it must be a share from 0 to 1"),
        ("gate", {"late_rows": float("nan")}, "gate.late_rows is nan; it must be a share from 0 to 1"),
        ("gate", {"daily_rows": "no"}, "gate.daily_rows is 'no'; it must be true or false"),
        (
            "gate",
            {"late": 0.1},
            "unknown key gate.late; allowed here: rows_of_replaced, rows_of_neighbours, daily_rows",
        ),
    ],
)
def test_a_mistake_is_named_with_what_is_allowed(content, key, value, said):
    with pytest.raises(LakehouseConfigError) as caught:
        Lakehouse.from_mapping(changed(content, key, value), where="my.yaml")
    assert str(caught.value).startswith("my.yaml: ")
    assert said in str(caught.value)


def test_the_gates_shares_are_the_dbt_projects_vars_with_its_defaults(content, repository):
    project = yaml.safe_load((repository / "dbt_models" / "dbt_project.yml").read_text())["vars"]
    content.pop("gate", None)
    defaults = Lakehouse.from_mapping(content).gate.dbt_vars
    assert defaults == {name: project[name] for name in defaults}
    content["gate"] = {"rows_of_replaced": 1, "daily_rows": False}
    assert Lakehouse.from_mapping(content).gate.dbt_vars == {**defaults, "rows_of_replaced": 1.0, "daily_rows": False}


@pytest.mark.parametrize(
    ("value", "role"), [("arn:aws:iam::123456789012:role/x/fence",) * 2, (None, None), (..., None)]
)
def test_the_fence_may_be_left_out(content, value, role):
    assert Lakehouse.from_mapping(changed(content, "dbt.fence_role", value)).dbt.fence_role == role


def test_a_typo_in_a_required_key_is_guessed(content):
    content["glue"]["crawller"] = content["glue"].pop("crawler")
    with pytest.raises(LakehouseConfigError, match=r"glue.crawler is missing \(there is 'crawller': a typo\?\)"):
        Lakehouse.from_mapping(content)


def test_a_file_that_cannot_be_read_or_parsed_is_named(tmp_path):
    with pytest.raises(LakehouseConfigError, match=r"nowhere.yaml cannot be read: No such file"):
        Lakehouse.load(tmp_path / "nowhere.yaml")
    (tmp_path / "torn.yaml").write_text("region: [us")
    with pytest.raises(LakehouseConfigError, match=r"torn.yaml is not valid YAML"):
        Lakehouse.load(tmp_path / "torn.yaml")
    (tmp_path / "empty.yaml").write_text("")
    with pytest.raises(LakehouseConfigError, match="the file must hold keys and values, not None"):
        Lakehouse.load(tmp_path / "empty.yaml")


@pytest.mark.parametrize(("place", "connection"), [("worker", "aws_dbt"), ("glue", "aws_default")])
def test_in_glue_dbt_has_the_jobs_role_and_no_connection(place, connection):
    dbt = Dbt("/p", "prod", place, "dbt", 4, glue_job="run-dbt", connection="aws_dbt")
    assert dbt.aws_conn_id == connection
