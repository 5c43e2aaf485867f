"""DbtAthenaOperator in a Glue job on the local AWS: the same result, the same failures, the same kill."""

from __future__ import annotations

import asyncio
import datetime
import importlib
import json
import uuid
from types import SimpleNamespace

import pytest

pytest.importorskip("airflow")

from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowFailException, TaskDeferred
from airflow_lakehouse_provider.dbt.library import library
from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator

FILES = {
    "dbt_project.yml": "name: shop\nconfig-version: 2\nprofile: shop\nmodels: {shop: {+materialized: table}}\n",
    "models/orders.sql": "select 1 as id, 2 as amount",
    "models/sums.sql": "select sum(amount) / {{ env_var('DIVISOR', '1') }} as amount from {{ ref('orders') }}",
    "models/shop.yml": "models:\n  - name: orders\n    columns: [{name: id, data_tests: [unique]}]\n",
}


class TaskInstance:
    dag_id, task_id, map_index, max_tries = "shop", "dbt", -1, 2

    def __init__(self, run_id, try_number):
        self.run_id, self.try_number = run_id, try_number
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


@pytest.fixture(scope="module")
def job(boto, repository):
    """A Glue job of run_dbt.py, with a dbt that Glue installs."""
    bucket, name = f"scripts-{uuid.uuid4().hex[:12]}", f"run-dbt-{uuid.uuid4().hex[:8]}"
    boto("s3").create_bucket(Bucket=bucket)
    script = (repository / "glue_scripts/run_dbt.py").read_bytes()
    boto("s3").put_object(Bucket=bucket, Key="run_dbt.py", Body=script)
    boto("s3").put_object(Bucket=bucket, Key="library.zip", Body=library())
    lines = (repository / "dbt_models/requirements.txt").read_text().splitlines()
    wanted = ",".join(line for line in lines if line and not line.startswith("#"))
    arguments = {"--extra-py-files": f"s3://{bucket}/library.zip", "--additional-python-modules": wanted}
    for kind, job_name in (("glueetl", name), ("pythonshell", f"{name}-shell")):
        boto("glue").create_job(
            Name=job_name,
            Role="arn:aws:iam::123456789012:role/dbt",
            Command={"Name": kind, "ScriptLocation": f"s3://{bucket}/run_dbt.py", "PythonVersion": "3"},
            DefaultArguments=arguments,
            **({"GlueVersion": "5.1", "WorkerType": "G.1X", "NumberOfWorkers": 2} if kind == "glueetl" else {}),
            ExecutionProperty={"MaxConcurrentRuns": 3},
        )
    return name


@pytest.fixture
def task(job, local_aws, bucket, database, tmp_path, monkeypatch):
    """`task(...)`: runs a try of a task of one DAG run to its end, through the triggerer; `task.operator(...)`."""
    for name, value in local_aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("airflow_lakehouse_provider.triggers.base.HOLD", 0.0)
    folder, run_id = tmp_path / "shop", f"run-{uuid.uuid4().hex[:8]}"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)

    def operator(**arguments):
        given = {
            **{"task_id": "dbt", "command": "build", "project": str(folder), "glue_job_name": job},
            **{"schema": database, "s3_staging_dir": f"s3://{bucket}/results/", "aws_conn_id": None},
            **{"deferrable": True, "job_poll_interval": 0.5},
        }
        return DbtAthenaOperator(**(given | arguments))

    def context(try_number=1):
        started = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
        return {"ti": TaskInstance(run_id, try_number), "dag_run": SimpleNamespace(start_date=started)}

    def run(try_number=1, **arguments):
        given, deferrals = context(try_number), 0
        run.context = given
        step = lambda: operator(**arguments).execute(given)  # noqa: E731
        while True:
            try:
                return step()
            except TaskDeferred as deferred:
                deferrals += 1
                assert deferrals < 10
                event = asyncio.run(event_of(deferred.trigger))
                # A resumed task is a new object in another process.
                step = lambda: operator(**arguments).execute_complete(given, event)  # noqa: E731, B023

    run.operator, run.context_of, run.project = operator, context, folder
    return run


async def event_of(trigger):
    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    made = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(kwargs)))
    async for event in made.run():
        return event.payload


def runs(boto, job):
    return boto("glue").get_job_runs(JobName=job)["JobRuns"]


