"""DbtAthenaOperator under the gate, with the real dbt on the local AWS: production is byte for byte what it was."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import uuid
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("airflow")

from airflow_lakehouse_provider._airflow.compat import AirflowFailException
from airflow_lakehouse_provider.dbt.gate import marker
from airflow_lakehouse_provider.dbt.library import library
from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator
from airflow_lakehouse_provider.publishing.attempt import AttemptStore, AuditAttempt, now
from airflow_lakehouse_provider.publishing.catalogue import Catalogue
from airflow_lakehouse_provider.publishing.names import Places, new_audit
from lakehouse_local.process import LocalAwsProcess

DBT = os.environ.get("LAKEHOUSE_DBT_EXECUTABLE") or str(Path(__file__).parents[2] / ".venv-dbt/bin/dbt")
PROJECT = Path(__file__).parent / "gate_project"
ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
TRUST = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
DAY_2, DAY_3 = {"days": "2024-05-02"}, {"days": "2024-05-03"}


def document(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class TaskInstance:
    dag_id, run_id, map_index, max_tries = "shop", "manual__2024-05-02T00:00:00+00:00", -1, 2

    def __init__(self, task_id, try_number):
        self.task_id, self.try_number = task_id, try_number
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


def context(task_id="build", try_number=1):
    started = datetime.datetime(2024, 5, 2, tzinfo=datetime.timezone.utc)
    return {"ti": TaskInstance(task_id, try_number), "dag_run": SimpleNamespace(start_date=started)}


@pytest.fixture(scope="module")
def aws(tmp_path_factory):
    """A local AWS that enforces policies."""
    local = LocalAwsProcess(tmp_path_factory.mktemp("gate") / "root", enforce_iam=True, empty=True)
    yield local
    assert local.stop() == 0, local.log


class Shop:
    """Production of the project, and the operators that build it."""

    def __init__(self, aws, role, project):
        self.aws, self.role, self.project = aws, role, project
        name = uuid.uuid4().hex[:10]
        self.schema, self.bucket = f"shop_{name}", f"shop-{name}"
        self.data = f"s3://{self.bucket}/data"
        self.s3, self.glue = aws.client("s3"), aws.client("glue")
        self.s3.create_bucket(Bucket=self.bucket)
        self.store = AttemptStore(self.s3, Places(self.data))

    def operator(self, command, **arguments):
        given = {
            **{"task_id": "dbt", "command": command, "project": str(self.project), "dbt_executable": DBT},
            **{"schema": self.schema, "s3_data_dir": self.data, "s3_staging_dir": f"s3://{self.bucket}/results/"},
            **{"aws_conn_id": None, "fence": self.role, "artifacts_uri": f"s3://{self.bucket}/artifacts"},
        }
        return DbtAthenaOperator(**(given | arguments))

    def direct(self, **arguments):
        return self.operator("build", fence=None, **arguments).execute({})

    def databases(self):
        return {each["Name"] for each in self.glue.get_databases()["DatabaseList"]}

    def state(self):
        """Return all that production is: its tables and partitions as Glue has them, keys and ETags of its files."""
        catalogue, found = Catalogue(self.glue), {}
        for database in sorted(name for name in self.databases() if "__audit_" not in name):
            for table in catalogue.tables(database):
                place = SimpleNamespace(database=database, name=table["Name"])
                partitions = catalogue.partitions(place) if table.get("PartitionKeys") else {}
                found[database, table["Name"]] = (table, partitions)
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix="data/")
        files = {item["Key"]: item["ETag"] for page in pages for item in page.get("Contents") or ()}
        own = ("data/generations/", "data/attempts/")
        return found, {key: etag for key, etag in files.items() if not key.startswith(own)}

    def query(self, sql):
        athena = self.aws.client("athena")
        started = athena.start_query_execution(
            QueryString=sql, ResultConfiguration={"OutputLocation": f"s3://{self.bucket}/results/"}
        )["QueryExecutionId"]
        while True:
            found = athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]
            if found["State"] not in ("QUEUED", "RUNNING"):
                break
        assert found["State"] == "SUCCEEDED", found
        rows = athena.get_query_results(QueryExecutionId=started)["ResultSet"]["Rows"][1:]
        return [tuple(cell.get("VarCharValue") for cell in row["Data"]) for row in rows]

    def attempt(self, result):
        return self.store.read(result["attempt"])


@pytest.fixture(scope="module")
def role(aws):
    iam = aws.client("iam")
    arn = iam.create_role(RoleName="builder", AssumeRolePolicyDocument=document(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="builder", PolicyName="own", PolicyDocument=document(ANYTHING))
    return arn


@pytest.fixture
def shop(aws, role, tmp_path, monkeypatch):
    if not Path(DBT).exists():
        pytest.skip("there is no .venv-dbt (make install), and LAKEHOUSE_DBT_EXECUTABLE names no other dbt")
    temporary = Path("/tmp") / f"lakehouse-gate-{uuid.uuid4().hex[:8]}"
    temporary.mkdir()
    for name, value in {**aws.environment, "TMPDIR": str(temporary)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("tempfile.tempdir", None)
    shutil.copytree(PROJECT, tmp_path / "project")
    yield Shop(aws, role, tmp_path / "project")
    left = [path.name for path in temporary.iterdir() if not path.name.startswith("lakehouse-dbt-cache-")]
    shutil.rmtree(temporary)
    assert not left, "something temporary was left"


@pytest.mark.slow
def test_a_month_is_built_and_tested_beside_production(shop, caplog):
    """One day is replaced, one is new, and the whole table downstream holds both."""
    shop.direct(vars=DAY_2)
    before = shop.state()
    build = context()
    result = shop.operator(
        "run", vars={**DAY_3, "amount": 2}, exclude="stg_products", audit="2024-05", partitions="day >= '2024-05-03'"
    ).execute(build)
    assert shop.state() == before
    attempt = shop.attempt(result)
    audit = attempt.audit
    assert (attempt.state, attempt.unit, attempt.scope) == ("built", "2024-05", "day >= '2024-05-03'")
    assert build["ti"].pushed["attempt"] == result["attempt"]
    names = {node.unique_id.rpartition(".")[2]: node for node in attempt.nodes}
    assert {name: node.kind for name, node in names.items()} == {
        **dict.fromkeys(("orders", "orders_text", "daily"), "partitioned"),
        "totals": "table",
        "report": "view",
    }
    assert set(attempt.built) == {node.unique_id for node in attempt.nodes}
    assert str(names["orders"].audit) == f"{audit}.orders_by_day"
    assert str(names["totals"].production) == f"{shop.schema}_x_finance.totals"
    assert set(attempt.parents) == {"model.gate_shop.stg_products", "seed.gate_shop.products"}
    sums = f"select cast(day as varchar), sum(amount) from {audit}.orders_by_day group by day order by day"
    assert shop.query(sums) == [
        ("2024-05-01", "2"),
        ("2024-05-02", "2"),
        ("2024-05-03", "4"),
    ]
    assert shop.query(f"select amount, orders from {audit}_x_finance.totals") == [("8", "6")]
    assert shop.query(f"select count(*), sum(amount) from {audit}.orders_text") == [("3", "6")]
    assert shop.query(f"select count(*) from {shop.schema}.orders_text where amount = 1") == [("3",)]
    statements = json.loads(
        shop.s3.get_object(Bucket=shop.bucket, Key=f"data/attempts/{audit}/statements.json")["Body"].read()
    )
    assert any("stg_products" in sql for sql in statements["model.gate_shop.orders"])
    with pytest.raises(AirflowFailException) as failed:
        shop.operator("test", vars=DAY_3, audit=result["attempt"]).execute(context("test"))
    message = str(failed.value)
    assert message.startswith("1 of 3 tests failed: amounts (1 row)")
    assert f"Unit 2024-05, audit schema {audit}: production is unchanged." in message
    gate = shop.attempt(result).gate
    assert (gate.status, len(gate.failed)) == ("failed", 1)
    tables, objects = shop.state()
    # The record of what the gate said is the one thing that is new.
    assert objects.pop(f"data/publications/2024-05/gate-{audit}.json")
    assert (tables, objects) == before


def test_a_project_that_is_refused_leaves_nothing_behind(shop):
    """Both manifests are dbt's own; each reason is tested in tests/unit/dbt/test_gate_nodes.py."""
    models = shop.project / "models"
    (models / "log.sql").write_text(
        "{{ config(materialized='incremental', incremental_strategy='append') }} select 1 as id"
    )
    (models / "fast.sql").write_text("{{ config(ha=true) }} select 1 as id")
    (models / "fixed.sql").write_text("{{ config(s3_data_dir='" + shop.data + "/fixed') }} select 1 as id")
    (models / "mine.sql").write_text("{{ config(s3_data_dir=target.s3_data_dir ~ '/mine') }} select 1 as id")
    (models / "hooked.sql").write_text("{{ config(post_hook='{{ clean() }}') }} select 1 as id")
    (shop.project / "macros/clean.sql").write_text(
        "{% macro clean() %}{% if execute %}{% do adapter.clean_up_partitions(this, 'day = 1') %}{% endif %}"
        "{% endmacro %}"
    )
    databases = shop.databases()
    with pytest.raises(AirflowFailException) as refused:
        shop.operator("build", audit="2024-05").execute(context())
    first, *reasons = str(refused.value).splitlines()
    assert first == "dbt cannot build this under the gate, for 4 reasons; nothing was built:"
    assert [reason.partition(",")[0].partition(". ")[0] for reason in reasons] == [
        "- model.gate_shop.fast: it has ha: true",
        f"- model.gate_shop.fixed: its s3_data_dir '{shop.data}/fixed' is one place for production and audit",
        "- model.gate_shop.log: the strategy 'append' adds rows to partitions",
        "- post-hook of model.gate_shop.hooked: it calls adapter.clean_up_partitions() in macro.gate_shop.clean",
    ]
    assert shop.databases() == databases
    assert not shop.s3.list_objects_v2(Bucket=shop.bucket).get("Contents")


