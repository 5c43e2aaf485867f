"""Jobs, and job runs as real Python processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import zipfile
from io import BytesIO

import pytest

from lakehouse_local.glue.identity import RunIdentity
from lakehouse_local.glue.jobs import api as jobs_module
from lakehouse_local.glue.jobs.api import Jobs
from lakehouse_local.http.wire import AwsError

from ..conftest import Calls, wait_for

FINAL = ("SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR")


@pytest.fixture
def start(state_dir, store, logs):
    """Start the service; a second call restarts it on the same state."""
    made = []

    def make():
        nowhere = RunIdentity({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
        made.append(Jobs(state_dir, store, logs.write, lambda *_: nowhere))
        return Calls(made[-1])

    yield make
    for service in made:
        service.close()


@pytest.fixture
def calls(start):
    return start()


@pytest.fixture
def job(calls, store):
    """Create a Python shell job from a script, and return its name: `job("print(1)", MaxRetries=1)`."""

    def create(script, *, name="job", **settings):
        store.write(f"s3://code/{name}.py", textwrap.dedent(script).encode())
        command = {"Name": "pythonshell", "ScriptLocation": f"s3://code/{name}.py"}
        calls.CreateJob(Name=name, Role="role", Command=command, **settings)
        return name

    return create


def state(calls, run_id, name="job"):
    return calls.GetJobRun(JobName=name, RunId=run_id)["JobRun"]["JobRunState"]


def finished(calls, run_id, name="job"):
    """Wait for the end of a run, and return it."""
    wait_for(lambda: state(calls, run_id, name) in FINAL)
    return calls.GetJobRun(JobName=name, RunId=run_id)["JobRun"]


def run(calls, name="job", **request):
    return finished(calls, calls.StartJobRun(JobName=name, **request)["JobRunId"], name)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return not subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.startswith(
        "Z"
    )


SLEEPS = """
    import os, subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(os.getpid(), child.pid, flush=True)
    time.sleep(600)
