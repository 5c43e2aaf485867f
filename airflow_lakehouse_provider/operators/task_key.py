"""The run key of a task, from the operator's context."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_lakehouse_provider.aws import times
from airflow_lakehouse_provider.aws.run_key import RunKey

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context


def run_key(context: Context) -> RunKey:
    """Return the run key of the context's task instance."""
    ti, run = context["ti"], context.get("dag_run")
    started = getattr(run, "start_date", None)
    map_index = getattr(ti, "map_index", None)
    return RunKey(
        dag_id=ti.dag_id,
        task_id=ti.task_id,
        run_id=ti.run_id,
        run_started=times.text(started) or "",
        map_index=-1 if map_index is None else map_index,
        max_tries=int(getattr(ti, "max_tries", 0) or 0),
    )


def run_name(context: Context) -> str:
    """Return the DAG run as records name it, ``dag_id/run_id``; an empty text outside of one."""
    ti = context.get("ti") if context else None
    return f"{ti.dag_id}/{ti.run_id}" if ti is not None else ""


def is_first_try(context: Context) -> bool:
    """Return True if no earlier try of this DAG run can have started a job run, even if AWS has one of the same key."""
    return int(getattr(context["ti"], "try_number", 1) or 1) <= 1
