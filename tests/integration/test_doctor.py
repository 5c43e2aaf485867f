"""`lakehouse doctor` against the local AWS: all well, and each thing that can be wrong."""

from __future__ import annotations

import sys

import pytest
import yaml

pytest.importorskip("moto", reason="needs the extra 'local'")
pytest.importorskip("airflow")

from click.testing import CliRunner

from airflow_lakehouse_provider.cli.main import lakehouse as command
from airflow_lakehouse_provider.config import Lakehouse
from airflow_lakehouse_provider.doctor import run
from airflow_lakehouse_provider.doctor.report import Answer, CheckStatus, permission

DBT = """#!{python}
print('''Core:
  - installed: {core}
  - latest:    1.11.16 - Up to date!

Plugins:
{plugin}''')
"""


@pytest.fixture
def dbt(tmp_path):
    def make(core="1.11.16", plugin="  - athena: 1.11.1 - Up to date!"):
        path = tmp_path / "dbt"
        path.write_text(DBT.format(python=sys.executable, core=core, plugin=plugin))
        path.chmod(0o755)
        return str(path)

    return make


@pytest.fixture
def config(repository, tmp_path, dbt):
    content = yaml.safe_load((repository / "example_dags" / "lakehouse.yaml").read_text())
    content["dbt"]["executable"] = dbt()
    content["dbt"]["project"] = str(repository / "dbt_models")
    path = tmp_path / "lakehouse.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.fixture
def aws(local_aws, config, monkeypatch):
    from airflow_lakehouse_provider.provision import provision

    for name, value in local_aws.environment.items():
        monkeypatch.setenv(name, value)
    provision(local_aws.endpoint, Lakehouse.load(config))
    return local_aws


def found(config, **connections):
    findings = run.run(Lakehouse.load(config), **{"airflow_connection": None, "dbt_connection": None, **connections})
    return {each.what: each for each in findings}, {each.what: each for each in run.wrong(findings)}


@pytest.mark.parametrize("connection", [None, "aws_default"])
def test_all_is_well(aws, config, monkeypatch, connection):
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    glue = aws.client("glue")
    before = len(glue.get_job_runs(JobName="clean-trips")["JobRuns"])
    every, wrong = found(config, airflow_connection=connection, dbt_connection=connection)
    assert wrong == {}
    assert every["dbt"].found.endswith("1.11.16, athena 1.11.1")
    assert len(every) > 30
    # Nothing was started.
    assert len(glue.get_job_runs(JobName="clean-trips")["JobRuns"]) == before
    assert glue.get_crawler(Name="nyc-taxi-cleaned")["Crawler"]["State"] == "READY"


def test_the_table_and_the_exit_code(aws, config):
    ended = CliRunner().invoke(command, ["doctor", "--config", str(config)])
    assert ended.exit_code == 0, ended.output
    assert "ok           identity of this machine's credentials" in ended.output
    assert ended.output.rstrip().endswith("0 wrong")
    config.write_text(config.read_text().replace("job: clean-trips", "job: no-such-job"))
    ended = CliRunner().invoke(command, ["doctor", "--config", str(config)])
    assert ended.exit_code == 1
    assert "create job no-such-job (infra/terraform does), or correct lakehouse.yaml" in ended.output


