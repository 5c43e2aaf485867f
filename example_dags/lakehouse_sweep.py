"""Remove, each night, audit schemas and files of old generations that nobody needs (docs/publishing.md)."""

from __future__ import annotations

from pathlib import Path

try:
    from airflow.sdk import DAG
except ImportError:  # Airflow 2.10
    from airflow.models.dag import DAG

from airflow_lakehouse_provider import Lakehouse, SweepOperator

lakehouse = Lakehouse.load(Path(__file__).with_name("lakehouse.yaml"))

with DAG(
    dag_id="lakehouse_sweep",
    description="Remove audit schemas and files of old generations",
    schedule="0 3 * * *",
    start_date=lakehouse.schedule.start.start,
    catchup=False,
    max_active_runs=1,
    tags=["lakehouse"],
    doc_md=__doc__,
) as dag:
    SweepOperator(
        task_id="sweep",
        schemas=[lakehouse.databases.marts],
        s3_data_dir=lakehouse.zones.curated,
        aws_conn_id=lakehouse.dbt.connection,
        region_name=lakehouse.region,
    )
