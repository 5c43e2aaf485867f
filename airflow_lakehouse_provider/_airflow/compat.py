"""The differences between Airflow 2.10 and 3.x: each version's import paths and calls of what the package uses.

`airflow.providers.common.compat.sdk` would do this too, but MWAA's constraints for 2.10 and 3.0 pin a
common-compat that does not have it yet.
"""

from __future__ import annotations

import importlib
from datetime import datetime, tzinfo
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # as Airflow 3 has them
    from airflow.sdk import BaseOperator, BaseOperatorLink, BaseSensorOperator, PokeReturnValue, TaskGroup, timezone
    from airflow.sdk import Context as Context
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowSensorTimeout,
        AirflowSkipException,
        AirflowTaskTimeout,
        TaskDeferred,
    )
    from airflow.triggers.base import BaseTrigger, TriggerEvent

    AIRFLOW_3 = True
else:
    try:  # 3.2 and later; elsewhere the old place, which later warns of itself
        from airflow.sdk.exceptions import (
            AirflowException,
            AirflowFailException,
            AirflowSensorTimeout,
            AirflowSkipException,
            AirflowTaskTimeout,
            TaskDeferred,
        )
    except ImportError:
        from airflow.exceptions import (
            AirflowException,
            AirflowFailException,
            AirflowSensorTimeout,
            AirflowSkipException,
            AirflowTaskTimeout,
            TaskDeferred,
        )
    from airflow.triggers.base import BaseTrigger, TriggerEvent

    try:
        from airflow.sdk import (
            BaseOperator,
            BaseOperatorLink,
            BaseSensorOperator,
            PokeReturnValue,
            TaskGroup,
            timezone,
        )

        AIRFLOW_3 = True
    except ImportError:
        from airflow.models.baseoperator import BaseOperator
        from airflow.models.baseoperatorlink import BaseOperatorLink
        from airflow.sensors.base import BaseSensorOperator, PokeReturnValue
        from airflow.utils import timezone
        from airflow.utils.task_group import TaskGroup

        AIRFLOW_3 = False

    try:  # 3.2 and later
        from airflow.sdk.configuration import conf
    except ImportError:
        from airflow.configuration import conf

__all__ = [
    "AIRFLOW_3",
    "AirflowException",
    "AirflowFailException",
    "AirflowSensorTimeout",
    "AirflowSkipException",
    "AirflowTaskTimeout",
    "BaseOperator",
    "BaseOperatorLink",
    "BaseSensorOperator",
    "BaseTrigger",
    "PokeReturnValue",
    "TaskDeferred",
    "TaskGroup",
    "TriggerEvent",
    "current_context",
    "default_deferrable",
    "first_poke_began",
    "publish_event",
    "pushed_value",
    "timetable_name",
    "timetable_zone",
    "timezone",
]


def default_deferrable() -> bool:
    """Return Airflow's setting `[operators] default_deferrable`."""
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def timetable_name(dag: Any) -> str:
    """Return a name of the DAG's timetable for messages: its class and, where it has one, its expression."""
    timetable = getattr(dag, "timetable", None)
    if timetable is None:
        return "no timetable"
    summary = getattr(timetable, "_expression", None) or getattr(timetable, "expression", None)
    name = type(timetable).__name__
    return f"{name}({summary!r})" if isinstance(summary, str) else name


def timetable_zone(dag: Any) -> tzinfo:
    """Return the time zone of the DAG's timetable, in which its intervals begin on the first of a month."""
    timetable = getattr(dag, "timetable", None)
    for holder, name in ((timetable, "_timezone"), (timetable, "timezone"), (dag, "timezone")):
        zone = getattr(holder, name, None)
        if isinstance(zone, str):
            import pendulum

            zone = pendulum.timezone(zone)
        if isinstance(zone, tzinfo):
            return zone
    utc: tzinfo = timezone.utc
    return utc


def first_poke_began(context: Any) -> datetime | None:
    """Return the time of this try's first poke of a sensor in `mode="reschedule"`; None at the first poke itself."""
    ti = context["ti"]
    if AIRFLOW_3:
        found = ti.get_first_reschedule_date(context)
    else:
        from airflow.sensors.base import _orig_start_date

        found = _orig_start_date(
            dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=ti.map_index, try_number=ti.try_number
        )
    return found if isinstance(found, datetime) else None


def pushed_value(ti_key: Any, key: str) -> Any:
    """Return an XCom value of a task instance, for links; None where there is none."""
    if AIRFLOW_3:
        from airflow.sdk.execution_time.xcom import XCom

        return XCom.get_value(ti_key=ti_key, key=key)
    from airflow.models.xcom import XCom as StoredXCom

    return StoredXCom.get_value(ti_key=ti_key, key=key)


def current_context() -> Any:
    """Return the context of the task that this process runs; None where it runs none."""
    try:
        home = importlib.import_module("airflow.sdk" if AIRFLOW_3 else "airflow.operators.python")
        return home.get_current_context()
    except Exception:
        return None


def publish_event(operator: Any, context: Any, extra: dict[str, Any]) -> None:
    """Have the events of the task's outlets (assets; datasets on Airflow 2) carry ``extra``."""
    events = context.get("outlet_events")
    if events is None:
        return
    for outlet in getattr(operator, "outlets", None) or ():
        if getattr(outlet, "uri", None):  # an alias has none, and no event of its own
            events[outlet].extra = {**(events[outlet].extra or {}), **extra}
