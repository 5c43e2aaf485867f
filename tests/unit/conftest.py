"""A scripted AWS, and a task's way through Airflow without its database: for operators, sensors and triggers."""

from __future__ import annotations

import asyncio
import importlib
import io
import json
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest

NOW = datetime(2024, 2, 1, 3, 0, 0, tzinfo=timezone.utc)
META = SimpleNamespace(region_name="eu-west-1", partition="aws")


def aws_error(code: str, message: str = "as scripted", status: int = 400, operation: str = "Call") -> Exception:
    from botocore.exceptions import ClientError

    answer = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


def _next(script: list[Any]) -> Any:
    """Return the script's next line; its last one for ever."""
    item = script.pop(0) if len(script) > 1 else script[0]
    if isinstance(item, Exception):
        raise item
    return item


ACTIVE = ("STARTING", "RUNNING", "STOPPING", "WAITING")


class ScriptedGlue:
    """Glue: a job whose started runs go through ``states``, one a look, and a crawler with its crawls."""

    meta = META

    def __init__(self) -> None:
        self.job: dict[str, Any] = {"Name": "trips", "ExecutionProperty": {"MaxConcurrentRuns": 12}}
        self.runs: list[dict[str, Any]] = []
        self.started: list[dict[str, Any]] = []
        self.stopped: list[str] = []
        self.states: list[Any] = ["RUNNING", "SUCCEEDED"]
        self.run: dict[str, Any] = {}
        self.job_error: Exception | None = None
        self.start_errors: list[Exception] = []
        self.lost_replies: list[Exception] = []
        self.stop_answer: dict[str, Any] = {}
        self.on_look: Any = lambda: None
        self.now = NOW
        self.crawler: list[Any] = ["READY"]
        self.crawls: list[dict[str, Any]] = []
        self.crawler_starts = 0
        self.crawl_states: list[str] = ["RUNNING", "COMPLETED"]
        self.crawler_error: Exception | None = None
        self.page = 100
        self.pages = 0

    def get_job(self, *, JobName: str) -> dict[str, Any]:
        if self.job_error:
            raise self.job_error
        return {"Job": self.job}

    def start_job_run(self, **request: Any) -> dict[str, Any]:
        if self.start_errors:
            raise self.start_errors.pop(0)
        self.started.append(request)
        run = self.add_run(f"jr_{len(self.started)}", "STARTING", request["Arguments"])
        run["script"] = self.states
        if self.lost_replies:
            raise self.lost_replies.pop(0)
        return {"JobRunId": run["Id"]}

    def add_run(
        self, run_id: str, state: str, arguments: dict[str, str], start: datetime | None = None
    ) -> dict[str, Any]:
        run = {"JobName": "trips", "Id": run_id, "JobRunState": state, "StartedOn": start or self.now}
        run |= {"Arguments": arguments, "listed": 0}
        self.runs.insert(0, run)
        return run

    def _looked_at(self, run: dict[str, Any]) -> dict[str, Any]:
        if "script" in run and run["JobRunState"] in ACTIVE and run["Id"] not in self.stopped:
            run["JobRunState"] = _next(run["script"])
        if run["JobRunState"] not in ACTIVE:
            run.setdefault("CompletedOn", NOW + timedelta(minutes=3))
            run |= {"ExecutionTime": 180, "MaxCapacity": 2.0}
        return {**{key: value for key, value in run.items() if key not in ("script", "listed")}, **self.run}

    def get_job_run(self, *, JobName: str, RunId: str) -> dict[str, Any]:
        self.on_look()
        found = [run for run in self.runs if run["Id"] == RunId]
        if not found:
            raise aws_error("EntityNotFoundException", f"no run {RunId}")
        return {"JobRun": self._looked_at(found[0])}

    def get_job_runs(self, *, JobName: str, MaxResults: int, NextToken: str = "0") -> dict[str, Any]:
        shown = []
        for run in self.runs[int(NextToken) : int(NextToken) + MaxResults]:
            run["listed"] += 1
            # A run just started shows as it is to its starter, who looks once.
            shown.append(self._looked_at(run) if run["listed"] > 1 or "script" not in run else dict(run))
        more = {"NextToken": str(int(NextToken) + MaxResults)} if len(self.runs) > int(NextToken) + MaxResults else {}
        return {"JobRuns": shown, **more}

    def batch_stop_job_run(self, *, JobName: str, JobRunIds: list[str]) -> dict[str, Any]:
        self.stopped += JobRunIds
        for run in self.runs:
            if run["Id"] in JobRunIds and not self.stop_answer:
                run["JobRunState"] = "STOPPED"
        return self.stop_answer

    def get_crawler(self, *, Name: str) -> dict[str, Any]:
        state = _next(self.crawler)
        self.now += timedelta(seconds=10)
        for crawl in self.crawls:
            if crawl["State"] == "RUNNING" and crawl.get("script"):
                crawl["State"] = crawl["script"].pop(0)
                if crawl["State"] != "RUNNING":
                    crawl["EndTime"] = self.now
        date = self.now.strftime("%a, %d %b %Y %H:%M:%S GMT")
        return {"Crawler": {"Name": Name, "State": state}, "ResponseMetadata": {"HTTPHeaders": {"date": date}}}

    def list_crawls(self, *, CrawlerName: str, MaxResults: int, NextToken: str = "0") -> dict[str, Any]:
        self.pages += 1
        first = int(NextToken)
        newest_first = sorted(self.crawls, key=lambda crawl: crawl["StartTime"], reverse=True)
        more = {"NextToken": str(first + self.page)} if first + self.page < len(newest_first) else {}
        return {"Crawls": newest_first[first : first + self.page], **more}

    def start_crawler(self, *, Name: str) -> dict[str, Any]:
        if self.crawler_error:
            raise self.crawler_error
        self.crawler_starts += 1
        self.add_crawl(f"c{self.crawler_starts}", self.now, *self.crawl_states)
        return {}

    def add_crawl(self, crawl_id: str, start: datetime, *states: str, end: datetime | None = None) -> dict[str, Any]:
        crawl = {"CrawlId": crawl_id, "StartTime": start, "State": states[0], "script": list(states[1:])}
        crawl |= {"Summary": '{"tables": 1}', "DPUHour": 0.1, "LogGroup": "/aws-glue/crawlers", "LogStream": "nyc"}
        self.crawls.append(crawl | ({"EndTime": end} if end else {}))
        return self.crawls[-1]


