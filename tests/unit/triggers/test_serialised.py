"""The forms in which triggers and their events wait in Airflow's database: upgrades read those of today."""

from __future__ import annotations

import asyncio
import copy
import importlib
import json
import re

import pytest

pytest.importorskip("airflow")
from airflow_lakehouse_provider._airflow.compat import AirflowException
from airflow_lakehouse_provider.aws.crawls import Crawl, Search
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.start_once import StartState
from airflow_lakehouse_provider.operators.glue import GlueMonthlyJobOperator
from airflow_lakehouse_provider.sensors.crawler import CrawlerCompletionSensor
from airflow_lakehouse_provider.triggers import events
from airflow_lakehouse_provider.triggers.events import (
    CrawlEnded,
    CrawlWait,
    DeadlineReached,
    RunEnded,
    RunWait,
    TurnReady,
    TurnWait,
    WaitFailed,
)

COMMON = {
    "version": 1,
    "aws_conn_id": "aws_default",
    "region_name": "eu-west-1",
    "verify": None,
    "botocore_config": None,
}
RUN = (
    "airflow_lakehouse_provider.triggers.glue.GlueJobRunTrigger",
    {
        "job_name": "trips",
        "run_id": "jr_1",
        "poll_interval": 30,
        "deadline": 1706756400.5,
        "stop_on_kill": True,
        "carried": {"month": "2024-01", "report_uri": "s3://b/r", "own": True},
        **COMMON,
    },
)
TURN = (
    "airflow_lakehouse_provider.triggers.glue.GlueTurnTrigger",
    {
        "claim": {
            "job_name": "trips",
            "defaults": {"--service": "yellow"},
            "fixed": {},
            "most_runs": 2,
            "month_arguments": ["--YEAR", "--MONTH"],
            "values": [["--YEAR", "2024"], ["--MONTH", "01"], ["--service", "yellow"]],
            "key": "v1/d/t/r/2024-02-01T02%3A00%3A00%2B00%3A00/-1/2",
            "on_active_run": "wait",
        },
        "state": {"first_try": True, "passed": ["jr_0"], "lost_at": None, "refused_at": 1.5, "throttled": 1},
        "poll_interval": 30,
        "deadline": None,
        "stop_on_kill": True,
        **COMMON,
    },
)
CRAWL = (
    "airflow_lakehouse_provider.triggers.crawler.CrawlTrigger",
    {
        "search": {
            "crawler_name": "nyc",
            "since": "2024-02-01T02:30:00+00:00",
            "may_start": True,
            "began": None,
            "looking_for": 0.0,
            "asked_after": "",
        },
        "poll_interval": 60,
        "deadline": 1706756400.5,
        "longest": None,
        **COMMON,
    },
)
TODAY = pytest.mark.parametrize(("path", "arguments"), [RUN, TURN, CRAWL], ids=["run", "turn", "crawl"])


def made(path, arguments):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)(**arguments)


@TODAY
def test_a_trigger_is_what_was_stored_of_it(path, arguments):
    assert made(path, arguments).serialize() == (path, arguments)


@TODAY
def test_airflow_brings_it_through_its_database(path, arguments):
    from airflow.models.trigger import Trigger

    stored = Trigger.from_object(made(path, arguments))
    back = made(stored.classpath, dict(stored.kwargs))
    assert back.serialize() == (path, arguments)
    assert "eu-west-1" not in stored.encrypted_kwargs, "what a trigger carries is encrypted"


OTHER_VERSIONS = pytest.mark.parametrize(
    ("version", "sentence"),
    [
        (None, "made by an older version of airflow-lakehouse-provider: clear the task"),
        (0, "made by an older version of airflow-lakehouse-provider: clear the task"),
        (2, r"made by a newer version of airflow-lakehouse-provider \(format 2; this one reads 1\)\. Install"),
    ],
    ids=["none", "older", "newer"],
)


def of_version(version, values):
    return {name: value for name, value in values.items() if name != "version"} | (
        {} if version is None else {"version": version}
    )


@OTHER_VERSIONS
@TODAY
def test_arguments_of_another_version_end_the_wait_with_a_sentence(aws, event_of, path, arguments, version, sentence):
    stored = {**of_version(version, arguments), "an_argument_of_tomorrow": 5}
    assert made(path, stored).serialize() == (path, stored), "another triggerer may be able to read it"
    event = events.parse(event_of(path, stored))
    assert isinstance(event, WaitFailed)
    assert re.search(f"The trigger of this deferred task was {sentence}", event.message)


