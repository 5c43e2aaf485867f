"""Random lives of two tasks that want one month, in Airflow's own states, on the local Glue over HTTP.

Faults, kills, retries and clears come in any order: never two writers at once, never a started run forgotten.
LAKEHOUSE_LIVES says how many lives (default 3); tests/unit/aws/test_one_writer.py runs hundreds, without an Airflow.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import requests
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from airflow_lakehouse_provider.aws.run_key import ARGUMENT, RunKey

pytest.importorskip("airflow.sdk", reason="drives Airflow 3")
pytest.importorskip("moto", reason="needs the extra 'local'")

TASKS = ("clean", "clean_too")
ROLE = "arn:aws:iam::123456789012:role/glue"
DAG = """
from datetime import datetime, timedelta
from airflow.sdk import DAG
from airflow_lakehouse_provider import GlueMonthlyJobOperator

class Clean(GlueMonthlyJobOperator):
    def execute(self, context):
        self.deferrable = self.task_id in context["dag_run"].conf["deferred"]
        return super().execute(context)

with DAG("months", schedule=None, start_date=datetime(2024, 1, 1)):
    for name in ("clean", "clean_too"):
        Clean(
            task_id=name,
            job_name="{{ dag_run.conf['job'] }}",
            script_args={"--until": "{{ dag_run.conf['until'] }}"},
            year=2024,
            month=1,
            job_poll_interval=0.1,
            botocore_config={"retries": {"total_max_attempts": 1}, "read_timeout": 2},
            retries=2,
            retry_delay=timedelta(0),
        )
"""
# Runs until a file says how it ends.
SCRIPT = """
import os, sys, time
args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
end = os.path.join(args["--until"], args["--JOB_RUN_ID"])
while not os.path.exists(end):
    time.sleep(0.05)