class ScriptedAws:
    """The stand-in for AwsConnection's clients, which records its calls."""

    def __init__(self) -> None:
        self.glue = ScriptedGlue()
        self.asked: list[tuple[str, bool]] = []
        self.objects: dict[str, bytes] = {}
        self.log: list[str] | Exception = []
        self.log_asked: dict[str, Any] = {}
        self.connections: list[Any] = []

    def client(self, connection: Any, service: str, *, resend: bool = True, timeout: float | None = None) -> Any:
        self.connections.append(connection)
        self.asked.append((service, resend))
        return {
            "glue": self.glue,
            "logs": SimpleNamespace(get_log_events=self._log),
            "s3": SimpleNamespace(get_object=self._object),
        }[service]

    def _log(self, **request: Any) -> dict[str, Any]:
        self.log_asked = request
        if isinstance(self.log, Exception):
            raise self.log
        return {"events": [{"message": line} for line in self.log]}

    def _object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.objects[f"s3://{Bucket}/{Key}"])}


def task_instance(**changes: Any) -> SimpleNamespace:
    names = {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1, "try_number": 1, "max_tries": 2}
    return SimpleNamespace(**{"xcom_push": lambda key, value: None, **names, **changes})


def dag_run(**changes: Any) -> SimpleNamespace:
    return SimpleNamespace(**{"start_date": NOW - timedelta(hours=1), "conf": {}, "run_id": "r", **changes})


class Task:
    """One try of a task: `run` is its result, whether it defers or not; what went through the triggerer is kept."""

    def __init__(self, make: Any, **context: Any) -> None:
        self.make = make
        self.pushed: dict[str, Any] = {}
        ti = task_instance(xcom_push=lambda key, value: self.pushed.__setitem__(key, value))
        self.context: dict[str, Any] = {"ti": ti, "params": {}, "dag_run": dag_run(), **context}
        self.trigger: tuple[str, dict[str, Any]] | None = None
        self.triggers: list[str] = []
        self.event: dict[str, Any] | None = None

    def run(self) -> Any:
        from airflow_lakehouse_provider._airflow.compat import TaskDeferred

        go_on = lambda: self.make().execute(self.context)  # noqa: E731
        while True:
            try:
                return go_on()
            except TaskDeferred as deferred:
                # A timeout of Airflow's would end the wait without coming back.
                assert deferred.timeout is None  # noqa: PT017
                path, arguments = deferred.trigger.serialize()
                self.trigger = path, json.loads(json.dumps(arguments))
                self.triggers.append(path.rpartition(".")[2])
                self.event = json.loads(json.dumps(asyncio.run(first_event(*self.trigger))))
                resumed = getattr(self.make(), deferred.method_name)
                go_on = lambda resumed=resumed: resumed(self.context, event=self.event)  # noqa: E731


async def first_event(path: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Return the event of a trigger that is made of its stored arguments; it must end after it."""
    module, _, name = path.rpartition(".")
    trigger = getattr(importlib.import_module(module), name)(**arguments)
    events = [event async for event in trigger.run()]
    assert len(events) == 1
    payload: dict[str, Any] = events[0].payload
    return payload


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> ScriptedAws:
    """Make every client that a connection gives this script's."""
    from airflow_lakehouse_provider._airflow.connection import AwsConnection

    scripted = ScriptedAws()
    monkeypatch.setattr("airflow_lakehouse_provider.triggers.base.HOLD", 0.0)
    monkeypatch.setattr(AwsConnection, "client", lambda self, service, **how: scripted.client(self, service, **how))
    return scripted


@pytest.fixture
def error() -> Any:
    """`error("ThrottlingException")`: an error as boto3 raises it."""
    return aws_error


@pytest.fixture
def task() -> type[Task]:
    """`task(lambda: AnOperator(...), params=...).run()`."""
    return Task


@pytest.fixture
def event_of() -> Any:
    """`event_of(path, arguments)`: the one event of a trigger."""
    return lambda path, arguments: asyncio.run(first_event(path, arguments))
