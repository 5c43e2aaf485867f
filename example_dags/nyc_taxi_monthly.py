"""A month of New York's taxi trips: raw file -> clean -> catalogue -> dbt build -> dbt test -> publish.

Nobody reads a month before its tests have passed (docs/publishing.md).

Everything is named in lakehouse.yaml beside this file. The month is that of `year` and `month` among the run's
parameters (or its conf), else that of its data interval: scheduled runs and backfills need neither.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from pathlib import Path

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor
from airflow.timetables.interval import CronDataIntervalTimetable

try:
    from airflow.sdk import DAG, Param, TaskGroup
except ImportError:  # Airflow 2.10
    from airflow.models.dag import DAG
    from airflow.models.param import Param
    from airflow.utils.task_group import TaskGroup

from airflow_lakehouse_provider import (
    CrawlerCompletionSensor,
    DbtAthenaOperator,
    GlueMonthlyJobOperator,
    Lakehouse,
    gated_dbt,
)
from airflow_lakehouse_provider.operators.month_source import run_month

lakehouse = Lakehouse.load(Path(__file__).with_name("lakehouse.yaml"))


def log_failure(context):
    """Log the task, the run and what to do next. Replace it by a call of your pager."""
    task = context["ti"]
    logging.getLogger(__name__).error(
        "%s of %s, run %s, failed: %s. Remove the cause, then clear the task: the month is loaded again, once.",
        task.task_id,
        task.dag_id,
        context["run_id"],
        context.get("exception"),
    )


dbt = {
    "project": lakehouse.dbt.project,
    "dbt_executable": lakehouse.dbt.executable,
    "target": lakehouse.dbt.target,
    "threads": lakehouse.dbt.threads,
    "schema": lakehouse.databases.marts,
    "s3_staging_dir": f"{lakehouse.zones.results}/dbt/",
    "s3_data_dir": f"{lakehouse.zones.curated}/",
    "artifacts_uri": f"{lakehouse.zones.artifacts}/dbt",  # for the next try; objects of the results zone expire
    "work_group": lakehouse.athena.work_group,
    "aws_conn_id": lakehouse.dbt.aws_conn_id,
    "region_name": lakehouse.region,
    "glue_job_name": lakehouse.dbt.glue_job_name,
    "job_poll_interval": lakehouse.poll_seconds,
    "deferrable": lakehouse.dbt.runs_in == "glue",
    "vars": {
        "year": "{{ month().year }}",
        "month": "{{ month().month }}",
        "minimum_rows": "{{ params.minimum_rows }}",
        "cleaned_database": lakehouse.databases.cleaned,
        "production_schema": lakehouse.databases.marts,
        **lakehouse.gate.dbt_vars,
    },
}
MONTH = ["path:models/staging", "fct_trips+"]
OUTSIDE_THE_GATE = ["tag:outside_gate"]  # reports on the gate


def kept_nothing(loads):
    """Return True if none of the month's loads kept a row."""
    return sum(load["report"]["rows_kept"] for load in loads) == 0


with DAG(
    dag_id="nyc_taxi_monthly",
    description="Clean, catalogue, model and test a month of taxi trips",
    # Not "@monthly": on Airflow 3 its runs have no data interval, on Airflow 2 the month before.
    schedule=CronDataIntervalTimetable(lakehouse.schedule.cron, lakehouse.schedule.timezone),
    start_date=lakehouse.schedule.start.start,
    catchup=lakehouse.schedule.catchup,
    max_active_runs=4,
    params={
        "year": Param(
            None, type=["null", "integer"], minimum=2009, maximum=2099, title="Year (empty: the data interval's)"
        ),
        "month": Param(
            None, type=["null", "integer"], minimum=1, maximum=12, title="Month, 1 to 12 (empty: the data interval's)"
        ),
        "minimum_rows": Param(1, type="integer", minimum=0, title="Least number of trips that passes the tests"),
        "accept": Param("", type="string", title="Tests that may fail this once, with spaces between"),
        "reason": Param("", type="string", title="Why they may fail"),
        "accepted_by": Param("", type="string", title="Who decided so"),
    },
    default_args={
        "retries": lakehouse.schedule.retries,
        "retry_delay": timedelta(minutes=5),
        "on_failure_callback": log_failure,
    },
    user_defined_macros={"month": run_month, "raw_uri": lakehouse.raw_uri, "kept_nothing": kept_nothing},
    tags=["lakehouse"],
    doc_md=__doc__,
) as dag:
    loads = []
    for service in lakehouse.services:
        with TaskGroup(service):
            raw_uri = f"{{{{ raw_uri('{service}', month()) }}}}"
            raw_file = S3KeySensor(
                task_id="raw_file",
                bucket_key=raw_uri,
                poke_interval=lakehouse.poll_seconds,
                timeout=timedelta(days=3).total_seconds(),
                deferrable=True,
            )
            clean = GlueMonthlyJobOperator(
                task_id="clean",
                job_name=lakehouse.glue.job,
                unit_args=("--service",),
                script_args={
                    "--service": service,
                    "--raw_uri": raw_uri,
                    "--cleaned_uri": lakehouse.zones.cleaned,
                    "--report_uri": f"{lakehouse.zones.artifacts}/reports/{service}/{{{{ run_id }}}}.json",
                },
                region_name=lakehouse.region,
                job_poll_interval=lakehouse.poll_seconds,
                deferrable=True,
            )
            raw_file >> clean
            loads.append(clean)

    catalogue = CrawlerCompletionSensor(
        task_id="catalogue",
        crawler_name=lakehouse.glue.crawler,
        since=[load.output["completed_on"] for load in loads],
        region_name=lakehouse.region,
        poke_interval=lakehouse.poll_seconds,
        timeout=timedelta(hours=2).total_seconds(),
        deferrable=True,
    )
    # Seeds and dimensions: built, tested and published when the project changes, and once a month.
    reference = gated_dbt(
        group_id="reference",
        unit="reference",
        fence=lakehouse.dbt.fence,
        skip_unchanged_days=31,
        select=["resource_type:seed", "dim_*"],
        # Not the tests of facts against dimensions: these belong to the month.
        test={"flags": ["--exclude-resource-type", "unit_test", "--indirect-selection", "cautious"]},
        publish={"aws_conn_id": lakehouse.dbt.connection},
        **dbt,
    )
    cleaned = [load.task_id for load in loads]
    month = gated_dbt(
        group_id="month",
        prefix_group_id=False,
        unit="{{ month() }}",
        partitions="year = {{ month().year }} and month = {{ month().month }}",
        fence=lakehouse.dbt.fence,
        direct=OUTSIDE_THE_GATE,
        empty=f"{{{{ kept_nothing(ti.xcom_pull(task_ids={cleaned})) }}}}",
        accept="{{ params.accept }}",
        reason="{{ params.reason }}",
        accepted_by="{{ params.accepted_by }}",
        build={"trigger_rule": "none_failed"},
        select=MONTH,
        test={"exclude": OUTSIDE_THE_GATE},
        publish={"aws_conn_id": lakehouse.dbt.connection},
        **dbt,
    )

    # A view over load_audit, the facts and the records of publications: it says which load is public and which waits.
    quality = DbtAthenaOperator(task_id="load_quality", command="build", select=OUTSIDE_THE_GATE, **dbt)

    loads >> catalogue >> reference >> month >> quality