def test_the_same_result_failure_and_retry(task, boto, job):
    with pytest.raises(AirflowException, match=r"1 of 2 models failed: sums: .*DIVISION_BY_ZERO") as failed:
        task(1, env={"DIVISOR": "0"})
    assert not isinstance(failed.value, AirflowFailException)
    assert {"athena_query", "dbt_artifacts"} <= set(task.context["ti"].pushed["aws_console_links"])
    newest = max(runs(boto, job), key=lambda run: run["StartedOn"])
    assert (newest["JobRunState"], newest["ErrorMessage"][:35]) == ("FAILED", "SystemExit: 1 of 2 models failed: s")

    result = task(2)
    assert {node["unique_id"].split(".")[2]: node["status"] for node in result["nodes"]} == {
        **{"orders": "success", "sums": "success", "unique_orders_id": "pass"}
    }
    log = json.loads(
        boto("s3")
        .get_object(
            Bucket=result["artifacts_uri"].split("/")[2],
            Key="/".join([*result["artifacts_uri"].split("/")[3:], "run_results.json"]),
        )["Body"]
        .read()
    )
    assert len(log["results"]) == 3
    assert log["metadata"]["invocation_id"] == result["invocation_id"]


@pytest.mark.slow
def test_failing_tests_are_permanent_in_glue_too(task):
    (task.project / "models/orders.sql").write_text("select 1 as id, 2 as amount union all select 1, 3")
    with pytest.raises(AirflowFailException, match=r"^1 of 1 test failed: unique_orders_id \(1 row\)"):
        task(1, select="orders", deferrable=False)


@pytest.mark.slow
def test_a_kill_stops_run_and_queries(task, boto, job, database, monkeypatch):
    monkeypatch.setattr("airflow_lakehouse_provider._airflow.kill._is_killed", _yes)
    (task.project / "models/slow.sql").write_text(
        "select count(*) as n from unnest(sequence(1, 10000)) as a(x) cross join unnest(sequence(1, 10000)) as b(y) "
        "cross join unnest(sequence(1, 10000)) as c(z) where (x * y + z) % 7 = 3"
    )
    with pytest.raises(TaskDeferred) as deferred:
        task.operator(command="run", select="slow").execute(task.context_of())
    athena = boto("athena")

    def running():
        ids = athena.list_query_executions(MaxResults=50)["QueryExecutionIds"]
        found = athena.batch_get_query_execution(QueryExecutionIds=ids)["QueryExecutions"] if ids else []
        states = [q["Status"]["State"] for q in found if q["QueryExecutionContext"].get("Database") == database]
        return [state for state in states if state in ("RUNNING", "QUEUED")]

    async def killed():
        waiting = asyncio.ensure_future(event_of(deferred.value.trigger))
        trigger = deferred.value.trigger
        events = trigger.run()
        own = asyncio.ensure_future(anext(events))
        for _ in range(1200):
            if await asyncio.to_thread(running):
                break
            await asyncio.sleep(0.1)
        assert await asyncio.to_thread(running), "no query began"
        own.cancel()
        await asyncio.gather(own, return_exceptions=True)
        await trigger.on_kill()
        left = await asyncio.to_thread(running)
        event = await waiting
        return left, event

    left, event = asyncio.run(killed())
    assert not left
    assert event["run"]["state"] == "STOPPED"
    with pytest.raises(AirflowException, match="ended STOPPED"):
        task.operator(command="run", select="slow").execute_complete(task.context_of(), event)


async def _yes(trigger):
    return True


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"glue_job_name": "nowhere"}, "Glue has no job 'nowhere'"),
        ({"s3_staging_dir": None, "work_group": "w"}, "glue_job_name needs a place in S3"),
        ({"profiles_dir": "/"}, "profiles_dir"),
        ({"project": "/nowhere"}, "project '/nowhere' is not a directory"),
    ],
)
def test_what_cannot_be(task, boto, job, arguments, message):
    before = len(runs(boto, job))
    with pytest.raises(AirflowFailException, match=message):
        task(1, **arguments)
    assert len(runs(boto, job)) == before


def test_a_python_shell_is_too_old(task, job):
    with pytest.raises(AirflowFailException, match=r"cannot run dbt\. A Python shell job runs Python 3\.9"):
        task(1, glue_job_name=f"{job}-shell")
