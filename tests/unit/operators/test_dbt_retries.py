"""Retries that continue the last try, the artifacts that are kept, and a task's events, lineage and links."""

from __future__ import annotations

import datetime
import json
import sys
from types import SimpleNamespace

import pytest

from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowFailException
from airflow_lakehouse_provider.operators import dbt_request
from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator

moto = pytest.importorskip("moto")

# Plays dbt: what it is called with is written down, the plan's results and a manifest are its artifacts.
FAKE = """
import json, pathlib, sys
here = pathlib.Path({here!r})
plan, arguments = json.loads((here / "plan.json").read_text()), sys.argv[1:]
option = lambda name: pathlib.Path(arguments[arguments.index(name) + 1])
state = option("--state") / "run_results.json" if "--state" in arguments else None
called = dict(arguments=arguments, state=json.loads(state.read_text()) if state else None)
(here / "called.json").write_text(json.dumps(called))
say = lambda name, **data: print(json.dumps(dict(
    data=data, info=dict(name=name, msg=name, level="info", invocation_id=plan["invocation"]))), flush=True)
say("MainReportVersion", version="=1.11.16")
target = option("--target-path")
target.mkdir(exist_ok=True)
if plan["results"] is not None:
    (target / "run_results.json").write_text(json.dumps(dict(results=plan["results"], args=dict(which="build"))))
(target / "manifest.json").write_text(json.dumps(plan["manifest"]))
sys.exit(plan["code"])
"""
ORDERS = {"unique_id": "model.shop.orders", "status": "success", "adapter_response": {"rows_affected": 7}}
BROKEN = {"unique_id": "model.shop.sums", "status": "error", "message": "lost"}
MENDED = {"unique_id": "model.shop.sums", "status": "success", "adapter_response": {"rows_affected": 1}}
FAILED = {"unique_id": "test.shop.few.1", "status": "fail", "failures": 2}
TABLE = {"database": "awsdatacatalog", "schema": "marts", "relation_name": "x"}
MANIFEST = {
    "nodes": {
        "model.shop.orders": {**TABLE, "alias": "orders", "depends_on": {"nodes": ["source.shop.raw.trips"]}},
        "model.shop.sums": {**TABLE, "alias": "sums", "depends_on": {"nodes": ["model.shop.between"]}},
        "model.shop.between": {"relation_name": None, "depends_on": {"nodes": ["model.shop.orders"]}},
    },
    "sources": {"source.shop.raw.trips": {**TABLE, "schema": "cleaned", "identifier": "trips"}},
}
MARTS = "awsathena://athena.us-east-1.amazonaws.com/awsdatacatalog/marts"


class TaskInstance:
    dag_id, task_id, run_id, map_index, max_tries = "shop", "dbt", "manual__2024-01-01T00:00:00+00:00", -1, 2

    def __init__(self, try_number=1):
        self.try_number = try_number
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


class Worker:
    def __init__(self, folder, s3):
        self.s3, self._folder = s3, folder
        self.project = folder / "shop"
        self.project.mkdir()
        (self.project / "dbt_project.yml").write_text("name: shop\n")
        self._dbt = folder / "dbt"
        self._dbt.write_text(f"#!{sys.executable}\n{FAKE.format(here=str(folder))}")
        self._dbt.chmod(0o755)

    def run(self, *results, try_number=1, code=0, invocation="inv", context=None, **arguments):
        """A try; its results, what it was called with, and its context are kept."""
        plan = {"results": None if results == (None,) else results, "code": code, "invocation": invocation}
        (self._folder / "plan.json").write_text(json.dumps({**plan, "manifest": MANIFEST}))
        given = {
            **{"task_id": "dbt", "command": "build", "project": str(self.project), "dbt_executable": str(self._dbt)},
            **{"schema": "marts", "s3_staging_dir": "s3://lake/results/", "aws_conn_id": None},
        }
        operator = DbtAthenaOperator(**(given | arguments))
        self.context = {
            "ti": TaskInstance(try_number),
            "dag_run": SimpleNamespace(start_date=datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc)),
            **(context or {}),
        }
        return operator.execute(self.context)

    @property
    def called(self):
        return json.loads((self._folder / "called.json").read_text())

    @property
    def resumed(self):
        return "retry" in self.called["arguments"]

    @property
    def kept(self):
        found = self.s3.list_objects_v2(Bucket="lake").get("Contents", ())
        return sorted(item["Key"] for item in found)


