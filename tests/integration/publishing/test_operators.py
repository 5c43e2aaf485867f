"""PublishOperator, RollbackOperator and SweepOperator on the local AWS."""

from __future__ import annotations

import pytest

pytest.importorskip("airflow")

from airflow_lakehouse_provider import PublishOperator, RollbackOperator, SweepOperator
from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowFailException
from airflow_lakehouse_provider.publishing import lease
from airflow_lakehouse_provider.publishing.attempt import GATE_FAILED, Gate

FAILED = Gate(GATE_FAILED, "1 of 3 tests failed: unique_facts (2 rows)", ("test.p.unique_facts.abc",))


class Instance:
    """A task instance as far as the operators ask it."""

    dag_id, run_id = "monthly", "scheduled__2024-02-05"


@pytest.fixture
def execute(lake, local_aws, monkeypatch):
    """`execute(Operator, ...)`: the result of a task on the local AWS."""
    for name, value in local_aws.environment.items():
        monkeypatch.setenv(name, value)

    def run(operator, **arguments):
        return operator(task_id="task", aws_conn_id=None, **arguments).execute({"ti": Instance()})

    return run


def test_publish_and_roll_back(execute, lake):
    lake.publish_month(1, [1])
    uri = lake.built("2024-01", 1, [2], "totals")
    result = execute(PublishOperator, attempt=uri, s3_staging_dir=f"s3://{lake.results}/")
    assert result == {
        "unit": "2024-01",
        "generation": 2,
        "tables": [f"{lake.schema}.facts", f"{lake.schema}.totals"],
        "changes": 3,
        "gate": "passed",
        "record": f"{lake.places.publications}/2024-01/000002.json",
    }
    record = lake.publisher().history.published("2024-01")[-1]
    assert record.run == "monthly/scheduled__2024-02-05"
    back = execute(RollbackOperator, unit="2024-01", s3_data_dir=lake.places.data, to="1")
    assert (back["generation"], back["restores"]) == (3, 1)
    assert lake.facts() == [(1, 1, 1)]


@pytest.mark.slow
def test_accepted_tests_come_as_text_from_the_runs_parameters(execute, lake):
    attempt = lake.begin("2024-01", "facts")
    lake.build_month(attempt, 1, [7])
    uri = lake.end(attempt, FAILED)
    result = execute(PublishOperator, attempt=uri, accept="unique_facts, other", reason="known", accepted_by="ada")
    assert result["gate"] == "accepted"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"attempt": "None"}, "attempt is 'None'; it must be the address that a build under audit returns"),
        ({"attempt": ""}, "attempt is ''; it must be"),
        ({"attempt": "s3://b/attempts/x__audit_000000000000/attempt.json"}, "there is no attempt at|NoSuchBucket"),
        ({"attempt": "s3://b/attempts/x/attempt.json", "accept": 3, "reason": "x"}, "accept must be a list of names"),
        ({"attempt": "s3://b/attempts/x/attempt.json", "accept": "a"}, "the two go together"),
    ],
)
def test_arguments_that_cannot_be_used_fail_without_a_retry(execute, lake, arguments, message):
    if "000000" in arguments["attempt"]:
        arguments = {"attempt": f"{lake.places.data}/attempts/x__audit_000000000000/attempt.json"}
    with pytest.raises(AirflowFailException, match=message):
        execute(PublishOperator, **arguments)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"unit": "2024-01", "s3_data_dir": "nowhere"}, "s3_data_dir must be s3://bucket/prefix, not 'nowhere'"),
        ({"unit": "2024-01", "s3_data_dir": "s3://b", "to": "last"}, "to must be a whole number, not 'last'"),
    ],
)
def test_a_rollback_with_arguments_that_cannot_be_used(execute, arguments, message):
    with pytest.raises(AirflowFailException, match=message):
        execute(RollbackOperator, **arguments)


def test_what_moved_fails_without_a_retry_and_production_stays(execute, lake):
    lake.publish_month(1, [1], "totals")
    older = lake.built("2024-02", 2, [2], "totals")
    lake.publish_month(3, [3], "totals")
    before = lake.snapshot()
    with pytest.raises(AirflowFailException, match="nothing was published"):
        execute(PublishOperator, attempt=older)
    assert lake.snapshot() == before


@pytest.mark.slow
def test_another_publisher_is_waited_for_and_the_task_retried(execute, lake, monkeypatch):
    uri = lake.built("2024-01", 1, [1])
    monkeypatch.setattr(lease.Lease.__init__, "__kwdefaults__", {"wait": 0.3, "log": None})
    with (
        lake.publisher().lease("a long publication"),
        pytest.raises(AirflowException, match="a long publication") as raised,
    ):
        execute(PublishOperator, attempt=uri)
    assert not isinstance(raised.value, AirflowFailException)


@pytest.mark.slow
def test_sweep(execute, lake):
    lake.publish_month(1, [1])
    result = execute(SweepOperator, schemas=lake.schema, s3_data_dir=lake.places.data, list_only="true")
    assert result == {"databases": [], "tables": [], "files": 0, "bytes": 0}
    with pytest.raises(AirflowFailException, match="keep_generations must be a whole number, not 'two'"):
        execute(SweepOperator, schemas="a b", s3_data_dir=lake.places.data, keep_generations="two")


def test_every_argument_is_templated():
    for operator in (PublishOperator, RollbackOperator, SweepOperator):
        names = [*(operator.__init__.__kwdefaults__ or {}), "aws_conn_id", "region_name"]
        assert set(names) <= set(operator.template_fields), operator
