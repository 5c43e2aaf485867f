"""A month on what Terraform made: the operators, in this process, by the credentials of the environment."""

from __future__ import annotations

import asyncio
import functools
import importlib
import json
import os
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

DBT = os.environ.get("LAKEHOUSE_DBT_EXECUTABLE") or str(Path(__file__).parents[2] / ".venv-dbt/bin/dbt")
ROWS = 4000
# Airflow's connection of dbt, publisher and sweeper; what is published together
DBT_CONNECTION, UNIT = "aws_dbt", "2024-01"


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

    def beside(self, run_id="run", *, in_glue=False, keep_failures=False):
        """Build the month under the gate and test it; return the attempt's address."""
        place = self.dbt_in_glue if in_glue else functools.partial(self.dbt, aws_conn_id=DBT_CONNECTION)
        given = {"fence": self.lakehouse.dbt.fence_role, "selector": "gated_month", "run_id": run_id}
        flags = ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
        scope = "year = 2024 and month = 1"
        built = place("build", audit=UNIT, partitions=scope, flags=flags, **given)
        flags = ["--exclude-resource-type", "unit_test", *(["--store-failures"] if keep_failures else [])]
        place("test", audit=built["attempt"], flags=flags, **given)
        return built["attempt"]

    def publish(self, attempt):
        from airflow_lakehouse_provider import PublishOperator

        group = self.lakehouse.athena.work_group
        settings = {"work_group": group, "s3_staging_dir": f"{self.lakehouse.zones.results}/dbt/"}
        return self._publishing(PublishOperator, attempt=attempt, **settings)

    def rollback(self):
        from airflow_lakehouse_provider import RollbackOperator

        return self._publishing(RollbackOperator, unit=UNIT, s3_data_dir=self.lakehouse.zones.curated)

    def sweep(self, *, hours_later, **settings):
        """Sweep as SweepOperator does, so many hours later."""
        from airflow_lakehouse_provider._airflow.connection import AwsConnection
        from airflow_lakehouse_provider.publishing.names import Places
        from airflow_lakehouse_provider.publishing.sweep import Sweeper, SweepSettings

        glue, s3 = (AwsConnection(DBT_CONNECTION).client(service) for service in ("glue", "s3"))
        later = datetime.now(timezone.utc) + timedelta(hours=hours_later)
        wanted = SweepSettings((self.lakehouse.databases.marts,), **settings)
        return Sweeper(glue, s3, Places(self.lakehouse.zones.curated), wanted, log=print, now=later).sweep()

    def _publishing(self, operator, **arguments):
        return _run(lambda: operator(task_id="publishing", aws_conn_id=DBT_CONNECTION, **arguments))

    def _dbt(self, command, *, try_number=1, run_id="run", killed_when=None, before_resuming=None, **more):
        """Run dbt as a task does.

        :param killed_when: on_kill is called as soon as it says so
        :param before_resuming: of a deferred task: called when the triggerer's wait is over
        """
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

        built = _run(make, try_number, run_id, before_resuming)
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


def _run(make, try_number=1, run_id="run", before_resuming=None):
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

        event = asyncio.run(first())
        if before_resuming is not None:
            before_resuming()
        return getattr(make(), deferred.method_name)(context, event=event)
