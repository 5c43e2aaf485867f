"""`lakehouse doctor` on a worker: run it after each deployment. It fails when a check fails; its log has the details.

The provider is imported when the task runs: MWAA only logs that an installation has failed, and this DAG then fails.
"""

from __future__ import annotations

import logging
from pathlib import Path

try:
    from airflow.sdk import DAG, Param, task
except ImportError:  # Airflow 2.10
    from airflow.decorators import task
    from airflow.models.dag import DAG
    from airflow.models.param import Param

with DAG(
    dag_id="lakehouse_self_check",
    description="Check the worker, AWS permissions and settings",
    schedule=None,
    params={
        "connection": Param("aws_default", type="string", title="Airflow connection of the tasks"),
        "dbt_connection": Param("aws_default", type="string", title="Airflow connection of dbt"),
    },
    tags=["lakehouse"],
    doc_md=__doc__,
) as dag:

    @task(retries=0)
    def check(params=None):
        """Run every check and log a line for each."""
        from airflow_lakehouse_provider.config import Lakehouse
        from airflow_lakehouse_provider.doctor import run

        lakehouse = Lakehouse.load(Path(__file__).with_name("lakehouse.yaml"))
        findings = run.run(lakehouse, airflow_connection=params["connection"], dbt_connection=params["dbt_connection"])
        log = logging.getLogger("lakehouse.self_check")
        for line in run.lines(findings):
            log.info(line)
        wrong = run.wrong(findings)
        if wrong:
            raise RuntimeError("; ".join(f"{each.what}: {each.found}. To do: {each.to_do}" for each in wrong))
        return f"{len(findings)} checked, none wrong"

    check()
