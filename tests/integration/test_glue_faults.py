"""The Glue operator under faults of AWS: fault x moment x mode, each with how many runs were started.

The faults are the local AWS's (local_aws/faults.py), the calls real clients', the runs real processes.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from datetime import timedelta
from types import SimpleNamespace

import pytest
import requests

pytest.importorskip("airflow")

from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowTaskTimeout, TaskDeferred, timezone
from airflow_lakehouse_provider.aws import start_once
from airflow_lakehouse_provider.operators.glue import GlueMonthlyJobOperator
from airflow_lakehouse_provider.triggers import base

ROLE = "arn:aws:iam::123456789012:role/glue"
SCRIPT = """
import pathlib, sys, time
args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
end = time.monotonic() + float(args.get("--seconds", "0"))
while time.monotonic() < end and not pathlib.Path(args.get("--unless", "/nowhere")).exists():
    time.sleep(0.05)
"""
MODES = pytest.mark.parametrize(
    "deferrable", [pytest.param(False, id="here", marks=pytest.mark.slow), pytest.param(True, id="deferred")]
)
# An outage lasts; botocore's own resends (four, of the calls that may be resent) do not outlive these.
OUTAGE = {"fault": "refuse", "service": "glue", "times": None, "lasts": 3.0}


@pytest.fixture
def aws(own_aws, monkeypatch):
    for name, value in own_aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    # As long as a local call may be on its way.
    monkeypatch.setattr(start_once, "SETTLING", 1.0)
    monkeypatch.setattr(base, "HOLD", 0.0)
    yield own_aws
    requests.delete(f"{own_aws.endpoint}/_lakehouse/faults", timeout=10).raise_for_status()


@pytest.fixture
def script(aws):
    """`script({...}, ...)`: the faults from now on."""

    def write(*faults):
        requests.put(f"{aws.endpoint}/_lakehouse/faults", json=list(faults), timeout=10).raise_for_status()

    return write


@pytest.fixture
def job(aws):
    name = f"job-{uuid.uuid4().hex[:8]}"
    s3, glue = aws.client("s3"), aws.client("glue")
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="job.py", Body=SCRIPT.encode())
    command = {"Name": "pythonshell", "ScriptLocation": f"s3://{name}/job.py", "PythonVersion": "3.9"}
    glue.create_job(Name=name, Role=ROLE, Command=command, ExecutionProperty={"MaxConcurrentRuns": 2})
    return name


def context(try_number=1, max_tries=2, run="r"):
    ti = SimpleNamespace(
        dag_id="d", task_id="clean", run_id=run, map_index=-1, try_number=try_number, max_tries=max_tries
    )
    ti.xcom_push = lambda key, value: None
    started = timezone.parse("2024-02-01T02:00:00+00:00")
    return {"ti": ti, "params": {}, "dag_run": SimpleNamespace(start_date=started, conf={}, run_id=run)}


def operator(job, **arguments):
    # No retries of botocore's own but where a test is about them: each fault is to be met by our code.
    config = {"retries": {"total_max_attempts": 1}, "read_timeout": 2}
    defaults = {"task_id": "clean", "job_name": job, "year": 2024, "month": 1, "job_poll_interval": 0.1}
    return GlueMonthlyJobOperator(**defaults | {"botocore_config": config} | arguments)


def run(make, **in_context):
    """Run a try of the task to its end, through its triggers."""

    async def first(trigger):
        async for event in trigger.run():
            return json.loads(json.dumps(event.payload))

    told = context(**in_context)
    go_on = lambda: make().execute(told)  # noqa: E731
    while True:
        try:
            return go_on()
        except TaskDeferred as deferred:
            path, arguments = deferred.trigger.serialize()
            module, _, name = path.rpartition(".")
            trigger = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))
            event, method = asyncio.run(first(trigger)), deferred.method_name
            go_on = lambda event=event, method=method: getattr(make(), method)(told, event=event)  # noqa: E731


def runs(aws, job):
    return aws.client("glue").get_job_runs(JobName=job)["JobRuns"]


def error(code, times=1, **more):
    return {"fault": "error", "code": code, "times": times, **more}


# The faults that `make test` tries; the others come with `make test-all`.
QUICK = {"dropped reply", "500, started", "no slot", "dropped replies", "throttling", "dropped reply, stopped"}


def cases(faults):
    return [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in faults]


STARTS = {
    "refused connection": ({"fault": "refuse"}, 1),
    "dropped reply": ({"fault": "drop-reply"}, 1),
    "two dropped replies": ({"fault": "drop-reply", "times": 2}, 1),
    "slow": ({"fault": "delay", "seconds": 0.5}, 1),
    "reply after the client's patience": ({"fault": "late-reply", "seconds": 2.5}, 1),
    "500, not started": (error("InternalServiceException"), 1),
    "500, started": ({"fault": "false-error", "code": "InternalServiceException"}, 1),
    "timeout of Glue's, not started": (error("OperationTimeoutException"), 1),
    "timeout of Glue's, started": ({"fault": "false-error", "code": "OperationTimeoutException"}, 1),
    "no slot": (error("ConcurrentRunsExceededException"), 1),
    "expired token": (error("ExpiredTokenException"), 1),
}
LOOKS = {
    "refused connections": {"fault": "refuse", "times": 3},
    "dropped replies": {"fault": "drop-reply", "times": 3},
    "throttling": error("ThrottlingException", 2),
    "timeouts of Glue's": error("OperationTimeoutException", 3),
    "500s": error("InternalServiceException", 6),
    "expired token": error("ExpiredTokenException", 2),
    "outage": OUTAGE,
}


@MODES
@pytest.mark.parametrize("name", cases(STARTS))
def test_at_the_start(aws, script, job, deferrable, name):
    fault, started = STARTS[name]
    script({"service": "glue", "operation": "StartJobRun", **fault})
    assert run(lambda: operator(job, deferrable=deferrable))["state"] == "SUCCEEDED"
    assert len(runs(aws, job)) == started


@MODES
@pytest.mark.parametrize("name", cases(LOOKS))
def test_while_looking_for_the_run_before_the_start(aws, script, job, deferrable, name):
    script({"service": "glue", "operation": "GetJobRuns", **LOOKS[name]})
    assert run(lambda: operator(job, deferrable=deferrable))["state"] == "SUCCEEDED"
    assert len(runs(aws, job)) == 1


@MODES
@pytest.mark.parametrize("name", cases(LOOKS))
def test_while_waiting(aws, script, job, deferrable, name):
    # After the starter's own looks: every look at a run, by itself or among others.
    looks = [
        {"service": "glue", "operation": "GetJobRun", **LOOKS[name]},
        {"service": "glue", "operation": "GetJobRuns", "after": 2, **LOOKS[name]},
    ]
    script(*looks)
    make = lambda: operator(job, deferrable=deferrable, script_args={"--seconds": "0.5"})  # noqa: E731
    assert run(make)["state"] == "SUCCEEDED"
    script()
    assert len(runs(aws, job)) == 1


@MODES
@pytest.mark.parametrize(
    "code", ["AccessDeniedException", pytest.param("EntityNotFoundException", marks=pytest.mark.slow)]
)
def test_what_does_not_pass_ends_the_wait_and_a_retry_takes_the_run(aws, script, job, deferrable, code):
    script(
        error(code, None, service="glue", operation="GetJobRun"),
        error(code, None, service="glue", operation="GetJobRuns", after=2),
    )
    make = lambda: operator(job, deferrable=deferrable)  # noqa: E731
    with pytest.raises(AirflowException, match=rf"a retry finds it(?s:.*)({code}|no job)"):
        run(make)
    script()
    assert run(make, try_number=2)["run_id"] == runs(aws, job)[0]["Id"]
    assert len(runs(aws, job)) == 1


STOPS = {
    "no fault": {"fault": "delay", "seconds": 0},
    "slow": {"fault": "delay", "seconds": 0.5},
    "500, stopped": {"fault": "false-error", "code": "InternalServiceException"},
    "dropped reply, stopped": {"fault": "drop-reply"},
}


@MODES
@pytest.mark.parametrize("name", cases(STOPS))
def test_at_the_deadline_the_run_ends(aws, script, job, deferrable, name):
    script({"service": "glue", "operation": "BatchStopJobRun", **STOPS[name]})
    arguments = {"script_args": {"--seconds": "60"}, "execution_timeout": timedelta(seconds=2)}
    with pytest.raises(AirflowTaskTimeout, match="execution_timeout"):
        run(lambda: operator(job, deferrable=deferrable, **arguments))
    assert [ended(aws, job, each["Id"]) for each in runs(aws, job)] == ["STOPPED"]


@MODES
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"fault": "refuse"}, marks=pytest.mark.slow),
        pytest.param(error("ThrottlingException"), marks=pytest.mark.slow),
        error("AccessDeniedException"),
    ],
)
def test_a_stop_that_fails_at_the_deadline_is_made_good_by_the_retry(aws, script, job, deferrable, fault):
    """The retry finds the run by its key: no second one is started beside it."""
    script({"service": "glue", "operation": "BatchStopJobRun", **fault})
    seconds = {"script_args": {"--seconds": "4"}}
    with pytest.raises(AirflowTaskTimeout, match="may go on, and a retry finds it"):
        run(lambda: operator(job, deferrable=deferrable, execution_timeout=timedelta(seconds=2), **seconds))
    assert run(lambda: operator(job, deferrable=deferrable, **seconds), try_number=2)["state"] == "SUCCEEDED"
    assert len(runs(aws, job)) == 1


def ended(aws, job, run_id):
    glue = aws.client("glue")
    until = time.monotonic() + 20
    while (state := glue.get_job_run(JobName=job, RunId=run_id)["JobRun"]["JobRunState"]) in ("RUNNING", "STOPPING"):
        assert time.monotonic() < until, state
        time.sleep(0.1)
    return state


@MODES
def test_a_slot_that_others_hold_is_waited_for(aws, job, deferrable):
    glue = aws.client("glue")
    for _ in range(2):
        glue.start_job_run(JobName=job, Arguments={"--seconds": "1.5"})
    assert run(lambda: operator(job, deferrable=deferrable))["state"] == "SUCCEEDED"
    assert len(runs(aws, job)) == 3


@MODES
@pytest.mark.parametrize(("on_active_run", "started"), [("wait", 2), ("attach", 1), ("fail", 1)])
def test_somebody_elses_run_of_the_month(aws, job, deferrable, on_active_run, started, tmp_path, monkeypatch):
    glue, seen, decide = aws.client("glue"), tmp_path / "seen", start_once.decide

    def decided(*args, **named):
        """Theirs ends when it has been met; who fails because of it does not need it to end."""
        step = decide(*args, **named)
        if on_active_run != "fail":
            seen.touch()
        return step

    monkeypatch.setattr(start_once, "decide", decided)
    arguments = {"--seconds": "60", "--unless": str(seen), "--YEAR": "2024", "--MONTH": "1"}
    theirs = glue.start_job_run(JobName=job, Arguments=arguments)["JobRunId"]
    make = lambda: operator(job, deferrable=deferrable, on_active_run=on_active_run)  # noqa: E731
    if on_active_run == "fail":
        with pytest.raises(AirflowException, match="Nothing was started"):
            run(make)
    else:
        result = run(make)
        assert (result["run_id"] == theirs) == (on_active_run == "attach")
    assert len(runs(aws, job)) == started
    assert glue.get_job_run(JobName=job, RunId=theirs)["JobRun"]["JobRunState"] in ("SUCCEEDED", "RUNNING", "STARTING")
    if on_active_run == "fail":
        glue.batch_stop_job_run(JobName=job, JobRunIds=[theirs])


@MODES
def test_what_a_clear_left_running_is_stopped(aws, job, deferrable):
    slow = {"script_args": {"--seconds": "60"}}
    with pytest.raises(AirflowTaskTimeout):
        run(
            lambda: operator(
                job, execution_timeout=timedelta(seconds=1), stop_job_run_on_kill=False, deferrable=deferrable, **slow
            )
        )
    (left,) = runs(aws, job)
    result = run(lambda: operator(job, deferrable=deferrable), try_number=2, max_tries=3)
    assert ended(aws, job, left["Id"]) == "STOPPED"
    assert result["run_id"] != left["Id"]
    first, second = sorted(runs(aws, job), key=lambda each: each["StartedOn"])
    assert second["StartedOn"] >= first["CompletedOn"], "one writer at a time"


def test_two_starts_at_one_moment_leave_one_writer(aws, script, job):
    """Two tasks both see nobody; both starts are accepted."""
    from concurrent.futures import ThreadPoolExecutor

    script({"service": "glue", "operation": "StartJobRun", "fault": "delay", "seconds": 0.7, "times": 2})
    slow = {"script_args": {"--seconds": "1"}}
    with ThreadPoolExecutor(2) as both:
        tries = [both.submit(run, lambda: operator(job, **slow), run=name) for name in ("one", "other")]
        assert [each.result()["state"] for each in tries] == ["SUCCEEDED", "SUCCEEDED"]
    succeeded = sorted(
        (each for each in runs(aws, job) if each["JobRunState"] == "SUCCEEDED"), key=lambda each: each["StartedOn"]
    )
    assert len(succeeded) == 2
    assert succeeded[1]["StartedOn"] >= succeeded[0]["CompletedOn"], "one after the other"
    assert {each["JobRunState"] for each in runs(aws, job)} <= {"SUCCEEDED", "STOPPED"}


_WORKER = """
import sys
sys.path.insert(0, sys.argv[1])
from test_glue_faults import operator, run
run(lambda: operator(sys.argv[2], deferrable=sys.argv[3] == "True", script_args={"--seconds": "3"}))
"""


@MODES
def test_a_worker_killed_between_the_start_and_its_notice_of_it(aws, script, job, deferrable):
    script({"service": "glue", "operation": "StartJobRun", "fault": "late-reply", "seconds": 1.9})
    here = os.path.dirname(__file__)
    worker = subprocess.Popen([sys.executable, "-c", _WORKER, here, job, str(deferrable)])
    until = time.monotonic() + 60
    while not runs(aws, job):
        assert worker.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    make = lambda: operator(job, deferrable=deferrable, script_args={"--seconds": "3"})  # noqa: E731
    assert run(make, try_number=2)["run_id"] == runs(aws, job)[0]["Id"]
    assert len(runs(aws, job)) == 1