@TODAY
def test_an_argument_that_no_version_has_is_refused(path, arguments):
    with pytest.raises(TypeError, match="waiter_delay"):
        made(path, {**arguments, "waiter_delay": 5})


@TODAY
def test_a_trigger_can_be_copied(path, arguments):
    assert copy.copy(made(path, arguments)).serialize() == (path, arguments)


@TODAY
def test_an_event_is_plain_json(aws, path, arguments):
    if path.endswith("GlueJobRunTrigger"):
        aws.glue.add_run("jr_1", "SUCCEEDED", {})
    else:
        aws.glue.add_crawl("c", aws.glue.now, "COMPLETED", end=aws.glue.now)
    quick = {**arguments, "poll_interval": 0.01, "deadline": None}

    async def first():
        return [event.payload async for event in made(path, quick).run()]

    (payload,) = asyncio.run(first())
    assert json.loads(json.dumps(payload)) == payload
    assert payload["status"] in ("ended", "turn")


RUN_WAIT = RunWait("trips", "jr_1", {"month": "2024-01"})
TURN_WAIT = TurnWait("trips", StartState(first_try=False, passed=["jr_0"]), 1.5)
CRAWL_WAIT = CrawlWait(Search("nyc", since="2024-02-01T02:30:00+00:00"))
EVENTS = [
    RunEnded(RUN_WAIT, JobRun("trips", "jr_1", "SUCCEEDED", attempts=2)),
    TurnReady(TURN_WAIT),
    CrawlEnded(CRAWL_WAIT, Crawl("nyc", "c1", "COMPLETED", "2024-02-01T03:00:00+00:00", summary={"tables": 1})),
    *(DeadlineReached(wait) for wait in (RUN_WAIT, TURN_WAIT, CRAWL_WAIT)),
    *(WaitFailed(wait, "AWS says no.") for wait in (RUN_WAIT, TURN_WAIT, CRAWL_WAIT, None)),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: f"{type(event).__name__} {type(event.wait).__name__}")
def test_an_event_is_what_was_sent_of_it(event):
    assert events.parse(json.loads(json.dumps(events.as_dict(event)))) == event


@OTHER_VERSIONS
def test_an_event_of_another_version_is_refused(version, sentence):
    with pytest.raises(events.EventError, match=f"The event of this deferred task was {sentence}"):
        events.parse(of_version(version, events.as_dict(EVENTS[0])))


@pytest.mark.parametrize("values", [None, {}])
def test_a_missing_event_is_refused(values):
    with pytest.raises(events.EventError, match=r"ended without an event\. Clear the task"):
        events.parse(values)


@pytest.mark.parametrize("change", [{"status": "hope"}, {"status": "turn"}, {"wait": None}])
def test_an_unknown_event_is_refused(change):
    with pytest.raises(events.EventError, match="unknown event"):
        events.parse({**events.as_dict(EVENTS[0]), **change})


@pytest.mark.parametrize(
    "make",
    [
        lambda: GlueMonthlyJobOperator(task_id="clean", job_name="trips", year=2024, month=1),
        lambda: CrawlerCompletionSensor(task_id="catalogue", crawler_name="nyc"),
    ],
    ids=["job", "crawl"],
)
@pytest.mark.parametrize("event", [None, {"status": "ended", "run": {}}, {"version": 2, "status": "ended"}])
def test_an_operator_resumed_by_such_an_event_fails_with_its_sentence(aws, task, make, event):
    with pytest.raises(AirflowException, match=r"[Cc]lear the task"):
        make().execute_complete(task(make).context, event=event)


def test_a_task_that_an_older_version_deferred_fails_with_the_sentence_of_its_trigger(aws, task, event_of):
    path, arguments = RUN
    event = event_of(path, of_version(None, arguments))
    operator = GlueMonthlyJobOperator(task_id="clean", job_name="trips", year=2024, month=1)
    with pytest.raises(
        AirflowException, match=r"The wait for a run of trips failed: .* older version .* clear the task"
    ):
        operator.execute_complete(task(lambda: operator).context, event=event)
    assert aws.glue.stopped == aws.glue.started == []
