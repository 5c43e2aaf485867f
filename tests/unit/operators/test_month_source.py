"""The source of a task's month, and that a schedule means the same month on every Airflow."""

from __future__ import annotations

from datetime import datetime, timezone
from types import SimpleNamespace

import pytest

pytest.importorskip("airflow")
from airflow_lakehouse_provider.month import Month
from airflow_lakehouse_provider.operators.month_source import month_of

NOTHING = {"year": None, "month": None}


def interval(start, end, timetable=None):
    dag = SimpleNamespace(timetable=timetable, timezone=timezone.utc)
    return {"dag": dag, "data_interval_start": start, "data_interval_end": end}


JANUARY = interval(datetime(2024, 1, 1, tzinfo=timezone.utc), datetime(2024, 2, 1, tzinfo=timezone.utc))


@pytest.mark.parametrize(
    ("own", "params", "conf", "month", "source"),
    [
        ((2023, 5), {"year": 2022, "month": 4}, {"year": 2021, "month": 3}, "2023-05", "operator"),
        ((None, None), {"year": 2022, "month": 4}, {"year": 2021, "month": 3}, "2022-04", "params"),
        ((None, None), NOTHING, {"year": "2021", "month": "03"}, "2021-03", "conf"),
        (("None", ""), NOTHING, NOTHING, "2024-01", "data interval"),
        ((None, None), {}, None, "2024-01", "data interval"),
    ],
)
def test_the_first_source_that_has_a_month_gives_it(own, params, conf, month, source):
    found, said = month_of({**JANUARY, "params": params, "dag_run": SimpleNamespace(conf=conf)}, *own)
    assert str(found) == month
    assert source in said


def test_half_a_month_is_not_completed_from_elsewhere():
    with pytest.raises(ValueError, match="the run's params: month is missing"):
        month_of({**JANUARY, "params": {"year": 2024, "month": None}}, None, None)


@pytest.mark.parametrize(
    ("context", "kind"),
    [
        ({}, "absent"),
        (interval(None, None), "absent"),
        (interval(datetime(2024, 1, 1, tzinfo=timezone.utc), datetime(2024, 1, 1, tzinfo=timezone.utc)), "empty"),
    ],
)
def test_no_month_is_invented(context, kind):
    with pytest.raises(ValueError, match=f"data interval is {kind}.*CronDataIntervalTimetable"):
        month_of(context, None, None)


def test_an_empty_interval_names_its_timetable():
    trigger = pytest.importorskip("airflow.timetables.trigger").CronTriggerTimetable("0 0 1 * *", timezone="UTC")
    moment = datetime(2024, 2, 1, tzinfo=timezone.utc)
    with pytest.raises(ValueError, match=r"CronTriggerTimetable\('0 0 1 \* \*'\)"):
        month_of(interval(moment, moment, trigger), None, None)


def timetables():
    from airflow.timetables.interval import CronDataIntervalTimetable

    yield "core", CronDataIntervalTimetable
    try:
        from airflow.sdk import CronDataIntervalTimetable as OfTheSdk
    except ImportError:
        return
    yield "sdk", OfTheSdk


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Tokyo", "Pacific/Auckland"])
@pytest.mark.parametrize("kind", [kind for _, kind in timetables()], ids=[name for name, _ in timetables()])
def test_a_schedule_gives_the_same_months_on_every_airflow(kind, zone):
    import pendulum
    from airflow.timetables.base import TimeRestriction
    from airflow.timetables.interval import CronDataIntervalTimetable

    core = CronDataIntervalTimetable("0 3 2 * *" if zone == "UTC" else "@monthly", timezone=pendulum.timezone(zone))
    seen = kind(core._expression, timezone=pendulum.timezone(zone))
    restriction = TimeRestriction(pendulum.datetime(2023, 11, 15, tz=zone), None, catchup=True)
    last, months = None, []
    for _ in range(8):
        info = core.next_dagrun_info(last_automated_data_interval=last, restriction=restriction)
        last = info.data_interval
        found, _ = month_of(interval(last.start, last.end, seen), None, None)
        months.append(found)
    assert months == Month.range(Month(2023, 12), Month(2024, 7))


def test_a_manual_run_of_the_schedule_takes_the_last_whole_month():
    import pendulum
    from airflow.timetables.interval import CronDataIntervalTimetable

    timetable = CronDataIntervalTimetable("@monthly", timezone=pendulum.timezone("Europe/Berlin"))
    found = timetable.infer_manual_data_interval(run_after=pendulum.datetime(2024, 2, 10))
    assert str(month_of(interval(found.start, found.end, timetable), None, None)[0]) == "2024-01"