@pytest.fixture
def worker(tmp_path, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    with moto.mock_aws():
        import boto3

        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="lake")
        yield Worker(tmp_path, s3)


def test_a_retry_continues_the_last_try_and_returns_the_results_of_both(worker):
    with pytest.raises(AirflowException, match="1 of 2 models failed: sums: lost"):
        worker.run(ORDERS, BROKEN, code=1, invocation="one")
    result = worker.run(MENDED, try_number=2, invocation="two")
    assert worker.resumed
    assert [each["status"] for each in worker.called["state"]["results"]] == ["success", "error"]
    assert [(node["unique_id"], node["status"]) for node in result["nodes"]] == [
        ("model.shop.orders", "success"),
        ("model.shop.sums", "success"),
    ]
    home = "results-artifacts/shop/dbt/manual__2024-01-01T00-00-00-00-00"
    assert result["artifacts_uri"] == f"s3://lake/{home}/two"
    assert {f"{home}/{name}" for name in ("last.json", "one/run_results.json", "two/manifest.json")} <= set(worker.kept)
    kept = json.loads(worker.s3.get_object(Bucket="lake", Key=f"{home}/two/run_results.json")["Body"].read())
    assert kept["args"] == {"which": "build"}
    assert len(kept["results"]) == 2


def test_a_third_try_goes_on_with_what_the_second_left(worker):
    with pytest.raises(AirflowException):
        worker.run(ORDERS, BROKEN, code=1, invocation="one")
    with pytest.raises(AirflowException, match="1 of 2 models failed"):
        worker.run(BROKEN, code=1, try_number=2, invocation="two")
    worker.run(MENDED, try_number=3, invocation="three")
    assert [each["unique_id"] for each in worker.called["state"]["results"]] == ["model.shop.orders", "model.shop.sums"]


@pytest.mark.parametrize(
    ("what", "again"),
    [
        ("its own retry", {}),
        ("threads", {"threads": 8}),
        ("vars", {"vars": {"year": 2025}}),
        ("selection", {"select": "orders"}),
        ("schema", {"schema": "other"}),
        ("command", {"command": "run"}),
        ("resume off", {"resume": False}),
        ("resume off by template", {"resume": "False"}),
        ("a first try", {"try_number": 1}),
        ("project", {}),
        ("round", {}),
        ("artifacts gone", {}),
    ],
)
def test_only_a_retry_of_the_same_resumes(worker, monkeypatch, what, again):
    with pytest.raises(AirflowException):
        worker.run(ORDERS, BROKEN, code=1)
    if what == "project":
        (worker.project / "models.sql").write_text("select 2")
    elif what == "round":
        monkeypatch.setattr(TaskInstance, "max_tries", 5)
    elif what == "artifacts gone":
        for key in worker.kept:
            if not key.endswith("last.json"):
                worker.s3.delete_object(Bucket="lake", Key=key)
    worker.run(ORDERS, MENDED, **{"try_number": 2, **again})
    assert worker.resumed == (what in ("its own retry", "threads"))


@pytest.mark.parametrize("before", ["success", "killed", "permanent"])
def test_what_leaves_nothing_to_resume(worker, before):
    if before == "success":
        worker.run(ORDERS)
    elif before == "permanent":
        with pytest.raises(AirflowFailException):
            worker.run(FAILED, code=1)
    else:
        with pytest.raises(AirflowException):
            worker.run(None, code=137)
    worker.run(ORDERS, try_number=2)
    assert not worker.resumed


def test_artifacts_that_cannot_be_kept_fail_nothing(worker, caplog):
    result = worker.run(ORDERS, artifacts_uri="s3://nowhere/dbt")
    assert result["artifacts_uri"] is None
    with pytest.raises(AirflowException):
        worker.run(BROKEN, code=1, artifacts_uri="s3://nowhere/dbt")


def test_artifacts_uri_says_where(worker):
    assert worker.run(ORDERS, artifacts_uri="s3://lake/kept/")["artifacts_uri"].startswith("s3://lake/kept/shop/dbt/")
    with pytest.raises(AirflowFailException, match="artifacts_uri must be s3://bucket/prefix, not '/tmp'"):
        worker.run(ORDERS, artifacts_uri="/tmp")


@pytest.mark.parametrize(
    ("staging", "place"),
    [
        ("s3://b", "s3://b/dbt-artifacts"),
        ("s3://b/", "s3://b/dbt-artifacts"),
        ("s3://b/a/b/", "s3://b/a/b-artifacts"),
    ],
)
def test_beside_the_staging_directory(staging, place):
    assert dbt_request.beside(staging) == place


