"""The gate's arguments of DbtAthenaOperator: what a request is made of, and each refusal's sentence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from airflow_lakehouse_provider._airflow.compat import AirflowFailException
from airflow_lakehouse_provider.dbt.access import AwsAccess
from airflow_lakehouse_provider.dbt.gate.request import GateRequest
from airflow_lakehouse_provider.dbt.request import DbtRequest
from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator
from airflow_lakehouse_provider.operators.dbt_request import DbtSettings, make_request
from airflow_lakehouse_provider.values import ArgumentError

ROLE = "arn:aws:iam::123456789012:role/builder"
ATTEMPT = "s3://lake/data/attempts/marts__audit_0123456789ab/attempt.json"
ACCESS = AwsAccess("us-east-1", "aws", lambda service: None)
TI = SimpleNamespace(
    dag_id="taxi", task_id="build", run_id="manual__2024-05-01T00:00:00+00:00", map_index=-1, max_tries=1, try_number=2
)


def request(**arguments):
    given = {"command": "build", "project": "/dbt", "schema": "marts", "s3_data_dir": "s3://lake/data/"}
    given |= {"s3_staging_dir": "s3://results/dbt/", "audit": "2024-05", "fence": ROLE}
    return make_request(DbtSettings(**(given | arguments)), {"ti": TI}, ACCESS)


def test_a_build_travels_in_plain_json_and_is_never_resumed():
    made = request(partitions="year = 2024 and month = 5", direct="mart_load_quality tag:direct")
    read = DbtRequest.load(made.dump(), "s3://x", "")
    assert GateRequest.load(read.gate) == GateRequest(
        schema="marts",
        data="s3://lake/data",
        unit="2024-05",
        staging="s3://results/dbt/",
        fence=ROLE,
        scope="year = 2024 and month = 5",
        direct=("mart_load_quality", "tag:direct"),
        run="taxi/manual__2024-05-01T00:00:00+00:00",
        session="taxi-manual__2024-05-01T00-00-00+00-00",
    )
    assert not made.resume
    assert request(audit=None).resume


def test_a_test_takes_an_attempt_and_needs_no_fence():
    gate = GateRequest.load(request(command="test", audit=ATTEMPT, fence=None).gate)
    assert (gate.attempt, gate.unit, gate.fence, gate.compare) == (ATTEMPT, None, None, False)


def test_without_a_fence_production_is_compared():
    gate = GateRequest.load(request(fence=False).gate)
    assert (gate.fence, gate.compare) == (None, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"command": "snapshot"}, "audit goes with build, run, seed and test; command is 'snapshot'"),
        ({"audit": ""}, "audit is '': its template gave nothing"),
        ({"audit": "None"}, "audit is 'None': its template gave nothing"),
        ({"audit": "a/b"}, "audit: unit is 'a/b'; it must be 1 to 100 letters"),
        ({"audit": ATTEMPT}, "audit: unit is 's3://"),
        ({"command": "test", "audit": "2024-05"}, "audit is '2024-05'; with test it is the address of an attempt"),
        ({"s3_data_dir": None}, "audit needs s3_data_dir"),
        (
            {"fence": None},
            r"fence is None; a build under audit needs it\. .* with fence=False production's files are only",
        ),
        ({"fence": "builder"}, "fence is 'builder'; it must be the ARN of an IAM role"),
        ({"full_refresh": True}, "full_refresh does not go with audit"),
        ({"flags": ["--empty"]}, "flags holds --empty, which does not go with audit: it builds tables without rows"),
        ({"flags": ["--state=x"]}, "flags holds --state, which does not go with audit"),
        ({"flags": ["--favor-state"]}, "flags holds --favor-state"),
        ({"partitions": " "}, "partitions is ' '; it must be an expression of Glue's GetPartitions"),
        ({"direct": ["--x"]}, r"direct holds \['--x'\]: a selector does not begin"),
        ({"direct": "a", "selector": "marts"}, "direct goes with select and exclude"),
        ({"direct": "a", "audit": None}, "direct goes with audit, and audit is not given"),
        ({"partitions": "a = 1", "audit": None}, "partitions goes with audit"),
        ({"command": "test", "audit": ATTEMPT, "direct": "a"}, "partitions and direct go with a build"),
        ({"profile_args": {"aws_profile_name": "me"}}, "profile_args holds aws_profile_name, and with a fence"),
        ({"profile_args": {"lf_tags_database": {"a": "b"}}}, "profile_args holds lf_tags_database"),
        ({"env": {"AWS_ACCESS_KEY_ID": "AKIA"}}, "env holds AWS_ACCESS_KEY_ID, and with a fence"),
    ],
)
def test_an_argument_that_does_not_go_with_audit_is_refused_by_name(arguments, message):
    with pytest.raises(ArgumentError, match=f"^{message}"):
        request(**arguments)


def test_a_profile_of_the_users_does_not_go_with_audit(tmp_path):
    (tmp_path / "profiles.yml").touch()
    with pytest.raises(ArgumentError, match=r"^audit needs a profile of the arguments"):
        request(profiles_dir=str(tmp_path))


def test_a_native_template_without_a_value_does_not_go_past_the_gate(tmp_path):
    operator = DbtAthenaOperator(
        task_id="test",
        command="test",
        project=str(tmp_path),
        schema="marts",
        s3_staging_dir="s3://results/",
        audit="{{ ti.xcom_pull('build', key='attempt') }}",
        aws_conn_id=None,
    )
    operator.audit = None  # as Airflow renders it with render_template_as_native_obj
    with pytest.raises(AirflowFailException, match=r"^audit is '': its template gave nothing"):
        operator.execute({})
