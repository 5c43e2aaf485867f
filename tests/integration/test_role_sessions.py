"""A dbt that outlives the role sessions of its connection, which the local AWS lets expire for real."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import requests
from botocore.exceptions import ClientError

pytest.importorskip("airflow")

from airflow_lakehouse_provider._airflow.compat import AirflowException
from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator
from lakehouse_local.process import LocalAwsProcess

DBT = os.environ.get("LAKEHOUSE_DBT_EXECUTABLE") or str(Path(__file__).parents[2] / ".venv-dbt/bin/dbt")
# AWS's shortest is 900: the local AWS ends its sessions earlier when told to.
SECONDS = 4
MODELS = 2
ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
TRUST = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAKEHOUSE_SESSION_SECONDS", str(SECONDS))
        local = LocalAwsProcess(tmp_path_factory.mktemp("sessions") / "root", enforce_iam=True, empty=True)
    yield local
    assert local.stop() == 0, local.log


@pytest.fixture(scope="module")
def role(aws):
    """A role that may do anything, for as long as its session lasts; its ARN."""
    iam = aws.client("iam")

    def document(statement):
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    arn = iam.create_role(RoleName="dbt", AssumeRolePolicyDocument=document(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="dbt", PolicyName="own", PolicyDocument=document(ANYTHING))
    aws.client("s3").create_bucket(Bucket="results")
    aws.client("glue").create_database(DatabaseInput={"Name": "shop"})
    return arn


@pytest.fixture
def session(aws, role):
    """`session()`: the keys of a session so short."""

    def assumed():
        return aws.client("sts").assume_role(RoleArn=role, RoleSessionName="dbt")["Credentials"]

    return assumed


@pytest.fixture
def operator(aws, tmp_path, monkeypatch):
    """`operator(connection)`: models one after the other, each half a session long."""
    if not Path(DBT).exists():
        pytest.skip("there is no .venv-dbt (make install), and LAKEHOUSE_DBT_EXECUTABLE names no other dbt")
    project = tmp_path / "shop"
    (project / "models").mkdir(parents=True)
    (project / "dbt_project.yml").write_text(
        "name: shop\nconfig-version: 2\nprofile: shop\nmodels: {+materialized: table}\n"
    )
    (project / "models/model_0.sql").write_text("select 1 as id")
    for number in range(1, MODELS):
        (project / f"models/model_{number}.sql").write_text(f"select * from {{{{ ref('model_{number - 1}') }}}}")
    slow = {"fault": "delay", "service": "athena", "operation": "StartQueryExecution", "times": None}
    requests.put(
        f"{aws.endpoint}/_lakehouse/faults", json=[{**slow, "seconds": SECONDS / 2}], timeout=10
    ).raise_for_status()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)

    def make(**connection):
        # The amazon provider asks STS at an address of its own.
        sts = {"service_config": {"sts": {"endpoint_url": aws.endpoint}}}
        extra = {"region_name": aws.region, "endpoint_url": aws.endpoint, **sts, **connection.pop("extra", {})}
        given = {"conn_type": "aws", "login": "local", "password": "local", **connection, "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(given))
        return DbtAthenaOperator(
            **{"task_id": "dbt", "command": "run", "project": str(project), "dbt_executable": DBT, "schema": "shop"},
            **{"s3_staging_dir": "s3://results/", "aws_conn_id": "lake"},
        )

    yield make
    requests.delete(f"{aws.endpoint}/_lakehouse/faults", timeout=10).raise_for_status()


def test_a_session_is_over_when_it_says(aws, session):
    keys = session()
    athena = aws.client("athena", keys)
    athena.list_work_groups()
    time.sleep(SECONDS + 0.5)
    with pytest.raises(ClientError, match="ExpiredTokenException"):
        athena.list_work_groups()


@pytest.mark.slow
def test_a_run_outlives_its_role_session(operator, role):
    result = operator(extra={"role_arn": role}).execute({})
    assert [node["status"] for node in result["nodes"]] == ["success"] * MODELS
    assert result["elapsed_seconds"] > 2 * SECONDS


@pytest.mark.slow
def test_keys_that_nobody_renews_end_the_run_by_their_name(operator, session):
    keys = session()
    static = operator(
        login=keys["AccessKeyId"], password=keys["SecretAccessKey"], extra={"aws_session_token": keys["SessionToken"]}
    )
    with pytest.raises(AirflowException, match="The security token included in the request is expired") as caught:
        static.execute({})
    assert keys["SecretAccessKey"] not in str(caught.value)