"""


def pids_of(logs):
    """Return the ids of the processes that SLEEPS printed."""
    return [int(pid) for pid in wait_for(lambda: [line for *_, line in logs.lines])[0].split()]


class TestDefinitions:
    def test_create_get_list_delete(self, calls, job):
        job("", name="one", Tags={"team": "a"})
        job("", name="two", DefaultArguments={"--x": "1"})
        found = calls.GetJob(JobName="two")["Job"]
        assert found["DefaultArguments"] == {"--x": "1"}
        assert "Tags" not in calls.GetJob(JobName="one")["Job"]
        assert calls.ListJobs()["JobNames"] == ["one", "two"]
        assert calls.ListJobs(Tags={"team": "a"})["JobNames"] == ["one"]
        assert calls.ListJobs(MaxResults=1) == {"JobNames": ["one"], "NextToken": "1"}
        batch = calls.BatchGetJobs(JobNames=["two", "none"])
        assert [each["Name"] for each in batch["Jobs"]] == ["two"]
        assert batch["JobsNotFound"] == ["none"]
        assert calls.DeleteJob(JobName="one") == {"JobName": "one"}
        assert calls.DeleteJob(JobName="one") == {"JobName": "one"}  # as on AWS, no error
        assert [each["Name"] for each in calls.GetJobs()["Jobs"]] == ["two"]

    def test_creating_twice(self, calls, job):
        job("", Description="a")
        job("", Description="a")
        with pytest.raises(AwsError, match="AlreadyExistsException: Job already exists: job"):
            job("", Description="b")

    def test_an_update_resets_what_it_leaves_out(self, calls, job):
        job("", Timeout=5, Description="old", DefaultArguments={"--x": "1"})
        before = calls.GetJob(JobName="job")["Job"]
        calls.UpdateJob(JobName="job", JobUpdate={"Role": "other", "Command": before["Command"], "MaxRetries": 2})
        after = calls.GetJob(JobName="job")["Job"]
        assert (after["Role"], after["MaxRetries"], after["Timeout"]) == ("other", 2, 2880)
        assert "Description" not in after
        assert "DefaultArguments" not in after
        assert after["CreatedOn"] == before["CreatedOn"]
        with pytest.raises(AwsError, match="Role is required"):
            calls.UpdateJob(JobName="job", JobUpdate={"Command": before["Command"]})

    @pytest.mark.parametrize(
        ("operation", "request_"),
        [
            ("GetJob", {"JobName": "none"}),
            ("UpdateJob", {"JobName": "none", "JobUpdate": {}}),
            ("StartJobRun", {"JobName": "none"}),
            ("GetJobRun", {"JobName": "none", "RunId": "jr_1"}),
            ("GetJobRuns", {"JobName": "none"}),
            ("BatchStopJobRun", {"JobName": "none", "JobRunIds": ["jr_1"]}),
            ("GetJobBookmark", {"JobName": "none"}),
        ],
    )
    def test_a_job_that_does_not_exist(self, calls, operation, request_):
        with pytest.raises(AwsError) as missing:
            getattr(calls, operation)(**request_)
        assert missing.value.code == "EntityNotFoundException"


class TestRuns:
    def test_a_run_that_succeeds(self, calls, job, logs):
        job("""
            import os, sys, json
            from awsglue.utils import getResolvedOptions
            print(json.dumps(getResolvedOptions(sys.argv, ["JOB_NAME", "YEAR"])))
            print(os.environ["AWS_ENDPOINT_URL"], "AIRFLOW_HOME" in os.environ)
            print("to the error log", file=sys.stderr)
        """)  # fmt: skip
        ended = run(calls, Arguments={"--YEAR": "2024"})
        assert ended["JobRunState"] == "SUCCEEDED", ended
        assert ended["Arguments"] == {"--YEAR": "2024"}
        assert ended["StartedOn"] <= ended["CompletedOn"]
        assert ended["DPUSeconds"] == pytest.approx(ended["ExecutionTime"] * 0.0625, abs=0.001)
        assert ended["LogGroupName"] == "/aws-glue/python-jobs"
        assert ended["Attempt"] == 0
        assert not {"ErrorMessage", "Region", "ExecutionStartedOn"} & set(ended)
        output = [
            line
            for _, group, stream, line in logs.lines
            if (group, stream) == ("/aws-glue/python-jobs/output", ended["Id"])
        ]
        assert f'"JOB_RUN_ID": "{ended["Id"]}"' in output[0]
        assert output[1] == "http://127.0.0.1:1 False"
        assert ("us-east-1", "/aws-glue/python-jobs/error", ended["Id"], "to the error log") in logs.lines

    def test_precedence_of_arguments_and_the_log_group(self, calls, job, logs):
        job(
            "import sys; print(sys.argv[1:])",
            DefaultArguments={"--a": "job", "--b": "job", "--c": "job", "--custom-logGroup-prefix": "/mine"},
            NonOverridableArguments={"--c": "fixed"},
        )
        ended = run(calls, Arguments={"--b": "run", "--c": "run"})
        assert ended["LogGroupName"] == "/mine"
        ((_, group, _, line),) = logs.lines
        assert group == "/mine/output"
        assert "'--a', 'job', '--b', 'run', '--c', 'fixed'" in line

    @pytest.mark.parametrize(
        ("script", "message"),
        [
            ("raise ValueError('month 13')", "ValueError: month 13"),
            ("def f():\n    raise KeyError('x')\nf()", "KeyError: 'x'"),
            ("raise NotImplementedError", "NotImplementedError"),
            ("import sys; sys.exit(3)", "SystemExit: 3"),
            ("import sys; sys.exit('no rows')", "SystemExit: no rows"),
            ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "Command failed with exit code 137"),
            ("import os; os._exit(7)", "Command failed with exit code 7"),
            ("if True print(1)", "SyntaxError: invalid syntax (job.py, line 1)"),
            ("import nowhere", "ModuleNotFoundError: No module named 'nowhere'"),
        ],
    )
    def test_the_error_message_of_a_failed_run(self, calls, job, script, message):
        job(script)
        ended = run(calls)
        assert (ended["JobRunState"], ended["ErrorMessage"]) == ("FAILED", message)

    def test_a_traceback_begins_in_the_script(self, calls, job, logs):
        job("raise ValueError('x')")
        run(calls)
        lines = [line for *_, line in logs.lines]
        assert lines[0] == "Traceback (most recent call last):"
        assert lines[1].endswith('job.py", line 1, in <module>')

    @pytest.mark.parametrize("script", ["import sys; sys.exit(0)", "import sys; sys.exit()"])
    def test_leaving_early_is_no_failure(self, calls, job, script):
        job(script)
        assert run(calls)["JobRunState"] == "SUCCEEDED"

    @pytest.mark.parametrize(
        ("location", "arguments", "message"),
        [
            ("s3://code/none.py", {}, "could not be read from s3://code/none.py: The specified key does not exist"),
            ("s3://none/a.py", {}, "The specified bucket does not exist"),
            ("s3://code/job.py", {"--extra-py-files": "s3://code/none.zip"}, "A file of --extra-py-files could not"),
            ("s3://code/job.py", {"--job-language": "scala"}, "--job-language scala is not supported"),
            ("s3://code/job.py", {"--additional-python-modules": "s3://code/none.whl"}, "which does not exist"),
        ],
    )
    def test_a_run_that_cannot_start(self, calls, job, location, arguments, message):
        job("print(1)")
        command = {"Name": "pythonshell", "ScriptLocation": location}
        calls.UpdateJob(JobName="job", JobUpdate={"Role": "r", "Command": command})
        ended = run(calls, Arguments=arguments)
        assert ended["JobRunState"] == "FAILED"
        assert message in ended["ErrorMessage"]
        assert ended["ExecutionTime"] == 0

    def test_extra_files_and_installed_modules(self, calls, job, store):
        archive = BytesIO()
        with zipfile.ZipFile(archive, "w") as made:
            made.writestr("zipped/__init__.py", "value = 1")
        store.write("s3://code/lib.zip", archive.getvalue())
        store.write("s3://code/single.py", b"value = 2")
        store.write("s3://code/settings.json", b"3")
        job(
            """
            import packaging, single, zipped
            assert (zipped.value, single.value, open("settings.json").read()) == (1, 2, "3")
            """
        )
        arguments = {
            "--extra-py-files": "s3://code/lib.zip, s3://code/single.py",
            "--extra-files": "s3://code/settings.json",
            "--additional-python-modules": "packaging>=1",
        }
        ended = run(calls, Arguments=arguments)
        assert ended["JobRunState"] == "SUCCEEDED", ended

    def test_output_without_a_line_end_or_as_bytes(self, calls, job, logs):
        job(r"import sys; sys.stdout.buffer.write(b'\xff\n\n' + b'x' * 300000 + b'\nlast')")
        run(calls)
        lines = [line for *_, line in logs.lines]
        assert (lines[0], lines[-1]) == ("\ufffd", "last")
        assert [len(line) for line in lines[1:-1]] == [262118, 37882]

    def test_history_is_newest_first_and_paged(self, calls, job, monkeypatch):
        job("", ExecutionProperty={"MaxConcurrentRuns": 5})
        ids = [calls.StartJobRun(JobName="job")["JobRunId"] for _ in range(3)]
        for each in ids:
            finished(calls, each)
        first = calls.GetJobRuns(JobName="job", MaxResults=2)
        calls.StartJobRun(JobName="job")  # does not shift the next page
        second = calls.GetJobRuns(JobName="job", MaxResults=2, NextToken=first["NextToken"])
        assert [each["Id"] for each in first["JobRuns"] + second["JobRuns"]] == ids[::-1]
        assert "NextToken" not in second
        with pytest.raises(AwsError, match="NextToken 'x'"):
            calls.GetJobRuns(JobName="job", NextToken="x")

    def test_retries_are_new_attempts(self, calls, job):
        job("raise ValueError('again')", MaxRetries=2)
        first = calls.StartJobRun(JobName="job")["JobRunId"]
        wait_for(
            lambda: (
                len([each for each in calls.GetJobRuns(JobName="job")["JobRuns"] if each["JobRunState"] == "FAILED"])
                == 3
            )
        )
        runs = calls.GetJobRuns(JobName="job")["JobRuns"]
        assert [each["Attempt"] for each in runs] == [2, 1, 0]
        assert runs[0]["Id"] == f"{first}_attempt_2"
        assert runs[0]["PreviousRunId"] == f"{first}_attempt_1"

    def test_a_timeout_is_not_retried(self, calls, job, monkeypatch):
        monkeypatch.setattr(jobs_module, "_MINUTE", 0.3)
        job(SLEEPS, MaxRetries=1)
        assert run(calls, Timeout=1)["JobRunState"] == "TIMEOUT"
        assert len(calls.GetJobRuns(JobName="job")["JobRuns"]) == 1

    def test_running_an_ended_run_again(self, calls, job):
        job("")
        first = run(calls, Arguments={"--x": "1"})
        again = run(calls, JobRunId=first["Id"])
        assert (again["PreviousRunId"], again["Arguments"]) == (first["Id"], {"--x": "1"})

    def test_settings_of_a_run(self, calls, job):
        job("")
        ended = run(calls, MaxCapacity=1.0, Timeout=7)
        assert (ended["MaxCapacity"], ended["Timeout"]) == (1.0, 7)
        for wrong in ({"MaxCapacity": 3.0}, {"Timeout": 20000}, {"Arguments": {"--x": "y" * 270_000}}):
            with pytest.raises(AwsError) as refused:
                calls.StartJobRun(JobName="job", **wrong)
            assert refused.value.code == "InvalidInputException"


class TestConcurrency:
    def test_more_than_allowed_at_once(self, calls, job, logs):
        job(SLEEPS)
        first = calls.StartJobRun(JobName="job")["JobRunId"]
        with pytest.raises(AwsError, match="ConcurrentRunsExceededException: Concurrent runs exceeded for job"):
            calls.StartJobRun(JobName="job")
        calls.BatchStopJobRun(JobName="job", JobRunIds=[first])
        assert finished(calls, first)["JobRunState"] == "STOPPED"
        second = calls.StartJobRun(JobName="job")["JobRunId"]
        calls.BatchStopJobRun(JobName="job", JobRunIds=[second])

    def test_queued_runs_wait_for_their_turn(self, calls, job):
        job("import sys; sys.exit(0)", name="quick")
        job(SLEEPS, JobRunQueuingEnabled=True)
        first, second, third = (calls.StartJobRun(JobName="job")["JobRunId"] for _ in range(3))
        assert [state(calls, each) for each in (second, third)] == ["WAITING", "WAITING"]
        calls.BatchStopJobRun(JobName="job", JobRunIds=[second])
        assert state(calls, second) == "STOPPED"
        calls.BatchStopJobRun(JobName="job", JobRunIds=[first])
        wait_for(lambda: state(calls, third) == "RUNNING")
        assert run(calls, "quick")["JobRunState"] == "SUCCEEDED"


class TestStopping:
    def test_the_whole_group_ends(self, calls, job, logs):
        job(SLEEPS)
        run_id = calls.StartJobRun(JobName="job")["JobRunId"]
        pids = pids_of(logs)
        assert state(calls, run_id) == "RUNNING"
        answer = calls.BatchStopJobRun(JobName="job", JobRunIds=[run_id, "jr_none"])
        assert answer["SuccessfulSubmissions"] == [{"JobName": "job", "JobRunId": run_id}]
        assert answer["Errors"][0]["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"
        assert state(calls, run_id) in ("STOPPING", "STOPPED")
        wait_for(lambda: not any(map(alive, pids)), seconds=2)
        ended = finished(calls, run_id)
        assert (ended["JobRunState"], "ErrorMessage" in ended) == ("STOPPED", False)
        again = calls.BatchStopJobRun(JobName="job", JobRunIds=[run_id])
        assert (
            again["Errors"][0]["ErrorDetail"]["ErrorMessage"] == f"Job run {run_id} is STOPPED and cannot be stopped."
        )

    def test_processes_that_a_script_leaves_end_with_it(self, calls, job, logs):
        job("""
            import subprocess, sys
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            print(child.pid, flush=True)
        """)  # fmt: skip
        assert run(calls)["JobRunState"] == "SUCCEEDED"
        (pid,) = pids_of(logs)
        wait_for(lambda: not alive(pid), seconds=2)

    def test_closing_ends_every_run(self, calls, job, logs, start):
        job(SLEEPS)
        run_id = calls.StartJobRun(JobName="job")["JobRunId"]
        pids = pids_of(logs)
        calls.service.close()
        assert not any(map(alive, pids))
        assert state(start(), run_id) == "STOPPED"


def test_a_restart_finds_jobs_and_runs(start, job, calls, state_dir):
    job("", Description="kept")
    done = run(calls)
    calls.service.close()
    again = start()
    assert again.GetJob(JobName="job")["Job"]["Description"] == "kept"
    assert again.GetJobRun(JobName="job", RunId=done["Id"])["JobRun"] == done


DIES = """
import os, signal, sys, time
from pathlib import Path
from lakehouse_local.glue.jobs.api import Jobs
from lakehouse_local.glue.identity import RunIdentity
from lakehouse_local.s3.store import STATE, ObjectStore
from lakehouse_local.http.wire import Caller
store = ObjectStore(sys.argv[1])
lines = []
jobs = Jobs(store.root / STATE, store, lambda *written: lines.append(written), lambda *_: RunIdentity({}))
call = lambda name, **request: jobs.operations[name](request, Caller())
call("CreateJob", Name="job", Role="r", Command={"Name": "pythonshell", "ScriptLocation": "s3://code/job.py"})
run_id = call("StartJobRun", JobName="job")["JobRunId"]
while not lines:
    time.sleep(0.05)
print(run_id, lines[0][3][0], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_server_takes_its_runs_along(store, start):
    store.write("s3://code/job.py", textwrap.dedent(SLEEPS).encode())
    died = subprocess.run([sys.executable, "-c", DIES, str(store.root)], capture_output=True, text=True, timeout=60)
    assert died.returncode == -signal.SIGKILL, died.stderr
    run_id, *pids = died.stdout.split()
    wait_for(lambda: not any(alive(int(pid)) for pid in pids), seconds=5)
    found = start().GetJobRun(JobName="job", RunId=run_id)["JobRun"]
    assert found["JobRunState"] == "FAILED"
    assert (
        found["ErrorMessage"] == "The job run ended because the local AWS was stopped or killed. Start the job again."
    )
