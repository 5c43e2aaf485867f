"""DbtAthenaOperator with the real dbt on the local AWS: retries, projects from everywhere, secrets, kills."""

from __future__ import annotations

import datetime
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("airflow")

from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowFailException
from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator

DBT = os.environ.get("LAKEHOUSE_DBT_EXECUTABLE") or str(Path(__file__).parents[2] / ".venv-dbt/bin/dbt")
# How often the test of kills kills; 50 is what was promised.
KILLS = int(os.environ.get("LAKEHOUSE_KILLS", "6"))
SECRET = "s3cr3tS3cr3t/Value+1"
# Some minutes of work that nothing but a stop ends.
SLOW = """select count(*) as n from unnest(sequence(1, 10000)) as a(x) cross join unnest(sequence(1, 10000)) as b(y)
cross join unnest(sequence(1, 10000)) as c(z) where (x * y + z) % 7 = {number}"""
FILES = {
    "dbt_project.yml": "name: shop\nconfig-version: 2\nprofile: shop\nmodels: {shop: {+materialized: table}}\n",
    "models/orders.sql": "select 1 as id, {{ var('amount', 2) }} as amount",
    "models/sums.sql": "select sum(amount) / {{ env_var('DIVISOR', '1') }} as amount from {{ ref('orders') }}",
    "models/last.sql": "select * from {{ ref('sums') }}",
    "models/shop.yml": """
models:
  - name: orders
    columns: [{name: id, data_tests: [unique, not_null, {accepted_values: {values: [1], quote: false}}]}]
""",
}


class TaskInstance:
    dag_id, task_id, run_id, map_index, max_tries = "shop", "dbt", "manual__2024-01-01T00:00:00+00:00", -1, 2

    def __init__(self, try_number):
        self.try_number = try_number
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


def context(try_number=1):
    started = datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)
    return {"ti": TaskInstance(try_number), "dag_run": SimpleNamespace(start_date=started)}


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "shop"
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture
def worker(local_aws, bucket, database, project, tmp_path, monkeypatch):
    """`worker(...)`: an operator on a worker with a temporary directory of its own."""
    if not Path(DBT).exists():
        pytest.skip("there is no .venv-dbt (make install), and LAKEHOUSE_DBT_EXECUTABLE names no other dbt")
    temporary = Path("/tmp") / f"lakehouse-dbt-test-{uuid.uuid4().hex[:8]}"
    temporary.mkdir()
    for name, value in {**local_aws.environment, "TMPDIR": str(temporary)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", None)

    def operator(**arguments):
        given = {
            **{"task_id": "dbt", "command": "build", "project": str(project), "dbt_executable": DBT},
            **{"schema": database, "s3_staging_dir": f"s3://{bucket}/results/", "aws_conn_id": None},
        }
        return DbtAthenaOperator(**(given | arguments))

    operator.temporary, operator.bucket, operator.project, operator.database = temporary, bucket, project, database
    yield operator
    left = [path.name for path in temporary.iterdir() if not path.name.startswith("lakehouse-dbt-cache-")]
    shutil.rmtree(temporary)
    assert not left, "something temporary was left"


def statuses(result):
    return {node["unique_id"].split(".")[2]: node["status"] for node in result["nodes"]}


def queries(boto, invocation):
    athena = boto("athena")
    ids = athena.list_query_executions(MaxResults=50)["QueryExecutionIds"]
    found = athena.batch_get_query_execution(QueryExecutionIds=ids)["QueryExecutions"] if ids else []
    return [query for query in found if invocation in query["Query"]]


def test_a_retry_runs_only_what_is_left(worker, boto):
    before = context(1)
    with pytest.raises(AirflowException, match=r"1 of 3 models failed: sums: .*DIVISION_BY_ZERO") as failed:
        worker(env={"DIVISOR": "0"}).execute(before)
    assert not isinstance(failed.value, AirflowFailException)
    query = before["ti"].pushed["aws_console_links"]["athena_query"].rpartition("/")[2]
    assert query in str(failed.value).splitlines()[0]
    assert boto("athena").get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]["State"] == "FAILED"
    assert before["ti"].pushed["artifacts_uri"] in str(failed.value)
    result = worker(threads=2).execute(context(2))
    assert statuses(result) == {
        **dict.fromkeys(("orders", "sums", "last"), "success"),
        **dict.fromkeys(("unique_orders_id", "not_null_orders_id", "accepted_values_orders_id__False__1"), "pass"),
    }
    queried = "".join(query["Query"] for query in queries(boto, result["invocation_id"]))
    assert "model.shop.last" in queried
    assert "model.shop.orders" not in queried
    assert result["artifacts_uri"].startswith(
        f"s3://{worker.bucket}/results-artifacts/shop/dbt/manual__2024-01-01T00-00-"
    )


