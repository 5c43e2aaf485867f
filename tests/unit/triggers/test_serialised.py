"""The forms in which triggers wait in the database: an upgrade must still read those of today."""

from __future__ import annotations

import asyncio
import importlib
import json

import pytest

pytest.importorskip("airflow")

CONNECTION = {"aws_conn_id": "aws_default", "region_name": "eu-west-1", "verify": None, "botocore_config": None}
RUN = (
    "airflow_lakehouse_provider.triggers.glue.GlueJobRunTrigger",
    {
        "job_name": "trips",
        "run_id": "jr_1",
        "poll_interval": 30,
        "deadline": 1706756400.5,
        "stop_on_kill": True,
        "carried": {"year": 2024, "month": 1, "report_uri": "s3://b/r", "own": True},
        **CONNECTION,
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
        "memory": {"first_try": True, "passed": ["jr_0"], "lost_at": None, "refused_at": 1.5, "throttled": 1},
        "poll_interval": 30,
        "deadline": None,
        "stop_on_kill": True,
        **CONNECTION,
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
        **CONNECTION,
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


@TODAY
def test_arguments_of_earlier_versions_are_still_taken(path, arguments):
    assert made(path, {**arguments, "waiter_delay": 5, "verbose": True}).serialize() == (path, arguments)


@TODAY
def test_what_a_trigger_tells_is_plain_json(aws, path, arguments):
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
