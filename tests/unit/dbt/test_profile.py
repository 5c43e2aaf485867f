"""The profile, which holds no secret, and dbt's environment, which does."""

from __future__ import annotations

import json
import stat

import pytest
import yaml

from airflow_lakehouse_provider.dbt.profile import AthenaProfile, AwsAccess, ProfileError

SECRET = "s3cr3t/Value+1"


def test_the_file(tmp_path):
    profile = AthenaProfile(
        schema="marts", region="eu-west-1", s3_staging_dir="s3://results/", work_group="dbt", more={"num_retries": 8}
    )
    profile.write(tmp_path, "prod")
    file = tmp_path / "profiles.yml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert yaml.safe_load(file.read_text()) == {
        "airflow": {
            "target": "prod",
            "outputs": {
                "prod": {
                    "type": "athena",
                    "database": "awsdatacatalog",
                    "schema": "marts",
                    "region_name": "eu-west-1",
                    "s3_staging_dir": "s3://results/",
                    "s3_data_naming": "schema_table_unique",
                    "work_group": "dbt",
                    "threads": 4,
                    "num_retries": 8,
                }
            },
        }
    }


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"schema": ""}, "schema is needed: the Glue database that dbt builds in"),
        ({"region": ""}, "no region is known: give region_name"),
        ({"s3_staging_dir": None}, "s3_staging_dir is needed, .* or a work_group"),
        ({"s3_staging_dir": "/tmp/results"}, "s3_staging_dir must be s3://bucket/prefix, not '/tmp/results'"),
        ({"s3_data_dir": "s3://"}, "s3_data_dir must be s3://bucket/prefix, not 's3://'"),
        (
            {"more": {"aws_secret_access_key": SECRET}},
            "profile_args holds aws_secret_access_key: credentials come from",
        ),
    ],
)
def test_what_no_profile_can_be_made_of(changed, message):
    with pytest.raises(ProfileError, match=message) as refused:
        AthenaProfile(**{"schema": "m", "region": "us-east-1", "s3_staging_dir": "s3://results/"} | changed)
    assert SECRET not in str(refused.value)


@pytest.fixture
def connection(monkeypatch):
    def connection(login=None, password=None, **extra):
        content = {"conn_type": "aws", "login": login, "password": password, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_LAKEHOUSE", json.dumps({k: v for k, v in content.items() if v}))
        return AwsAccess.of_connection("lakehouse")

    return connection


def test_a_connections_keys_replace_the_workers(connection):
    access = connection("AKIA1", SECRET, region_name="eu-west-1")
    environment = access.environment(
        {"AWS_PROFILE": "other", "AWS_SESSION_TOKEN": "stale", "AWS_ACCESS_KEY_ID": "local", "HOME": "/h"}, {"X": "1"}
    )
    assert environment == {
        "HOME": "/h",
        "X": "1",
        "AWS_ACCESS_KEY_ID": "AKIA1",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    assert SECRET not in repr(access)


def test_a_session_token_travels(connection):
    access = connection("AKIA1", SECRET, aws_session_token="token")
    assert access.environment({})["AWS_SESSION_TOKEN"] == "token"


def test_a_connection_without_keys_leaves_dbt_to_find_and_refresh_them(connection):
    base = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://169.254.170.2/", "AWS_PROFILE": "worker"}
    access = connection(region_name="eu-west-1")
    assert access.environment(base) == base | {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}


def test_endpoints_and_certificates_of_the_connection(connection):
    access = connection(
        endpoint_url="http://127.0.0.1:1",
        service_config={"athena": {"endpoint_url": "http://127.0.0.1:2"}},
        verify="/etc/ca.pem",
    )
    environment = access.environment({})
    assert environment["AWS_ENDPOINT_URL_ATHENA"] == "http://127.0.0.1:2"
    assert environment["AWS_ENDPOINT_URL_GLUE"] == environment["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:1"
    assert environment["AWS_CA_BUNDLE"] == "/etc/ca.pem"


def test_without_a_connection_the_environments_own_region():
    access = AwsAccess.of_connection(None)
    assert access.region == "us-east-1"
    assert access.environment({"AWS_ENDPOINT_URL": "http://127.0.0.1:3"})["AWS_ENDPOINT_URL"] == "http://127.0.0.1:3"


def test_the_operators_region_wins(connection):
    connection(region_name="eu-west-1")
    assert AwsAccess.of_connection("lakehouse", "us-west-2").region == "us-west-2"