def test_failing_tests_are_permanent_and_name_their_tables(worker):
    worker.project.joinpath("models/orders.sql").write_text("select 1 as id, 2 as amount union all select 1, 3")
    with pytest.raises(AirflowFailException) as failed:
        worker(select="orders", flags=["--store-failures"]).execute(context())
    first = str(failed.value).splitlines()[0]
    assert first.startswith("1 of 3 tests failed: unique_orders_id (1 row, kept in ")
    assert f'"{worker.database}_dbt_test__audit"."unique_orders_id")' in first


@pytest.mark.slow
def test_a_permanent_failure_beside_a_retryable_one_is_retried(worker):
    worker.project.joinpath("models/orders.sql").write_text("select 1 as id, 2 as amount union all select 1, 3")
    with pytest.raises(AirflowException) as failed:
        worker(command="run", env={"DIVISOR": "0"}).execute(context())
    assert not isinstance(failed.value, AirflowFailException)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"models/bad.sql": "select * from {{ ref('nowhere') }}"}, "Compilation Error"),
        pytest.param({"models/shop.yml": "models: ["}, "Parsing Error", marks=pytest.mark.slow),
    ],
)
def test_a_project_that_does_not_compile_is_not_tried_again(worker, changed, message):
    for name, content in changed.items():
        (worker.project / name).write_text(content)
    with pytest.raises(AirflowFailException, match=message):
        worker().execute(context())


def pack(folder, archive, top=""):
    with zipfile.ZipFile(archive, "w") as packed:
        for name in FILES:
            packed.write(folder / name, f"{top}{name}")


@pytest.mark.parametrize(
    "source",
    ["s3 zip", *(pytest.param(each, marks=pytest.mark.slow) for each in ("zip", "s3 prefix", "read-only directory"))],
)
def test_projects_from_everywhere(worker, boto, tmp_path, source):
    if source == "read-only directory":
        for folder in (worker.project / "models", worker.project):
            folder.chmod(0o555)
        where = str(worker.project)
    elif source == "zip":
        pack(worker.project, tmp_path / "shop.zip", top="shop-main/")
        where = str(tmp_path / "shop.zip")
    elif source == "s3 zip":
        pack(worker.project, tmp_path / "shop.zip")
        boto("s3").upload_file(str(tmp_path / "shop.zip"), worker.bucket, "code/shop.zip")
        where = f"s3://{worker.bucket}/code/shop.zip"
    else:
        for name, content in FILES.items():
            boto("s3").put_object(Bucket=worker.bucket, Key=f"code/shop/{name}", Body=content.encode())
        where = f"s3://{worker.bucket}/code/shop"
    assert statuses(worker(command="run", project=where, select="orders").execute(context())) == {"orders": "success"}
    if source == "s3 prefix":
        boto("s3").put_object(Bucket=worker.bucket, Key="code/shop/models/more.sql", Body=b"select 1 as id")
        assert statuses(worker(command="run", project=where, select="more").execute(context())) == {"more": "success"}


@pytest.mark.slow
def test_the_second_task_does_not_parse_again(worker):
    def parsed(**arguments):
        lines = []
        operator = worker(command="parse", **arguments)
        operator.log.log = lambda level, message, *values: lines.append(message % values)
        operator.execute(context())
        return any("Unable to do partial parsing" in line for line in lines)

    assert parsed(vars={"amount": 1})
    assert not parsed(vars={"amount": 1})
    assert parsed(vars={"amount": 2})
    assert not parsed(vars={"amount": 1})


@pytest.mark.slow
def test_packages_are_installed_once_beside_a_read_only_project(worker, tmp_path):
    package = tmp_path / "shared"
    (package / "macros").mkdir(parents=True)
    (package / "dbt_project.yml").write_text("name: shared\nconfig-version: 2\n")
    (package / "macros" / "one.sql").write_text("{% macro one() %}1{% endmacro %}")
    (worker.project / "packages.yml").write_text("packages:\n  - local: ../shared\n")
    (worker.project / "models" / "orders.sql").write_text("select {{ shared.one() }} as id, 2 as amount")
    worker.project.chmod(0o555)
    lines = []
    for _ in range(2):
        operator = worker(command="run", select="orders")
        operator.log.log = lambda level, message, *values: lines.append(message % values)
        assert statuses(operator.execute(context())) == {"orders": "success"}
    assert len([line for line in lines if "bring along" in line]) == 1


# What a worker's process runs: its secret is in the connection alone, its log goes to standard output.
TASK = """
import json, logging, os, sys, signal, time
logging.basicConfig(level=logging.DEBUG, stream=sys.stdout, format="%(message)s")
from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator
operator = DbtAthenaOperator(**json.loads(sys.argv[1]))
killed = []
def kill(*_):
    killed.append(time.monotonic())
    operator.on_kill()
signal.signal(signal.SIGTERM, kill)
print("begins", flush=True)
try:
    operator.execute({})
finally:
    print("ended after", time.monotonic() - killed[0] if killed else None, flush=True)
"""