sys.exit(open(end).read() != "SUCCEEDED")
"""
FAULTS = [
    {"operation": "StartJobRun", "fault": "refuse"},
    {"operation": "StartJobRun", "fault": "drop-reply"},
    {"operation": "StartJobRun", "fault": "late-reply", "seconds": 2.5},
    {"operation": "StartJobRun", "fault": "false-error", "code": "InternalServiceException"},
    {"operation": "StartJobRun", "fault": "error", "code": "OperationTimeoutException"},
    {"operation": "GetJobRuns", "fault": "error", "code": "ThrottlingException", "times": 2},
    {"operation": "GetJobRuns", "fault": "drop-reply", "times": 2},
    {"operation": "GetJobRun", "fault": "error", "code": "ExpiredTokenException"},
    {"operation": "BatchStopJobRun", "fault": "drop-reply"},
    {"operation": "BatchStopJobRun", "fault": "refuse"},
]


class Steps:
    """The process of airflow_steps.py."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        (home / "dags").mkdir(parents=True)
        (home / "dags" / "months.py").write_text(DAG)
        self._log = home / "log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("airflow_steps.py"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={
                    **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")},
                    **environment,
                    "AIRFLOW_HOME": str(home),
                    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
                    "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
                    "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
                },
            )
        assert self._process.stdout.readline() == "ready\n", self.log

    @property
    def log(self) -> str:
        return self._log.read_text()

    def __call__(self, command: str, **arguments):
        """Run a command; return each task's state afterwards."""
        self._process.stdin.write(json.dumps([command, arguments]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, self.log[-5000:]
        return json.loads(answer)

    def end(self) -> None:
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


class Lives(RuleBasedStateMachine):
    airflow: Steps
    aws = None
    directory: Path

    @initialize(deferred=st.sampled_from([TASKS, TASKS, TASKS[:1], ()]))
    def begin(self, deferred) -> None:
        self.job = f"job-{uuid.uuid4().hex[:12]}"
        self.ends = self.directory / self.job
        self.ends.mkdir()
        command = {"Name": "pythonshell", "ScriptLocation": "s3://lives/job.py", "PythonVersion": "3.9"}
        self.glue.create_job(Name=self.job, Role=ROLE, Command=command, ExecutionProperty={"MaxConcurrentRuns": 5})
        conf = {"job": self.job, "until": str(self.ends), "deferred": deferred}
        self.doomed = set()  # tasks whose worker dies as soon as it starts a run
        self.states = self.airflow("new", run_id=self.job, conf=conf)
        self.states = self.airflow("schedule")

    @property
    def glue(self):
        return type(self).client

    def runs(self):
        return self.glue.get_job_runs(JobName=self.job)["JobRuns"]

    def active(self):
        """Return the runs that may write, once those that are stopping have stopped."""
        until = time.monotonic() + 20
        while True:
            active = [run for run in self.runs() if run["JobRunState"] in ("STARTING", "RUNNING", "STOPPING")]
            if not any(run["JobRunState"] == "STOPPING" for run in active):
                return active
            assert time.monotonic() < until
            time.sleep(0.05)

    def step(self, command, **arguments) -> None:
        self.states = self.airflow(command, **arguments)
        self.states = self.airflow("schedule")

    def work(self, tasks, patience=1.5, **arguments) -> None:
        # A worker that waits for its run here does not come back; one that defers or fails does.
        self.step("work", tasks=tasks, patience=patience, **arguments)

    def in_state(self, *states):
        return [task for task in TASKS if self.states.get(task, {}).get("state") in states]

    # Hypothesis draws the same for the same choices: no strategy and no precondition looks at Airflow or AWS. Numbers
    # are drawn, and the step takes them modulo what can happen now, so that no step is idle either.
    @rule(
        event=st.integers(0, 839),  # divisible by any number of events
        subject=st.integers(0, 1),
        fault=st.sampled_from([None, None, *FAULTS]),
        fault_of_a_look=st.sampled_from([None, None, *FAULTS[5:8]]),
        dies=st.sampled_from(["before", "after"]),
        triggerer_lives=st.booleans(),
        state=st.sampled_from(["SUCCEEDED", "SUCCEEDED", "FAILED"]),
    )
    def something_happens(self, event, subject, fault, fault_of_a_look, dies, triggerer_lives, state) -> None:
        scheduled, running, deferred = (self.in_state(name) for name in ("scheduled", "running", "deferred"))
        events = [
            (scheduled, lambda task: self.a_worker(task, fault)),
            ([TASKS] if len(scheduled) == 2 else [], self.both_workers_at_once),
            (scheduled, lambda task: self.a_worker_dies_at_the_start(task, dies)),
            (running, self.a_worker_dies),
            (deferred, lambda task: self.a_triggerer_looks_and_dies(task, fault_of_a_look)),
            (
                self.in_state("success", "failed", "running", "deferred"),
                lambda task: self.a_user_clears(task, triggerer_lives),
            ),
            (self.in_state("running", "deferred"), lambda task: self.a_user_marks_failed(task, triggerer_lives)),
            ([run["Id"] for run in self.active()], lambda run_id: self.end_run(run_id, state)),
        ]
        possible = [(subjects, happen) for subjects, happen in events if subjects]
        if possible:
            subjects, happen = possible[event % len(possible)]
            happen(subjects[subject % len(subjects)])

    def a_worker(self, task, fault) -> None:
        with self.trouble(fault):
            self.work([task], patience=6 if fault else 2)

    def both_workers_at_once(self, tasks) -> None:
        self.work(tasks, patience=4)

    def a_worker_dies_at_the_start(self, task, dies) -> None:
        self.doomed.add(task)
        self.work([task], dies=dies, patience=5)
        if task not in self.in_state("running"):
            self.doomed.discard(task)

    def a_worker_dies(self, task) -> None:
        self.step("kill", task=task)

    def a_triggerer_looks_and_dies(self, task, fault) -> None:
        with self.trouble(fault):
            self.step("trigger", task=task, seconds=2)

    def a_user_clears(self, task, triggerer_lives) -> None:
        self.step("clear", task=task, triggerer_lives=triggerer_lives)

    def a_user_marks_failed(self, task, triggerer_lives) -> None:
        worker = task in self.in_state("running")
        self.step("fail", task=task, triggerer_lives=triggerer_lives)
        if task not in self.doomed and (worker or triggerer_lives):
            assert not [run for run in self.active() if self.whose(run) == task], "the run is stopped"

    def end_run(self, run_id, state) -> None:
        part = self.ends / f"{run_id}.part"
        part.write_text(state)
        part.rename(self.ends / run_id)
        until = time.monotonic() + 20
        while self.glue.get_job_run(JobName=self.job, RunId=run_id)["JobRun"]["JobRunState"] in ("STARTING", "RUNNING"):
            assert time.monotonic() < until
            time.sleep(0.05)

    @contextmanager
    def trouble(self, fault):
        faults = f"{self.aws.endpoint}/_lakehouse/faults"
        if fault:
            requests.put(faults, json=[{"service": "glue", "times": 1, **fault}], timeout=10).raise_for_status()
        yield
        requests.delete(faults, timeout=10).raise_for_status()

    @staticmethod
    def whose(run) -> str:
        return RunKey.parse(run["Arguments"][ARGUMENT]).task_id

    @invariant()
    def one_writer(self) -> None:
        if hasattr(self, "job"):
            assert len(self.active()) <= 1, self.report()

    def report(self) -> str:
        runs = [(run["Id"], run["JobRunState"], run["Arguments"], str(run["StartedOn"])) for run in self.runs()]
        return f"{self.states}\n{runs}\n{self.airflow.log[-4000:]}"

    def teardown(self) -> None:
        """Left alone, every task ends well by a run of its own; none is left, and no two that count overlapped."""
        if not hasattr(self, "job"):
            return
        until = time.monotonic() + 60
        while self.in_state("success") != list(TASKS):
            assert time.monotonic() < until, self.report()
            for task in TASKS:
                if self.states[task]["state"] == "failed":
                    self.step("clear", task=task, triggerer_lives=True)
                self.work([task], patience=1)
                self.step("trigger", task=task, seconds=1)
            for run in self.active():
                self.end_run(run["Id"], "SUCCEEDED")
        assert not self.active(), self.report()
        good = sorted(
            (run for run in self.runs() if run["JobRunState"] == "SUCCEEDED"), key=lambda run: run["StartedOn"]
        )
        for task in TASKS:
            generations = [
                RunKey.parse(run["Arguments"][ARGUMENT]).max_tries for run in good if self.whose(run) == task
            ]
            assert self.states[task]["max_tries"] in generations, (task, self.report())
        for earlier, later in pairwise(good):
            assert later["StartedOn"] >= earlier["CompletedOn"], self.report()


@pytest.mark.slow
def test_one_writer_and_nothing_forgotten(own_aws, tmp_path_factory):
    s3 = own_aws.client("s3")
    s3.create_bucket(Bucket="lives")
    s3.put_object(Bucket="lives", Key="job.py", Body=SCRIPT.encode())
    Lives.aws, Lives.client, Lives.directory = own_aws, own_aws.client("glue"), tmp_path_factory.mktemp("ends")
    Lives.airflow = Steps(tmp_path_factory.mktemp("airflow") / "home", own_aws.environment)
    try:
        run_state_machine_as_test(
            Lives,
            settings=settings(
                max_examples=int(os.environ.get("LAKEHOUSE_LIVES", "3")),
                stateful_step_count=12,
                deadline=None,
                database=None,
                phases=[Phase.generate],  # a life takes seconds; to shrink one takes minutes
                suppress_health_check=list(HealthCheck),
            ),
        )
    finally:
        Lives.airflow.end()
