"""DbtAthenaOperator with a dbt that a script plays: what it is given, and what becomes of what it says."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import tempfile
import threading

import pytest

from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowFailException
from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator

# Writes down how it was called, says what the test's plan says, as dbt would, and leaves the plan's artifact.
FAKE = """
import json, os, pathlib, signal, sys, time
plan = json.loads(pathlib.Path({plan!r}).read_text())
arguments = sys.argv[1:]
option = lambda name: arguments[arguments.index(name) + 1]
profiles = pathlib.Path(option("--profiles-dir"))
called = dict(arguments=arguments, environment=dict(os.environ), profile=(profiles / "profiles.yml").read_text())
pathlib.Path({called!r}).write_text(json.dumps(called))
def say(msg, name="Note", level="info", **data):
    info = dict(msg=msg, name=name, level=level, invocation_id="inv-1")
    print(json.dumps(dict(data=data, info=info)), flush=True)
say("Running with dbt=1.11.16", "MainReportVersion", version="=1.11.16")
for line in plan.get("says", []):
    say(**line)
if plan.get("waits"):
    pathlib.Path({called!r} + ".waiting").touch()
    try:
        time.sleep(60)
    except KeyboardInterrupt:
        say("CANCEL query model.shop.orders")
        sys.exit(1)
if "artifact" in plan:
    target = pathlib.Path(option("--target-path"))
    target.mkdir(parents=True, exist_ok=True)
    (target / plan.get("file", "run_results.json")).write_text(json.dumps(plan["artifact"]))