@pytest.fixture
def task(worker, local_aws, tmp_path, database, bucket):
    """`task(...)`: the operator in a process of its own, which can be killed."""
    started = []

    def start(**arguments):
        given = {
            **{"task_id": "dbt", "command": "run", "project": str(worker.project), "dbt_executable": DBT},
            **{"schema": database, "s3_staging_dir": f"s3://{bucket}/results/", "aws_conn_id": "lake"},
        }
        connection = {"conn_type": "aws", "login": "AKIALAKE", "password": SECRET, "extra": {}}
        connection["extra"] = {"region_name": "us-east-1", "endpoint_url": local_aws.endpoint}
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        environment |= {"AIRFLOW_CONN_LAKE": json.dumps(connection)}
        log = (tmp_path / f"log-{len(started)}").open("w+")
        process = subprocess.Popen(
            [sys.executable, "-c", TASK, json.dumps(given | arguments)], env=environment, stdout=log, stderr=log
        )
        process.log = log
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.log.close()


def output(process):
    process.log.seek(0)
    return process.log.read()


def until(true, within=180.0):
    end = time.monotonic() + within
    while time.monotonic() < end:
        if found := true():
            return found
        time.sleep(0.02)
    return true()


def processes(temporary):
    """Return the processes that work in a worker's temporary directory: (pid, command line)."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
            if str(temporary).encode() in line and "Z" not in (folder / "stat").read_text().rpartition(")")[2][:3]:
                found.append((int(folder.name), line.replace(b"\0", b" ").decode()))
        except OSError:
            continue
    return found


def running(boto, database):
    athena = boto("athena")
    ids = athena.list_query_executions(MaxResults=50)["QueryExecutionIds"]
    found = athena.batch_get_query_execution(QueryExecutionIds=ids)["QueryExecutions"] if ids else []
    return [
        query["QueryExecutionId"]
        for query in found
        if query["QueryExecutionContext"].get("Database") == database
        and query["Status"]["State"] in ("RUNNING", "QUEUED")
    ]


def test_the_secret_is_nowhere(worker, task, boto, database):
    for number in range(2):
        (worker.project / f"models/slow_{number}.sql").write_text(SLOW.format(number=number))
    process = task(select="slow_0 slow_1")
    assert until(lambda: running(boto, database)), output(process)
    assert not [line for _, line in processes(worker.temporary) if SECRET in line]
    files = [path for path in worker.temporary.rglob("*") if path.is_file()]
    assert [path for path in files if path.name == "profiles.yml"]
    assert not [path for path in files if SECRET.encode() in path.read_bytes()]
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    log = output(process)
    assert "was stopped, and its Athena queries with it" in log
    assert SECRET not in log


@pytest.mark.slow
def test_nothing_outlives_a_kill(worker, task, boto, database):
    """At random moments: on_kill, kill -9 of the worker, of dbt."""
    for number in range(2):
        (worker.project / f"models/slow_{number}.sql").write_text(SLOW.format(number=number))
    seed = random.randrange(1 << 30)
    chance = random.Random(seed)
    caught = 0
    for number in range(KILLS):
        how = ("on_kill", "worker", "dbt")[number % 3]
        process = task(select="slow_0 slow_1", threads=2)
        when = chance.choices(("starting", "preparing", "querying"), (1, 1, 3))[0]
        if when == "preparing":
            assert until(lambda p=process: "Concurrency: 2 threads" in output(p)), output(process)
        elif when == "querying":
            assert until(lambda: running(boto, database)), output(process)
        at = chance.uniform(0, 3 if when == "starting" else 0.4)
        time.sleep(at)
        caught += bool(running(boto, database))
        began = time.monotonic()
        if how == "on_kill":
            process.terminate()
        elif how == "worker":
            process.kill()
        else:
            for pid in [pid for pid, line in processes(worker.temporary) if "supervise.py" not in line]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            if "begins" not in output(process) or not processes(worker.temporary):
                process.terminate()  # there was no dbt yet to kill
        where = f"{how} while {when}, after {at:.2f} s, kill {number} of seed {seed}"
        gone = until(lambda: not processes(worker.temporary) and not running(boto, database), 20)
        took = time.monotonic() - began
        print(f"{where}: met a query {caught} times so far; nothing runs after {took:.2f} s")
        assert gone, f"{where}: {processes(worker.temporary)} {running(boto, database)}\n{output(process)}"
        if how == "on_kill":
            process.wait(60)
            ended = re.search(r"ended after (\d+\.\d+)", output(process))
            assert ended is None or float(ended[1]) < 4, f"{where}: {output(process)}"
        process.kill()
        process.wait()
    assert caught, "no kill met a query"
    # What kills left is swept by the next task.
    worker(command="parse").execute(context())