def test_dbt_retry_of_another_tasks_run(worker):
    with pytest.raises(AirflowException):
        worker.run(ORDERS, BROKEN, code=1)
    state = worker.context["ti"].pushed["artifacts_uri"]
    worker.run(MENDED, command="retry", flags=["--state", state])
    assert worker.called["state"]["results"][1]["status"] == "error"
    with pytest.raises(AirflowFailException, match=r"--state is 's3://lake/none', and there are no artifacts"):
        worker.run(MENDED, command="retry", flags=["--state=s3://lake/none"])


def test_long_lists_are_cut_and_failures_go_last(worker, monkeypatch):
    monkeypatch.setattr("airflow_lakehouse_provider.dbt.artifacts.MOST_NODES", 3)
    warned = {"unique_id": "test.shop.few.1", "status": "warn", "failures": 2}
    result = worker.run(*({**ORDERS, "unique_id": f"model.shop.m{n}"} for n in range(9)), warned)
    assert [node["unique_id"] for node in result["nodes"]] == ["model.shop.m0", "model.shop.m1", "test.shop.few.1"]
    assert result["counts"] == {"success": 9, "warn": 1}


class Events(dict):
    def __missing__(self, alias):
        self[alias] = []
        return SimpleNamespace(add=lambda asset, extra: self[alias].append((asset.uri, extra)))


def test_an_asset_event_for_each_model(worker):
    events = Events()
    operator = {"emit_model_assets": True, "context": {"outlet_events": events}}
    with pytest.raises(AirflowException):
        worker.run(ORDERS, BROKEN, code=1, **operator)
    assert [made for of_alias in events.values() for made in of_alias] == [
        (f"{MARTS}/orders", {"unique_id": "model.shop.orders", "rows": 7})
    ]


def test_lineage_goes_through_ephemeral_models(worker, monkeypatch):
    seen = []
    monkeypatch.setattr("airflow_lakehouse_provider.operators.dbt_end.lineage", seen.append)
    operator = DbtAthenaOperator(task_id="dbt", command="run", project="x")
    assert operator.get_openlineage_facets_on_complete(None) is None
    from airflow_lakehouse_provider.dbt.artifacts import DbtResults, NodeResult
    from airflow_lakehouse_provider.dbt.manifest import built_tables

    file = worker.project / "manifest.json"
    file.write_text(json.dumps(MANIFEST))
    made = built_tables(
        file, DbtResults(tuple(NodeResult(f"model.shop.{n}", "success") for n in ("orders", "sums"))), "us-east-1"
    )
    assert [(table["uri"], table["reads"]) for table in made] == [
        (f"{MARTS}/orders", ["awsathena://athena.us-east-1.amazonaws.com/awsdatacatalog/cleaned/trips"]),
        (f"{MARTS}/sums", [f"{MARTS}/orders"]),
    ]


def test_deferrable_needs_glue(monkeypatch):
    with pytest.raises(ValueError, match="deferrable=True needs glue_job_name"):
        DbtAthenaOperator(task_id="dbt", command="run", project="x", deferrable=True)
    monkeypatch.setattr("airflow_lakehouse_provider.operators.dbt.default_deferrable", lambda: True)
    assert not DbtAthenaOperator(task_id="dbt", command="run", project="x").deferrable
    assert DbtAthenaOperator(task_id="dbt", command="run", project="x", glue_job_name="j").deferrable


def test_links_lead_to_query_artifacts_and_docs():
    from airflow_lakehouse_provider.dbt.verdict import DbtVerdict
    from airflow_lakehouse_provider.links import dbt as dbt_links

    artifacts = {"index.html": "s3://lake/a b/one/index.html"}
    verdict = DbtVerdict("retryable", "", {"artifacts_uri": "s3://lake/a b/one"}, "q-1", artifacts)
    assert dbt_links.addresses(verdict, "eu-west-1", "aws") == {
        "athena_query": "https://eu-west-1.console.aws.amazon.com/athena/home?region=eu-west-1#/query-editor/history/q-1",
        "dbt_artifacts": "https://eu-west-1.console.aws.amazon.com/s3/buckets/lake?region=eu-west-1&prefix=a%20b%2Fone/",
        "dbt_docs": "https://eu-west-1.console.aws.amazon.com/s3/object/lake?region=eu-west-1"
        "&prefix=a%20b%2Fone%2Findex.html",
    }
    assert dbt_links.addresses(DbtVerdict("success"), "eu-west-1", "aws") == {}