def test_a_macro_of_the_gates_is_not_replaced(shop):
    (shop.project / "macros/mine.sql").write_text("{% macro delete_overlapping_partitions(a, b, c) %}{% endmacro %}")
    with pytest.raises(AirflowFailException, match=r"macros/mine\.sql defines it, and the gate's own must be used"):
        shop.operator("build", audit="2024-05").execute(context())


# Past the search for such calls: the name of the method is computed.
_HIDDEN = """{{ config(materialized='table') }}
{% if execute %}{% do adapter['delete_from' ~ '_s3']('PLACE') %}{% endif %}
select 1 as id"""


@pytest.mark.slow
def test_the_fence_keeps_what_no_search_finds_from_production(shop):
    shop.direct(select="products")
    before = shop.state()
    (shop.project / "models/evil.sql").write_text(_HIDDEN.replace("PLACE", f"{shop.data}/{shop.schema}/products"))
    with pytest.raises(Exception, match=r"1 of 1 model failed: evil: .*(AccessDenied|Failed to delete)") as failed:
        shop.operator("run", select="evil", audit="2024-05").execute(given := context())
    assert "production is unchanged" in str(failed.value)
    assert shop.state() == before
    assert shop.store.read(given["ti"].pushed["attempt"]).state == "failed"


@pytest.mark.slow
def test_without_a_fence_a_change_of_production_fails_the_task_and_is_named(shop):
    shop.direct(select="products")
    place = f"data/{shop.schema}/products"
    (shop.project / "models/evil.sql").write_text(
        _HIDDEN.replace("PLACE", f"s3://{shop.bucket}/{place}") + " from {{ ref('products') }} where false"
    )
    with pytest.raises(AirflowFailException, match=rf"production was changed while dbt built: {place}/.* is gone"):
        shop.operator("run", select="evil", audit="2024-05", fence=False).execute(context())


