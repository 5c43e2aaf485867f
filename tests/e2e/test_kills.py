"""The Glue operator in a real Airflow, with its scheduler and triggerer: kills, clears and lost triggerers.

In the Airflow beside the tests, and in an Airflow 2 where one is installed: `make test-all` installs it.
LAKEHOUSE_AIRFLOW_PYTHON is the Python of another Airflow 2.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import textwrap
import time
from pathlib import Path

import pytest

pytest.importorskip("moto", reason="needs the extra 'local'")

pytestmark = pytest.mark.e2e

CHECKOUT = Path(__file__).parents[2]
AIRFLOW_2 = os.environ.get("LAKEHOUSE_AIRFLOW_PYTHON") or str(CHECKOUT / ".venv-compat/2.10.3/bin/python")
ROLE = "arn:aws:iam::123456789012:role/glue"
JOB = "months"
HOPELESS_SECONDS = 600
SCRIPT = """
import sys, time
args = dict(zip(sys.argv[1::2], sys.argv[2::2]))
time.sleep(float(args["--seconds"]))
"""
DAG = """
from datetime import datetime
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG
from airflow_lakehouse_provider import GlueMonthlyJobOperator

class Clean(GlueMonthlyJobOperator):
    def execute(self, context):
        self.deferrable = context["dag_run"].conf.get("deferrable", True)
        return super().execute(context)

with DAG("months", schedule=None, start_date=datetime(2024, 1, 1), max_active_runs=8) as dag:
    Clean(
        task_id="clean", job_name="months", script_args={"--seconds": "{{ dag_run.conf['seconds'] }}"},
        job_poll_interval=1,
    )
"""
# The actions of Airflow 3's REST API, for Airflow 2: by its own functions, in its own Python.
ACTIONS = """
import json, sys
from airflow.models import DagBag, DagRun, TaskInstance
from airflow.utils.session import create_session
action, run_id, conf = sys.argv[1:]
dag = DagBag().get_dag("months")
if action == "trigger":
    from airflow.api.common.trigger_dag import trigger_dag
    trigger_dag("months", run_id=run_id, conf=json.loads(conf))
elif action == "clear":
    with create_session() as session:
        run = session.query(DagRun).filter_by(run_id=run_id).one()
        dag.clear(start_date=run.execution_date, end_date=run.execution_date, session=session)
elif action == "fail":
    dag.set_task_instance_state(task_id="clean", run_id=run_id, state="failed", commit=True)
with create_session() as session:
    ti = session.query(TaskInstance).filter_by(run_id=run_id).one_or_none()
    run = session.query(DagRun).filter_by(run_id=run_id).one_or_none()
    print("STATE", ti.state if ti else None, run.state if run else None)
"""


def until(condition, text):
    """Wait until the condition holds; fail with the text of what did not happen when it is hopeless."""
    deadline = time.monotonic() + HOPELESS_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {HOPELESS_SECONDS} s: {text}"
        time.sleep(0.1)
    return found


class Airflow3:
    """The demo's Airflow, controlled through its REST API."""

    def __init__(self, root, dags, environment):
        from airflow_lakehouse_provider.demo.airflow import Airflow

        self.airflow = Airflow(root / "airflow", dags, cache=root, environment=environment)
        self.airflow.start()
        self.airflow.wait_for_dag("months")
        self.home = self.airflow.home

    def trigger(self, run_id, conf):
        self.airflow.post("dags/months/dagRuns", {"dag_run_id": run_id, "conf": conf, "logical_date": None})

    def state(self, run_id):
        run = self.airflow.get(f"dags/months/dagRuns/{run_id}")
        found = self.airflow.get(f"dags/months/dagRuns/{run_id}/taskInstances")["task_instances"]
        return f"{found[0]['state'] if found else None} {run['state']}"

    def clear(self, run_id):
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": ["clean"],
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self.airflow.post("dags/months/clearTaskInstances", body)

    def fail(self, run_id):
        self.airflow._request(
            "PATCH", f"dags/months/dagRuns/{run_id}/taskInstances/clean", json={"new_state": "failed"}
        )

    def start_triggerer(self):
        self.airflow._services.append(
            self.airflow._service("triggerer", self.airflow._command("triggerer"), self.airflow.logs / "triggerer2.log")
        )

    def stop(self):
        self.airflow.stop()


