"""dbt in a real Airflow, in both places: the connection's secret is in nothing that a task leaves behind."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("moto", reason="needs the extra 'local'")
pytest.importorskip("pyspark", reason="needs the extra 'local'")

pytestmark = [pytest.mark.slow, pytest.mark.e2e, pytest.mark.spark]

CHECKOUT = Path(__file__).parents[2]
SECRET = "s3cr3tOfTheConnection"
# What a connection's address makes of it, and what an encoded environment would.
FORMS = (SECRET.encode(), SECRET.encode("utf-16-le"))
DAG = """
from datetime import datetime
from airflow.sdk import DAG
from airflow_lakehouse_provider import DbtAthenaOperator

dbt = dict(
    command="run", project={project!r}, dbt_executable={dbt!r}, aws_conn_id="secret",
    schema="marts", work_group="nyc-taxi-dbt",
    s3_staging_dir="s3://nyc-taxi-athena-results/dbt/", artifacts_uri="s3://nyc-taxi-artifacts/dbt",
)
with DAG("secrets", schedule=None, start_date=datetime(2024, 1, 1)):
    DbtAthenaOperator(task_id="worker", **dbt)
    DbtAthenaOperator(task_id="glue", glue_job_name="run-dbt", job_poll_interval=1, deferrable=True, **dbt)
"""


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "models" / "one.sql").write_text("select 1 as id")
    (folder / "dbt_project.yml").write_text("name: one\nversion: '1.0'\nprofile: one\nconfig-version: 2\n")
    return folder


def test_the_secret_is_in_nothing_that_is_left(project, tmp_path):
    from airflow_lakehouse_provider.config import Lakehouse
    from airflow_lakehouse_provider.demo.airflow import Airflow
    from airflow_lakehouse_provider.provision import provision
    from lakehouse_local import LocalAws

    dbt = os.environ.get("LAKEHOUSE_DBT_EXECUTABLE") or str(CHECKOUT / ".venv-dbt/bin/dbt")
    if not Path(dbt).is_file():
        pytest.skip("needs dbt: .venv-dbt, or LAKEHOUSE_DBT_EXECUTABLE")
    lakehouse = Lakehouse.load(CHECKOUT / "example_dags" / "lakehouse.yaml")
    lakehouse = replace(lakehouse, dbt=replace(lakehouse.dbt, runs_in="glue"))
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "secrets.py").write_text(DAG.format(project=str(project), dbt=dbt))
    with LocalAws(tmp_path / "aws") as local:
        provision(local.endpoint, lakehouse)
        environment = {**local.environment, "AIRFLOW_CONN_SECRET": f"aws://AKIAKEY:{SECRET}@/?region_name=us-east-1"}
        airflow = Airflow(tmp_path / "airflow", tmp_path / "dags", cache=tmp_path, environment=environment)
        try:
            airflow.start()
            airflow.wait_for_dag("secrets")
            airflow.post("dags/secrets/dagRuns", {"dag_run_id": "run", "logical_date": None})
            ends = time.monotonic() + 240
            while (state := airflow.get("dags/secrets/dagRuns/run")["state"]) not in ("success", "failed"):
                assert time.monotonic() < ends, f"the run is still {state}: {airflow.logs}"
                airflow.check()
                time.sleep(1)
            tasks = airflow.get("dags/secrets/dagRuns/run/taskInstances")["task_instances"]
            logs = "\n".join(file.read_text() for file in airflow.logs.rglob("*.log"))
            assert state == "success", logs[-5000:]
            assert {task["task_id"] for task in tasks} == {"worker", "glue"}
            assert all(task["rendered_fields"]["schema"] == "marts" for task in tasks), "they were rendered and kept"
        finally:
            airflow.stop()
    files = [file for file in tmp_path.rglob("*") if file.is_file() and file.stat().st_size < 1 << 28]
    assert any(file.name == "airflow.db" for file in files), "rendered templates, XComs and trigger arguments"
    assert any("nyc-taxi-artifacts" in file.parts for file in files)
    assert not [file for file in files if any(form in file.read_bytes() for form in FORMS)]