@pytest.mark.slow
def test_null_and_boolean_partition_values_fail_before_a_row_is_inserted(shop):
    """Both would be passed over by a DROP IF EXISTS, and the INSERT would go to production's files."""
    config = "{{ config(materialized='incremental', partitioned_by=['part']) }} select 1 as id, "
    (shop.project / "models/nothing.sql").write_text(config + "nullif('x', '{{ var(\"gone\", \"y\") }}') as part")
    (shop.project / "models/truth.sql").write_text(config + "true as part")
    shop.direct(select="nothing truth")
    before = shop.state()
    with pytest.raises(AirflowFailException) as failed:
        shop.operator("run", select="nothing truth", vars={"gone": "x"}, audit="2024-05").execute(context())
    message = str(failed.value)
    assert "the partition key part of" in message
    assert "is null in a new row: such a partition cannot be replaced under the gate" in message
    assert "is of type boolean, which cannot be replaced under the gate" in message
    assert shop.state() == before


def test_a_new_try_gives_the_attempt_of_the_last_one_up(shop):
    store, lines = shop.store, []
    first, second = (AuditAttempt(new_audit(shop.schema), "2024-05", now()) for _ in range(2))
    place = f"s3://{shop.bucket}/artifacts/task"

    def take(uri):
        athena = shop.aws.client("athena")
        marker.take(shop.s3, lambda: athena, place, uri, store, lambda level, line: lines.append(line))

    uris = [store.claim(each) for each in (first, second)]
    take(uris[0])
    store.change(uris[0], invocation={"invocation_id": str(uuid.uuid4()), "work_group": None})
    take(uris[1])
    assert [store.read(uri).state for uri in uris] == ["failed", "building"]
    assert lines == [f"The last try's attempt {first.audit} is given up"]
    assert marker.finish(shop.s3, uris[0], state="built") is None, "the attempt that was given up is not built"
    assert marker.finish(shop.s3, uris[1], state="built", built=("a",)).built == ("a",)
    take(store.claim(AuditAttempt(new_audit(shop.schema), "2024-05", now())))
    assert store.read(uris[1]).state == "built", "a cleared task leaves what was built"


