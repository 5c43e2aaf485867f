"""Terraform's policies, enforced: each role does its work by them and nothing more. The tests follow one another."""

from __future__ import annotations

import json

import pytest

from .month import Month

pytestmark = [pytest.mark.infra, pytest.mark.spark, pytest.mark.xdist_group("access")]

ENFORCE_IAM = True
ARN = "arn:aws:iam::123456789012:role/"


@pytest.fixture(scope="module")
def people(local):
    """The roles that the configuration trusts and does not make, as a company has them: whom each may become."""
    iam = local.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    for name in ("admin", "airflow-host", "ada"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))
        iam.put_role_policy(RoleName=name, PolicyName="become", PolicyDocument=_document(may))


def _document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.fixture(scope="module")
def session(local, people):
    """Credentials of a role, by way of others: ``session("admin", "nyc-taxi-deployer")``."""

    def assume(*names):
        credentials = None
        for name in names:
            sts = local.client("sts", credentials)
            credentials = sts.assume_role(RoleArn=f"{ARN}{name}", RoleSessionName="test")["Credentials"]
        return credentials

    return assume


def environment_of(credentials):
    return {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }


def judged(local):
    """What was judged so far."""
    lines = (local.root / ".state" / "iam-calls.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def denied(local):
    return [each for each in judged(local) if not each["allowed"]]


def test_the_deployer_applies_it(terraform, deployer, local, session):
    deployer.with_variables("apply", "-auto-approve")  # by an administrator
    terraform.variables["permissions_boundary"] = deployer.outputs()["permissions_boundary"]
    terraform.environment |= environment_of(session("admin", "nyc-taxi-deployer"))
    terraform.with_variables("apply", "-auto-approve")
    assert terraform.changes() == []
    assert denied(local) == []


def test_the_deployer_uploads_the_code(terraform, local, tmp_path):
    terraform.lakehouse("mwaa", "bundle", "--out", str(tmp_path / "bundle"))
    terraform.lakehouse("mwaa", "sync", str(tmp_path / "bundle"), "--dry-run")
    terraform.lakehouse("mwaa", "sync", str(tmp_path / "bundle"))
    assert denied(local) == []


@pytest.fixture
def month(terraform, local, session, monkeypatch):
    """By Airflow's role; dbt's own work by dbt's."""
    airflow = session("airflow-host", "nyc-taxi-airflow")
    for name, value in {**local.environment, **environment_of(airflow)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    role = json.dumps({"role_arn": f"{ARN}nyc-taxi-dbt"})
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DBT", json.dumps({"conn_type": "aws", "extra": role}))
    return Month(terraform, local)


def test_a_month_runs_by_these_policies_alone(month, terraform, local, tmp_path):
    month.upload_raw(tmp_path)
    month.clean()
    month.crawl()
    month.dbt("build", aws_conn_id="aws_dbt")
    assert denied(local) == []


def test_dbt_in_glue_by_the_same(month, local):
    month.dbt_in_glue("build")
    assert denied(local) == []
