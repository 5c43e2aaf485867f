"""A month on what Terraform made: the operators, in this process, by the credentials of the environment."""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import threading
import time
from pathlib import Path

import pytest

DBT = os.environ.get("LAKEHOUSE_DBT_EXECUTABLE") or str(Path(__file__).parents[2] / ".venv-dbt/bin/dbt")
ROWS = 4000


def lakehouse_yaml(terraform):
    return terraform.folder.parents[1] / "example_dags" / "lakehouse.yaml"


class Month:
    """January 2024 of a lakehouse."""

    def __init__(self, terraform, local):
        if not Path(DBT).is_file():
            pytest.skip("no dbt environment (.venv-dbt)")
        pytest.importorskip("airflow")
        from airflow_lakehouse_provider.config import Lakehouse
        from airflow_lakehouse_provider.month import Month as Of

        self.lakehouse = Lakehouse.load(lakehouse_yaml(terraform))
        self._local = local
        self._month = Of.parse("2024-01")
        self._project = str(terraform.folder.parents[1] / "dbt_models")
        self._cleaned = None

    def upload_raw(self, folder):
        from airflow_lakehouse_provider import sample_data

        raw = sample_data.write("yellow", self._month, ROWS, folder)
        self._local.client("s3").upload_file(str(raw), "nyc-taxi-raw", self.lakehouse.raw_key("yellow", self._month))

    def find_raw(self):
        """Look for the raw file as the example DAG's sensor does."""
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook

        assert S3Hook().check_for_key(self.lakehouse.raw_uri("yellow", self._month))
        missing = self.lakehouse.raw_uri("green", self._month)
        assert not S3Hook().check_for_key(missing)

    def clean(self, **more):
        from airflow_lakehouse_provider.operators.glue import GlueMonthlyJobOperator

        lakehouse = self.lakehouse
        self._cleaned = _run(
            lambda: GlueMonthlyJobOperator(
                task_id="clean",
                job_name=lakehouse.glue.job,
                year=2024,
                month=1,
                script_args={
                    "--service": "yellow",
                    "--raw_uri": lakehouse.raw_uri("yellow", self._month),
                    "--cleaned_uri": lakehouse.zones.cleaned,
                    "--report_uri": f"{lakehouse.zones.artifacts}/reports/run.json",
                },
                job_poll_interval=0.5,
                deferrable=True,
                **more,
            )
        )
        report = self._cleaned["report"]
        assert report["rows_read"] == report["rows_kept"] + report["rows_quarantined"]

    def crawl(self):
        from airflow_lakehouse_provider.sensors.crawler import CrawlerCompletionSensor

        crawled = _run(
            lambda: CrawlerCompletionSensor(
                task_id="catalogue",
                crawler_name=self.lakehouse.glue.crawler,
                since=self._cleaned["completed_on"] if self._cleaned else None,
                poke_interval=0.5,
                timeout=120,
                deferrable=True,
            )
        )
        assert crawled["state"] == "COMPLETED"

    def dbt(self, command, **more):
        return self._dbt(command, dbt_executable=DBT, **more)

    def dbt_in_glue(self, command, **more):
        given = {"glue_job_name": self.lakehouse.dbt.glue_job, "job_poll_interval": 0.5, "deferrable": True, **more}
        return self._dbt(command, **given)

    def _dbt(self, command, *, try_number=1, run_id="run", killed_when=None, **more):
        """:param killed_when: on_kill is called as soon as it says so"""
        from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator

        lakehouse = self.lakehouse
        given = {
            "project": self._project,
            "schema": lakehouse.databases.marts,
            "s3_staging_dir": f"{lakehouse.zones.results}/dbt/",
            "s3_data_dir": f"{lakehouse.zones.curated}/",
            "work_group": lakehouse.athena.work_group,
            "artifacts_uri": f"{lakehouse.zones.artifacts}/dbt",
            "vars": {"year": 2024, "month": 1, "cleaned_database": lakehouse.databases.cleaned},
            **more,
        }

        def make():
            operator = DbtAthenaOperator(task_id=f"dbt_{command}", command=command, **given)
            if killed_when is not None:
                threading.Thread(target=_kill, args=(operator, killed_when), daemon=True).start()
            return operator

        built = _run(make, try_number, run_id)
        assert built["success"]
        assert set(built["counts"]) <= {"success", "pass", "warn", "no-op"}
        return built


class _Pushed(dict):
    map_index, try_number, task_id, dag_id, run_id, max_tries = -1, 1, "task", "dag", "run", 0

    def xcom_push(self, key, value, **more):
        self[key] = value


def _kill(operator, when):
    while not when():
        time.sleep(0.2)
    operator.on_kill()


def _run(make, try_number=1, run_id="run"):
    """A task, as worker and triggerer carry it out."""
    from airflow_lakehouse_provider._airflow.compat import TaskDeferred

    context = {"ti": _Pushed(), "params": {}, "run_id": run_id, "dag_run": None}
    context["ti"].try_number, context["ti"].run_id = try_number, run_id
    context["task_instance"] = context["ti"]
    try:
        return make().execute(context)
    except TaskDeferred as deferred:
        path, arguments = deferred.trigger.serialize()
        module, _, name = path.rpartition(".")
        trigger = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))

        async def first():
            async for event in trigger.run():
                return json.loads(json.dumps(event.payload))

        return getattr(make(), deferred.method_name)(context, event=asyncio.run(first()))