@pytest.fixture
def job(shop, repository):
    """A Glue job of run_dbt.py, whose role may do anything."""
    script = (repository / "glue_scripts/run_dbt.py").read_bytes()
    shop.s3.put_object(Bucket=shop.bucket, Key="code/run_dbt.py", Body=script)
    shop.s3.put_object(Bucket=shop.bucket, Key="code/library.zip", Body=library())
    lines = (repository / "dbt_models/requirements.txt").read_text().splitlines()
    iam, name = shop.aws.client("iam"), f"job-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(ANYTHING))
    shop.glue.create_job(
        Name=name,
        Role=role,
        Command={"Name": "glueetl", "ScriptLocation": f"s3://{shop.bucket}/code/run_dbt.py", "PythonVersion": "3"},
        DefaultArguments={
            "--extra-py-files": f"s3://{shop.bucket}/code/library.zip",
            "--additional-python-modules": ",".join(line for line in lines if line and not line.startswith("#")),
        },
        GlueVersion="5.1",
        WorkerType="G.1X",
        NumberOfWorkers=2,
    )
    return name


@pytest.mark.slow
def test_in_a_glue_job_it_is_the_same(shop, job):
    shop.direct(select="products stg_products orders", vars=DAY_2)
    before = shop.state()
    in_glue = {"glue_job_name": job, "deferrable": False, "job_poll_interval": 0.5}
    result = shop.operator("run", select="orders", vars=DAY_3, audit="2024-05", **in_glue).execute(context())
    attempt = shop.attempt(result)
    assert (attempt.state, attempt.built) == ("built", ("model.gate_shop.orders",))
    assert shop.query(f"select count(*) from {attempt.audit}.orders_by_day") == [("6",)]
    tested = shop.operator("test", select="orders", vars=DAY_3, audit=result["attempt"], **in_glue)
    assert tested.execute(context("test"))["counts"] == {"pass": 2}
    assert shop.attempt(result).gate.status == "passed"
    assert shop.state() == before