print(plan.get("prints", ""), flush=True)
sys.exit(plan.get("code", 0))
"""


def result(unique_id, status, **more):
    return {"unique_id": unique_id, "status": status, "execution_time": 0.5, "adapter_response": {}, **more}


class Fake:
    """The script, its plan, and how it was called."""

    def __init__(self, folder):
        self.project = folder / "project"
        self.project.mkdir()
        (self.project / "dbt_project.yml").write_text("name: shop\n")
        self._plan, self._called = folder / "plan.json", folder / "called.json"
        self.executable = folder / "dbt"
        script = FAKE.format(plan=str(self._plan), called=str(self._called))
        self.executable.write_text(f"#!{sys.executable}\n{script}")
        self.executable.chmod(0o755)
        self.plan()

    def plan(self, **plan):
        self._plan.write_text(json.dumps(plan))

    @property
    def called(self):
        return json.loads(self._called.read_text())

    @property
    def was_called(self):
        return self._called.exists()

    @property
    def waiting(self):
        return self._called.with_name("called.json.waiting")

    def operator(self, **arguments):
        given = {
            "task_id": "dbt",
            "command": "run",
            "project": str(self.project),
            "dbt_executable": str(self.executable),
            "schema": "marts",
            "s3_staging_dir": "s3://results/",
            "aws_conn_id": None,
        }
        return DbtAthenaOperator(**(given | arguments))

    def run(self, **arguments):
        return self.operator(**arguments).execute({})


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    yield Fake(tmp_path)
    left = [path.name for path in (tmp_path / "tmp").iterdir() if not path.name.startswith("lakehouse-dbt-cache-")]
    assert not left, "something temporary was left"


def test_what_comes_back(fake):
    fake.plan(
        artifact={
            "results": [
                result(
                    "model.shop.orders",
                    "success",
                    adapter_response={"rows_affected": 7, "data_scanned_in_bytes": 9},
                    message="OK 7",
                ),
                result("test.shop.few.1", "warn", failures=2, message="Got 2 results"),
            ],
            "elapsed_time": 3,
        },
        says=[
            {
                "msg": "Athena query 0b5d3a3e-3a0e-4d1f-9b7e-0123456789ab started",
                "level": "debug",
                "node_info": {"unique_id": "model.shop.orders"},
            }
        ],
    )
    given = fake.run()
    assert given.pop("elapsed_seconds") > 0
    assert given == {
        "command": "run",
        "success": True,
        "nodes": [
            {
                "unique_id": "model.shop.orders",
                "status": "success",
                "seconds": 0.5,
                "rows": 7,
                "bytes_scanned": 9,
                "query_id": "0b5d3a3e-3a0e-4d1f-9b7e-0123456789ab",
                "message": "OK 7",
            },
            {
                "unique_id": "test.shop.few.1",
                "status": "warn",
                "seconds": 0.5,
                "rows": 2,
                "bytes_scanned": None,
                "query_id": None,
                "message": "Got 2 results",
            },
        ],
        "counts": {"success": 1, "warn": 1},
        "failures": [],
        "artifacts_uri": None,
        "invocation_id": "inv-1",
    }


def test_what_dbt_is_given(fake, monkeypatch):
    for name in ("PYTHONPATH", "AIRFLOW__CORE__FERNET_KEY", "AIRFLOW_CONN_SHOP"):
        monkeypatch.setenv(name, "not for dbt")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    fake.run(vars={"year": 2024}, select="orders", threads=2, target="prod", env={"SHOP": 1}, database="other")
    called = fake.called
    line = " ".join(called["arguments"])
    assert " run --project-dir " in line
    assert '--profile airflow --target prod --threads 2 --vars {"year": 2024} --select orders' in line
    environment = called["environment"]
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1"
    assert environment["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environment["SHOP"] == "1"
    assert environment["DO_NOT_TRACK"] == "1"
    assert "not for dbt" not in environment.values()
    assert "database: other" in called["profile"]
    assert "schema: marts" in called["profile"]


def test_a_connections_secret_is_in_dbts_environment_only(fake, monkeypatch, caplog):
    secret = "s3cr3t/Value+1"
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "aws", "login": "AKIA1", "password": secret}))
    with caplog.at_level(logging.DEBUG):
        fake.run(aws_conn_id="lake", vars={"a": 1})
    called = fake.called
    assert called["environment"]["AWS_SECRET_ACCESS_KEY"] == secret
    assert "AIRFLOW_CONN_LAKE" not in called["environment"]
    assert secret not in called["profile"] + str(called["arguments"]) + caplog.text


def test_a_project_that_cannot_be_written_to(fake):
    before = sorted(fake.project.rglob("*"))
    fake.project.chmod(0o555)
    fake.run()
    assert sorted(fake.project.rglob("*")) == before


def test_a_profiles_directory_of_the_users(fake, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "profiles.yml").write_text("shop: {}")
    fake.run(profiles_dir=str(tmp_path / "mine"), schema=None, s3_staging_dir=None, target="dev")
    assert fake.called["profile"] == "shop: {}"
    assert "--profile" not in fake.called["arguments"]


def test_the_log_has_dbts_levels(fake, caplog):
    fake.plan(
        says=[
            {"msg": "1 of 1 START sql table model", "name": "LogStartLine"},
            {"msg": "1 of 1 OK created sql table model", "name": "LogModelResult"},
            {"msg": "something is deprecated", "level": "warn"},
        ]
    )
    operator = fake.operator()
    lines = []
    operator.log.log = lambda level, message, *values: lines.append((level, message % values))
    operator.execute({})
    assert (logging.DEBUG, "1 of 1 START sql table model") in lines
    assert (logging.INFO, "1 of 1 OK created sql table model") in lines
    assert (logging.WARNING, "something is deprecated") in lines


UNIQUE = result("test.shop.unique_orders_id.3e", "fail", failures=14)
BROKEN = result("model.shop.orders", "error", message="TYPE_MISMATCH: line 1:8")
STALE = {"unique_id": "source.shop.raw.orders", "status": "error", "max_loaded_at": "2024-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("command", "plan", "error", "message"),
    [
        (
            "test",
            {"artifact": {"results": [UNIQUE, result("test.shop.ok.1", "pass")]}, "code": 1},
            AirflowFailException,
            "1 of 2 tests failed: unique_orders_id (14 rows)\ndbt test of shop, invocation inv-1: its log is above.",
        ),
        (
            "run",
            {"artifact": {"results": [BROKEN]}, "code": 1},
            AirflowException,
            "1 of 1 model failed: orders: TYPE_MISMATCH: line 1:8",
        ),
        (
            "build",
            {"artifact": {"results": [UNIQUE, BROKEN]}, "code": 1},
            AirflowException,
            "1 of 1 model failed, 1 of 1 test failed: orders: TYPE_MISMATCH",
        ),
        (
            "source freshness",
            {"artifact": {"results": [STALE]}, "file": "sources.json", "code": 1},
            AirflowFailException,
            "1 of 1 source failed: raw.orders: last loaded 2024-01-01T00:00:00Z",
        ),
        (
            "run",
            {
                "says": [
                    {"msg": "x", "name": "MainEncounteredError", "exc": "Compilation Error in model orders\n  oh"}
                ],
                "code": 2,
            },
            AirflowFailException,
            "dbt run of shop failed: Compilation Error in model orders",
        ),
        (
            "run",
            {
                "says": [{"msg": "x", "name": "MainEncounteredError", "exc": "Could not connect to the endpoint URL"}],
                "code": 2,
            },
            AirflowException,
            "dbt run of shop failed: Could not connect to the endpoint URL",
        ),
        ("run", {"prints": "Killed", "code": 137}, AirflowException, "dbt run of shop failed: Killed"),
        ("run", {"code": 1}, AirflowException, "dbt run of shop failed: nothing; its exit code is 1"),
        ("run", {"artifact": {}}, AirflowException, "run_results.json of dbt cannot be read"),
        (
            "run",
            {"says": [{"msg": "Nothing to do.", "name": "NothingToDo", "level": "warn"}], "artifact": {"results": []}},
            AirflowFailException,
            "dbt run of shop had nothing to do: --select orders matches no enabled node",
        ),
    ],
)
def test_failures(fake, command, plan, error, message):
    fake.plan(**plan)
    with pytest.raises(AirflowException) as raised:
        fake.run(command=command, select="orders")
    assert type(raised.value) is error
    assert str(raised.value).startswith(message)


def test_an_empty_selection_may_be_allowed(fake):
    fake.plan(says=[{"msg": "Nothing to do.", "name": "NothingToDo", "level": "warn"}], artifact={"results": []})
    assert fake.run(select="nothing", allow_empty=True)["nodes"] == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"project": "/nowhere"}, "project '/nowhere' is not a directory"),
        (
            {"dbt_executable": "/nowhere/dbt"},
            "'/nowhere/dbt' does not exist on this worker. On MWAA make its environment",
        ),
        ({"select": "-x"}, "a selector does not begin with '-'"),
        ({"threads": "none at all"}, "threads must be a whole number"),
        ({"vars": "a: ["}, "vars must be a mapping"),
        ({"flags": ["--profiles-dir", "/x"]}, "flags holds --profiles-dir"),
        ({"schema": None}, "schema is needed"),
        ({"s3_staging_dir": ""}, "s3_staging_dir is needed"),
        ({"profile_args": {"aws_access_key_id": "AKIA1"}}, "profile_args holds aws_access_key_id"),
        ({"profiles_dir": "/nowhere"}, "profiles_dir '/nowhere' holds no profiles.yml"),
        ({"env": ["A=1"]}, "env must be a mapping"),
    ],
)
def test_bad_input_fails_before_dbt_starts(fake, arguments, message):
    with pytest.raises(AirflowFailException) as raised:
        fake.run(**arguments)
    assert message in str(raised.value)
    assert not fake.was_called


def test_an_unknown_command_shows_when_the_dag_is_parsed(fake):
    with pytest.raises(ValueError, match="command is 'rum', which is none of run, test"):
        fake.operator(command="rum")


def test_a_templated_command_is_looked_at_when_it_is_rendered(fake):
    operator = fake.operator(command="{{ params.what }}")
    operator.command = "rum"
    with pytest.raises(AirflowFailException, match="command is 'rum'"):
        operator.execute({})


def test_everything_is_templated():
    import inspect

    arguments = [
        name
        for name, of in inspect.signature(DbtAthenaOperator.__init__).parameters.items()
        if of.kind == of.KEYWORD_ONLY
    ]
    assert {*DbtAthenaOperator.template_fields} == {*arguments} - {"emit_model_assets", "deferrable"}


def test_templates_are_rendered(fake):
    operator = fake.operator(
        vars={"year": "{{ year }}", "month": "{{ month }}"}, select=["orders_{{ year }}"], schema="marts_{{ month }}"
    )
    operator.render_template_fields({"year": 2024, "month": 1})
    operator.execute({})
    called = fake.called
    assert '{"year": "2024", "month": "1"}' in called["arguments"]
    assert "orders_2024" in called["arguments"]
    assert "schema: marts_1" in called["profile"]


def test_on_kill_interrupts_dbt(fake):
    fake.plan(waits=True)
    operator = fake.operator()
    killer = threading.Thread(target=kill_when, args=(fake.waiting, operator.on_kill))
    killer.start()
    with pytest.raises(AirflowException, match="dbt run of shop was stopped, and its Athena queries with it"):
        operator.execute({})
    killer.join()


def test_a_timeout_ends_dbt_too(fake):
    fake.plan(waits=True)

    class TimedOut(Exception):
        pass

    def timed_out(*_):
        raise TimedOut

    before = signal.signal(signal.SIGUSR1, timed_out)
    killer = threading.Thread(target=kill_when, args=(fake.waiting, lambda: os.kill(os.getpid(), signal.SIGUSR1)))
    killer.start()
    try:
        with pytest.raises(TimedOut):
            fake.run()
    finally:
        killer.join()
        signal.signal(signal.SIGUSR1, before)


def kill_when(file, kill):
    import select
    import time

    until = time.monotonic() + 20
    while not file.exists() and time.monotonic() < until:
        select.select([], [], [], 0.02)
    kill()


def test_on_kill_before_execute_is_harmless(fake):
    fake.operator().on_kill()
