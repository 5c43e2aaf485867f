"""The profile, which holds no secret, and dbt's environment, which does."""

from __future__ import annotations

import datetime
import json
import shlex
import subprocess

import pytest

from airflow_lakehouse_provider._airflow.connection import AwsConnection
from airflow_lakehouse_provider.dbt.profile import AthenaProfile, ProfileError

SECRET = "s3cr3t/Value+1"


def test_the_profile():
    profile = AthenaProfile(
        schema="marts", region="eu-west-1", s3_staging_dir="s3://results/", work_group="dbt", more={"num_retries": 8}
    )
    assert profile.content("prod") == {
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
        return AwsConnection("lakehouse").access()

    return connection


def test_a_connections_keys_replace_the_workers(connection):
    access = connection("AKIA1", SECRET, region_name="eu-west-1")
    assert access.variables == {
        "AWS_ACCESS_KEY_ID": "AKIA1",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_WEB_IDENTITY_TOKEN_FILE"} <= set(access.dropped)
    assert access.aws().serve is None
    assert SECRET not in repr(access) + repr(access.aws())


def test_a_session_token_travels(connection):
    assert connection("AKIA1", SECRET, aws_session_token="token").variables["AWS_SESSION_TOKEN"] == "token"


def test_a_connection_without_keys_leaves_dbt_to_find_and_refresh_them(connection):
    access = connection(region_name="eu-west-1")
    assert access.variables == {"AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "eu-west-1"}
    assert access.dropped == ()
    assert access.aws().serve is None


class Expiring:
    """Credentials as botocore has those of a role: renewed when they are asked for."""

    def __init__(self):
        self.number = 0
        self._expiry_time = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)

    def refresh_needed(self):
        return True

    def get_frozen_credentials(self):
        from botocore.credentials import ReadOnlyCredentials

        self.number += 1
        return ReadOnlyCredentials(f"ASIA{self.number}", f"{SECRET}{self.number}", f"token{self.number}")


def test_credentials_that_expire_are_asked_for_and_never_written(connection, monkeypatch, tmp_path):
    import boto3

    expiring = Expiring()
    monkeypatch.setattr(boto3.Session, "get_credentials", lambda self: expiring)
    access = connection("AKIA1", SECRET)
    assert "AWS_SECRET_ACCESS_KEY" not in access.variables
    renewed, folder = [], tmp_path / ("long" * 30)
    folder.mkdir()
    with access.aws().serve(folder, renewed.append) as variables:
        written = [file.read_text() for file in folder.iterdir() if file.is_file()]
        command = (folder / "aws-config").read_text().partition("credential_process = ")[2]
        for number in (2, 3):  # the first was asked for by the operator
            said = subprocess.run(shlex.split(command), capture_output=True, text=True, check=True)
            assert json.loads(said.stdout) == {
                "Version": 1,
                "AccessKeyId": f"ASIA{number}",
                "SecretAccessKey": f"{SECRET}{number}",
                "SessionToken": f"token{number}",
                "Expiration": "2030-01-01T00:00:00+00:00",
            }
            assert renewed[-1]["AWS_ACCESS_KEY_ID"] == f"ASIA{number}"
        expiring.get_frozen_credentials = lambda: 1 / 0
        failed = subprocess.run(shlex.split(command), capture_output=True, text=True)
    assert failed.returncode == 1
    assert "could not renew the credentials: ZeroDivisionError" in failed.stderr
    assert variables == {"AWS_CONFIG_FILE": str(folder / "aws-config"), "AWS_SHARED_CREDENTIALS_FILE": "/dev/null"}
    assert SECRET not in "".join(written) + command
    assert subprocess.run(shlex.split(command), capture_output=True).returncode != 0, "it answers after its end"


def test_endpoints_and_certificates_of_the_connection(connection):
    variables = connection(
        endpoint_url="http://127.0.0.1:1",
        service_config={"athena": {"endpoint_url": "http://127.0.0.1:2"}},
        verify="/etc/ca.pem",
    ).variables
    assert variables["AWS_ENDPOINT_URL_ATHENA"] == "http://127.0.0.1:2"
    assert variables["AWS_ENDPOINT_URL_GLUE"] == variables["AWS_ENDPOINT_URL_S3"] == "http://127.0.0.1:1"
    assert variables["AWS_CA_BUNDLE"] == "/etc/ca.pem"


def test_without_a_connection_the_environments_own_region():
    access = AwsConnection().access()
    assert access.region == "us-east-1"
    assert "AWS_ENDPOINT_URL" not in {*access.variables, *access.dropped}


def test_the_operators_region_wins(connection):
    connection(region_name="eu-west-1")
    assert AwsConnection("lakehouse", "us-west-2").access().region == "us-west-2"
