"""Random lives of tasks that want one month: never two writers at once, never a started run forgotten.

The Glue is in memory and obeys; lost replies, kills, retries, clears and interleaved starts come in any order.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from airflow_lakehouse_provider.aws import start_once
from airflow_lakehouse_provider.aws.job_runs import STATES
from airflow_lakehouse_provider.aws.run_key import RunKey
from airflow_lakehouse_provider.aws.start_once import Claim, JobDefinition, StartState, Unit

NOW = datetime(2024, 2, 1, 3, tzinfo=timezone.utc)
ARGUMENTS = {"--YEAR": "2024", "--MONTH": "01"}


class Glue:
    """A job and its runs; what happens to the next start is told beforehand."""

    meta = SimpleNamespace(region_name="eu-west-1", partition="aws")

    def __init__(self) -> None:
        self.runs: list[dict[str, Any]] = []
        self.lost: str | None = None  # "before" or "after" the run is there
        self.meanwhile: Any = None

    def start_job_run(self, **request: Any) -> dict[str, Any]:
        if self.meanwhile is not None:
            other, self.meanwhile = self.meanwhile, None
            other()  # another task looks and starts between this one's look and its start
        lost, self.lost = self.lost, None
        if lost == "before":
            raise ConnectionResetError("lost")
        number = len(self.runs)
        started = NOW + timedelta(milliseconds=number)
        run = {"JobName": "trips", "Id": f"jr_{number}", "JobRunState": "RUNNING", "StartedOn": started}
        self.runs.insert(0, run | {"Arguments": request["Arguments"]})
        if lost == "after":
            raise ConnectionResetError("lost")
        return {"JobRunId": run["Id"]}

    def get_job_runs(self, **request: Any) -> dict[str, Any]:
        return {"JobRuns": [dict(run) for run in self.runs]}

    def get_job_run(self, *, JobName: str, RunId: str) -> dict[str, Any]:
        return {"JobRun": self.run(RunId)}

    def batch_stop_job_run(self, *, JobName: str, JobRunIds: list[str]) -> dict[str, Any]:
        for run_id in JobRunIds:
            if not STATES[self.run(run_id)["JobRunState"]].ended:
                self.run(run_id)["JobRunState"] = "STOPPING"
        return {}

    def run(self, run_id: str) -> dict[str, Any]:
        return next(run for run in self.runs if run["Id"] == run_id)

    def active(self) -> list[dict[str, Any]]:
        return [run for run in self.runs if not STATES[run["JobRunState"]].ended]


class Task:
    """A task instance: its tries and rounds as Airflow counts them."""

    def __init__(self, glue: Glue, name: str) -> None:
        self.glue, self.name = glue, name
        self.max_tries, self.run_id, self.done = 2, None, False
        self.state: StartState = StartState(first_try=True)

    @property
    def claim(self) -> Claim:
        key = RunKey("d", self.name, "r", "2024-02-01T02:00:00+00:00", -1, self.max_tries)
        unit = Unit.of_arguments("trips", ("--YEAR", "--MONTH"), (), ARGUMENTS)
        return Claim(JobDefinition("trips", {}, {}, 9), unit, key, ARGUMENTS)

    def look(self) -> None:
        """Do the next step of its worker or trigger."""
        if self.done:
            return
        if self.run_id is None:
            # The reply's settling is over: what was started shows.
            memory = replace(self.state, lost_at=0.0 if self.state.lost_at is not None else None)
            step = start_once.advance(self.glue, self.glue, self.claim, memory)
            self.state, self.run_id = step.state, step.run.run_id if step.run else None
        if self.run_id is not None:
            state = self.glue.run(self.run_id)["JobRunState"]
            if STATES[state].succeeded:
                self.done = True
            elif STATES[state].ended:
                self.retry()

    def retry(self) -> None:
        """Begin again after a failure, a lost worker or a lost trigger: the same round, without its state."""
        self.run_id, self.state = None, StartState(first_try=False)

    def clear(self) -> None:
        self.max_tries += 1
        self.done = False
        self.retry()


class OneWriter(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.glue = Glue()
        self.tasks = [Task(self.glue, name) for name in ("clean", "clean_too")]

    which = st.sampled_from([0, 1])

    @rule(which=which)
    def look(self, which: int) -> None:
        self.tasks[which].look()

    @rule(which=which, lost=st.sampled_from(["before", "after"]))
    def look_and_lose_the_reply(self, which: int, lost: str) -> None:
        self.glue.lost = lost
        self.tasks[which].look()
        self.glue.lost = None

    @rule(which=which)
    def both_at_once(self, which: int) -> None:
        self.glue.meanwhile = self.tasks[1 - which].look
        self.tasks[which].look()
        self.glue.meanwhile = None

    @rule(which=which)
    def lose_the_worker(self, which: int) -> None:
        if not self.tasks[which].done:
            self.tasks[which].retry()

    @rule(which=which)
    def clear(self, which: int) -> None:
        self.tasks[which].clear()

    @precondition(lambda self: self.glue.active())
    @rule(state=st.sampled_from(["SUCCEEDED", "FAILED", "TIMEOUT"]), data=st.data())
    def a_run_ends(self, state: str, data: Any) -> None:
        run = data.draw(st.sampled_from(self.glue.active()))
        run["JobRunState"] = "STOPPED" if run["JobRunState"] == "STOPPING" else state

    @invariant()
    def one_writer(self) -> None:
        """There is at most one writer, among the runs that are not being stopped."""
        writers = [run for run in self.glue.active() if run["JobRunState"] != "STOPPING"]
        assert len(writers) <= 1, writers

    @invariant()
    def nothing_is_forgotten(self) -> None:
        """Every active run is waited for, or carries the key by which a task that still lives finds it."""
        tasks = {task.name: task for task in self.tasks}
        for run in self.glue.active():
            key = start_once.JobRun.from_api(run).key
            assert key is not None
            assert key.task_id in tasks

    def teardown(self) -> None:
        """Left alone, every task comes to its end, and no run is left."""
        for _ in range(40):
            for task in self.tasks:
                task.look()
            for run in self.glue.active():
                run["JobRunState"] = "STOPPED" if run["JobRunState"] == "STOPPING" else "SUCCEEDED"
        assert [task.done for task in self.tasks] == [True, True]
        assert not self.glue.active()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_once, "_PAUSE", 0.0)


def test_one_writer_through_random_lives() -> None:
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(OneWriter, settings=settings(stateful_step_count=30, deadline=None))
