"""Put a former generation of a month back: trigger it with the month, and the generation if it is not the one before.

`lakehouse history` lists the generations. The marts go back; the cleaned zone does not: the month's own DAG run
publishes it again.
"""

from __future__ import annotations

from pathlib import Path

try:
    from airflow.sdk import DAG, Param
except ImportError:  # Airflow 2.10
    from airflow.models.dag import DAG
    from airflow.models.param import Param

from airflow_lakehouse_provider import Lakehouse, RollbackOperator

lakehouse = Lakehouse.load(Path(__file__).with_name("lakehouse.yaml"))

with DAG(
    dag_id="lakehouse_rollback",
    description="Put a former generation of a month back",
    schedule=None,
    params={
        "month": Param(type="string", pattern=r"^20\d\d-(0[1-9]|1[0-2])$", title="Month, such as 2024-05"),
        "generation": Param(
            None, type=["null", "integer"], minimum=0, title="Generation (empty: the one before; 0: before the first)"
        ),
    },
    render_template_as_native_obj=True,
    tags=["lakehouse"],
    doc_md=__doc__,
) as dag:
    RollbackOperator(
        task_id="rollback",
        unit="{{ params.month }}",
        to="{{ params.generation }}",
        s3_data_dir=lakehouse.zones.curated,
        aws_conn_id=lakehouse.dbt.connection,
        region_name=lakehouse.region,
    )
