"""The month of a task: from its own arguments, the DAG run's params or conf, or the data interval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jinja2 import pass_context

from airflow_lakehouse_provider._airflow.compat import timetable_name, timetable_zone
from airflow_lakehouse_provider.month import Month

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context

# The values to which a template of an absent value renders.
ABSENT = (None, "", "None", "null")


def month_of(context: Context, year: Any, month: Any) -> tuple[Month, str]:
    """Return the task's month and, for the log, its source.

    The sources are, in this order, the operator's `year` and `month`, the DAG run's params, its conf, and the start of
    the data interval in the timetable's own time zone. The first that has a year or a month must have both.

    :param year: the operator's argument, as its template rendered
    :param month: likewise
    :raises ValueError: naming the source and the problem
    """
    run = context.get("dag_run")
    sources = (
        ("the operator's year and month", {"year": year, "month": month}),
        ("the run's params", context.get("params") or {}),
        ("the run's conf", getattr(run, "conf", None) or {}),
    )
    for source, values in sources:
        if found := _given(source, values):
            return found, source
    return _from_interval(context)


def _given(source: str, values: Mapping[str, Any]) -> Month | None:
    given: dict[str, Any] = {key: values.get(key) for key in ("year", "month")}
    absent = [key for key, value in given.items() if value in ABSENT]
    if len(absent) == 2:
        return None
    if absent:
        raise ValueError(f"{source}: {absent[0]} is missing; give both year and month, or neither ({given})")
    try:
        return Month.of(given["year"], given["month"])
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from None


def _from_interval(context: Context) -> tuple[Month, str]:
    start, end = context.get("data_interval_start"), context.get("data_interval_end")
    name = timetable_name(context.get("dag"))
    if start is None or end is None or start >= end:
        problem = "absent" if start is None or end is None else "empty"
        raise ValueError(
            f"no month: year and month are not given, and this run's data interval is {problem} (its timetable: {name})"
            ". Give year and month, or schedule the DAG with CronDataIntervalTimetable."
        )
    # In UTC, a month of a timetable east of Greenwich begins on the last day of the month before.
    local = start.astimezone(timetable_zone(context.get("dag")))
    return Month.of(local.year, local.month), f"the data interval's start, {local.isoformat()} ({name})"


@pass_context
def run_month(context: Any) -> Month:
    """Return the run's month by the operators' own rule; a Jinja function for templates.

    ``DAG(user_defined_macros={"month": run_month})`` makes ``{{ month().year_text }}`` and ``{{ month() }}`` available.
    """
    return month_of(context, None, None)[0]
