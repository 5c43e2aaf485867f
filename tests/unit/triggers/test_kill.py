"""Triggers whose task is killed, and triggers that only move to another triggerer."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

pytest.importorskip("airflow")

from airflow_lakehouse_provider._airflow import kill
from airflow_lakehouse_provider._airflow.compat import AIRFLOW_3
from airflow_lakehouse_provider.aws.run_key import RunKey
from airflow_lakehouse_provider.triggers.events import VERSION
from airflow_lakehouse_provider.triggers.glue import GlueJobRunTrigger, GlueTurnTrigger

KEY = RunKey("d", "t", "r", "2024-02-01T02:00:00+00:00", -1, 2)
CLAIM = {
    "job_name": "trips",
    "defaults": {},
    "fixed": {},
    "most_runs": 1,
    "month_arguments": ["--YEAR", "--MONTH"],
    "values": [["--YEAR", "2024"], ["--MONTH", "1"]],
    "key": str(KEY),
    "on_active_run": "wait",
}
ARGUMENTS = {"--YEAR": "2024", "--MONTH": "1"}


@pytest.fixture
def killed(monkeypatch):
    """Set Airflow's answer about a kill of the task."""
    says = {"answer": True}

    async def is_killed(trigger):
        if isinstance(says["answer"], Exception):
            raise says["answer"]
        return says["answer"]

    monkeypatch.setattr(kill, "_is_killed", is_killed)
    return says


def end(trigger):
    """End a trigger as a triggerer does, in the middle of its wait."""

    async def cancelled():
        async def wait():
            async for _ in trigger.run():
                pytest.fail("nothing was to be told")

        task = asyncio.create_task(wait())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        if kill._AIRFLOW_CALLS_ON_KILL:
            await trigger.on_kill()

    asyncio.run(cancelled())


def waiting_for_a_run(**arguments):
    return GlueJobRunTrigger(job_name="trips", run_id="mine", version=VERSION, poll_interval=0.01, **arguments)


@pytest.mark.parametrize(
    ("answer", "stop_on_kill", "stopped"),
    [(True, True, ["mine"]), (True, False, []), (False, True, []), (RuntimeError("no answer"), True, [])],
    ids=["killed", "not to be stopped", "handed over", "unknown"],
)
def test_a_users_kill_stops_the_run_and_nothing_else_does(aws, killed, answer, stop_on_kill, stopped):
    killed["answer"] = answer
    aws.glue.add_run("mine", "RUNNING", ARGUMENTS)
    end(waiting_for_a_run(stop_on_kill=stop_on_kill))
    assert aws.glue.stopped == stopped


def test_a_kill_before_the_start_stops_what_a_lost_start_left(aws, killed):
    aws.glue.add_run("other", "RUNNING", ARGUMENTS)
    trigger = GlueTurnTrigger(claim=CLAIM, state={}, version=VERSION, poll_interval=0.01, stop_on_kill=True)
    end(trigger)
    assert aws.glue.stopped == []
    aws.glue.add_run("late", "RUNNING", {**ARGUMENTS, "--lakehouse-run-key": str(KEY)})
    asyncio.run(trigger.on_kill())
    assert aws.glue.stopped == ["late"]


def test_a_stop_that_fails_ends_in_the_log(aws, killed, error, monkeypatch):
    def refuse(**request):
        raise error("AccessDeniedException", "not you")

    aws.glue.add_run("mine", "RUNNING", ARGUMENTS)
    monkeypatch.setattr(aws.glue, "batch_stop_job_run", refuse)
    end(waiting_for_a_run(stop_on_kill=True))


@pytest.mark.skipif(not AIRFLOW_3, reason="Airflow 3 asks its API")
@pytest.mark.parametrize(
    ("map_index", "states", "expected"),
    [
        (-1, {"r": {"t": "deferred"}}, False),
        (-1, {"r": {"t": "failed"}}, True),
        (-1, {"r": {"t": None}}, True),
        (-1, {}, True),
        (3, {"r": {"t_3": "deferred"}}, False),
        (3, {"r": {"t_3": "success"}}, True),
    ],
)
def test_airflow_3_is_asked_for_the_tasks_state(monkeypatch, map_index, states, expected):
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    monkeypatch.setattr(RuntimeTaskInstance, "get_task_states", staticmethod(lambda **asked: states))
    ti = SimpleNamespace(dag_id="d", task_id="t", run_id="r", map_index=map_index)
    assert asyncio.run(kill._is_killed(SimpleNamespace(task_instance=ti))) is expected


def test_a_trigger_without_a_task_is_nobodys_to_kill():
    assert asyncio.run(kill._is_killed(SimpleNamespace(task_instance=None))) is False