class Airflow2:
    """Scheduler and triggerer of an Airflow 2, controlled through its own Python."""

    def __init__(self, root, dags, environment):
        from airflow_lakehouse_provider.demo.processes import Service, free_ports

        self.home = root / "airflow"
        self.home.mkdir()
        self._root = root
        worker_logs, trigger_logs = free_ports(2)
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_"))}
        self._environment = {
            **kept,
            **environment,
            "PATH": f"{Path(AIRFLOW_2).parent}:{os.environ['PATH']}",  # where its executor finds `airflow`
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(worker_logs),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(trigger_logs),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
        }
        migrate = [AIRFLOW_2, "-m", "airflow", "db", "migrate"]
        subprocess.run(migrate, env=self._environment, check=True, capture_output=True, timeout=300)
        self._service = lambda name, log: Service(
            name, [AIRFLOW_2, "-m", "airflow", name], environment=self._environment, log=self.home / log
        )
        self._services = [self._service("scheduler", "scheduler.log"), self._service("triggerer", "triggerer.log")]
        self._actions = root / "actions.py"
        self._actions.write_text(ACTIONS)
        until(lambda: self._dag_is_there(), "the DAG is parsed")

    def _dag_is_there(self):
        listed = subprocess.run(
            [AIRFLOW_2, "-m", "airflow", "dags", "list", "-o", "json"],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        return '"months"' in listed.stdout

    def _act(self, action, run_id, conf=None):
        command = [AIRFLOW_2, str(self._actions), action, run_id, json.dumps(conf)]
        done = subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout.rpartition("STATE ")[2].strip()

    def trigger(self, run_id, conf):
        self._act("trigger", run_id, conf)

    def state(self, run_id):
        return self._act("state", run_id)

    def clear(self, run_id):
        self._act("clear", run_id)

    def fail(self, run_id):
        self._act("fail", run_id)

    def start_triggerer(self):
        self._services.append(self._service("triggerer", "triggerer2.log"))

    def stop(self):
        for service in self._services:
            service.terminate()
        for service in self._services:
            service.stop()


@pytest.fixture(scope="module", params=[Airflow3, pytest.param(Airflow2, marks=pytest.mark.slow)])
def version(request):
    """The class of the Airflow under test."""
    if request.param is Airflow2 and not Path(AIRFLOW_2).is_file():
        pytest.skip(f"there is no Airflow 2 at {AIRFLOW_2}: `make test-all` installs it")
    return request.param


@pytest.fixture(scope="module")
def aws(version, tmp_path_factory):
    """A local AWS for each Airflow."""
    from lakehouse_local import LocalAws

    with LocalAws(tmp_path_factory.mktemp("aws") / "root") as local:
        yield local


@pytest.fixture(scope="module")
def glue(aws):
    import boto3

    session = boto3.Session(aws_access_key_id="local", aws_secret_access_key="local", region_name=aws.region)
    s3, glue = (session.client(service, endpoint_url=aws.endpoint) for service in ("s3", "glue"))
    s3.create_bucket(Bucket="scripts")
    s3.put_object(Bucket="scripts", Key="job.py", Body=SCRIPT.encode())
    command = {"Name": "pythonshell", "ScriptLocation": "s3://scripts/job.py", "PythonVersion": "3.9"}
    glue.create_job(Name=JOB, Role=ROLE, Command=command, ExecutionProperty={"MaxConcurrentRuns": 8})
    return glue


@pytest.fixture(scope="module")
def airflow(version, aws, glue, tmp_path_factory):
    root = tmp_path_factory.mktemp("airflow")
    (root / "dags").mkdir()
    (root / "dags" / "months.py").write_text(textwrap.dedent(DAG))
    environment = {
        **aws.environment,
        # A triggerer that died is to be noticed within seconds.
        "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "4",
    }
    running = version(root, root / "dags", environment)
    yield running
    running.stop()


class Month:
    """A DAG run for one month, and the Glue runs of that month."""

    def __init__(self, airflow, glue, number, seconds, **conf):
        self.run_id, self._airflow, self._glue, self._number = f"month-{number}", airflow, glue, number
        airflow.trigger(self.run_id, {"year": 2024, "month": number, "seconds": str(seconds), **conf})

    def is_in(self, state):
        """Wait for the task's state, and for the DAG run's when the task has ended: a clear before that is a race."""
        wanted = f"{state} {state if state in ('success', 'failed') else 'running'}"
        until(lambda: self._airflow.state(self.run_id) == wanted, f"{self.run_id} is {wanted}")

    def waits(self):
        """Wait until it is deferred and its trigger runs: before that, a kill reaches no code at all."""
        self.is_in("deferred")
        logs = self._airflow.home / "logs"
        until(lambda: [*logs.glob(f"**/run_id={self.run_id}/**/*.trigger.*")], f"{self.run_id}'s trigger runs")

    def runs(self):
        """Return the month's job runs, oldest first."""
        every = self._glue.get_job_runs(JobName=JOB)["JobRuns"]
        return [run for run in every if int(run["Arguments"]["--MONTH"]) == self._number][::-1]

    def states(self):
        return [run["JobRunState"] for run in self.runs()]


def kill_the_triggerer(home):
    """Send SIGKILL to the triggerer and to the processes that run triggers for it."""
    killed = 0
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes()
            environ = (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"triggerer" in command and str(home).encode() in environ:
            os.kill(int(entry.name), signal.SIGKILL)
            killed += 1
    assert killed


def test_mark_failed_while_deferred_stops_the_run(airflow, glue):
    month = Month(airflow, glue, 1, 120)
    month.waits()
    airflow.fail(month.run_id)
    until(lambda: month.states() in (["STOPPING"], ["STOPPED"]), "the run is stopped")
    until(lambda: month.states() == ["STOPPED"], "the run has ended")
    month.is_in("failed")


@pytest.mark.slow
def test_mark_failed_while_a_worker_waits_stops_the_run(airflow, glue):
    month = Month(airflow, glue, 5, 120, deferrable=False)
    until(lambda: month.states() == ["RUNNING"], "the run runs")
    airflow.fail(month.run_id)
    until(lambda: month.states() == ["STOPPED"], "the run has ended")
    month.is_in("failed")


@pytest.mark.slow
def test_a_clear_of_a_month_that_succeeded_runs_it_again(airflow, glue):
    month = Month(airflow, glue, 2, 0)
    month.is_in("success")
    airflow.clear(month.run_id)
    until(lambda: month.states() == ["SUCCEEDED", "SUCCEEDED"], "it ran again")
    month.is_in("success")


@pytest.mark.slow
def test_a_clear_while_it_runs_leaves_one_writer(airflow, glue):
    month = Month(airflow, glue, 3, 20)
    month.waits()
    airflow.clear(month.run_id)
    until(lambda: month.states() == ["STOPPED", "SUCCEEDED"], "the first is stopped, the second done")
    first, second = month.runs()
    assert second["StartedOn"] >= first["CompletedOn"]
    month.is_in("success")


@pytest.mark.slow
def test_a_triggerer_that_is_killed_stops_nothing(airflow, glue):
    month = Month(airflow, glue, 4, 20)
    month.waits()
    kill_the_triggerer(airflow.home)
    airflow.start_triggerer()
    month.is_in("success")
    assert month.states() == ["SUCCEEDED"]