BROKEN = {
    "retries of job clean-trips": ("job", {"MaxRetries": 2}, "start a month twice"),
    "bookmark of job clean-trips": (
        "job",
        {"DefaultArguments": {"--job-bookmark-option": "job-bookmark-enable"}},
        "reads nothing",
    ),
    "concurrency of job clean-trips": ("job", {"ExecutionProperty": {"MaxConcurrentRuns": 1}}, "12"),
    "role of job clean-trips": ("job", {"Role": "arn:aws:iam::123456789012:role/other"}, "nyc-taxi-glue"),
    "schedule of crawler nyc-taxi-cleaned": ("crawler", {"Schedule": "cron(0 6 * * ? *)"}, "remove the schedule"),
    "partitions of crawler nyc-taxi-cleaned": (
        "crawler",
        {"Configuration": '{"Version": 1.0}'},
        "HIVE_PARTITION_SCHEMA_MISMATCH",
    ),
    "location of work group nyc-taxi-dbt": ("group", {"EnforceWorkGroupConfiguration": True}, "external_location"),
    "Lake Formation and database nyc_taxi_marts": ("database", {}, "IAM_ALLOWED_PRINCIPALS"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_setting_that_breaks_the_pipeline(aws, config, what):
    kind, change, to_do = BROKEN[what]
    glue = aws.client("glue")
    if kind == "job":
        job = glue.get_job(JobName="clean-trips")["Job"]
        keep = ("Role", "Command", "DefaultArguments", "ExecutionProperty", "MaxRetries")
        glue.update_job(JobName="clean-trips", JobUpdate={key: job[key] for key in keep} | change)
    elif kind == "crawler":
        glue.update_crawler(Name="nyc-taxi-cleaned", **change)
    elif kind == "group":
        aws.client("athena").update_work_group(WorkGroup="nyc-taxi-dbt", ConfigurationUpdates=change)
    else:
        update = {"Name": "nyc_taxi_marts", "CreateTableDefaultPermissions": []}
        glue.update_database(Name="nyc_taxi_marts", DatabaseInput=update)
    try:
        _, wrong = found(config)
        assert set(wrong) == {what}
        assert to_do in wrong[what].to_do
    finally:
        if kind == "crawler":
            glue.update_crawler(Name="nyc-taxi-cleaned", Schedule="")
        if kind == "database":
            everyone = {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}
            update["CreateTableDefaultPermissions"] = [{"Principal": everyone, "Permissions": ["ALL"]}]
            glue.update_database(Name="nyc_taxi_marts", DatabaseInput=update)


@pytest.mark.parametrize(
    ("made", "part"),
    [
        ({"core": "1.12.0"}, "< 1.12"),
        ({"core": "1.7.9"}, ">= 1.8"),
        ({"plugin": ""}, "dbt-athena-community"),
        (None, "set its dbt in lakehouse.yaml's dbt.executable"),
    ],
)
def test_a_dbt_that_does_not_do(aws, config, dbt, tmp_path, made, part):
    if made is None:
        (tmp_path / "dbt").unlink()
    else:
        dbt(**made)
    _, wrong = found(config)
    assert set(wrong) == {"dbt"}
    assert part in wrong["dbt"].to_do


def test_dbt_in_glue(aws, config, tmp_path):
    (tmp_path / "dbt").unlink()  # nobody needs it here
    config.write_text(config.read_text().replace("runs_in: worker", "runs_in: glue\n  glue_job: dbt-of-mine"))
    _, wrong = found(config)
    assert set(wrong) == {"glue:GetJob on job dbt-of-mine"}
    from airflow_lakehouse_provider.provision import provision

    provision(aws.endpoint, Lakehouse.load(config))
    every, wrong = found(config)
    assert wrong == {}
    assert every["dbt"].status is CheckStatus.UNKNOWN
    assert every["glue:StartJobRun on job dbt-of-mine"].status is CheckStatus.OK
    assert aws.client("glue").get_job_runs(JobName="dbt-of-mine")["JobRuns"] == []


def test_another_account_and_a_connection_that_is_not_there(aws, config):
    config.write_text(config.read_text().replace("iam::123456789012", "iam::210987654321"))
    _, wrong = found(config)
    assert (
        "lakehouse.yaml's glue.role is of account 210987654321" in wrong["identity of this machine's credentials"].found
    )


def test_nobody_answers(config, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    _, wrong = found(config)
    assert "127.0.0.1:9" in wrong["identity of this machine's credentials"].found


@pytest.mark.parametrize(
    ("answer", "harmless", "verdict", "to_do"),
    [
        (Answer({}), (), CheckStatus.OK, ""),
        (Answer(code="EntityNotFoundException"), ("EntityNotFoundException",), CheckStatus.OK, ""),
        (Answer(code="AccessDeniedException", text="no"), (), CheckStatus.WRONG, "allow arn:me glue:GetJob on job j"),
        (Answer(code="403"), ("404",), CheckStatus.WRONG, "allow arn:me glue:GetJob on job j"),
        (Answer(code="EntityNotFoundException", text="no"), (), CheckStatus.WRONG, "create job j"),
        (Answer(code="ExpiredToken", text="old"), (), CheckStatus.WRONG, "check the endpoint"),
    ],
)
def test_how_an_answer_is_judged(answer, harmless, verdict, to_do):
    finding = permission("glue:GetJob", "job j", answer, harmless=harmless, who="arn:me")
    assert finding.status is verdict
    assert to_do in finding.to_do
