"""The events with which a trigger gives a task back to its operator, and the version of what is in flight.

A trigger's arguments and its event wait in Airflow's database, while the provider may be upgraded; both carry
``version``, and another version is refused with a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_lakehouse_provider.aws.crawls import Crawl, Search
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.start_once import StartState
from airflow_lakehouse_provider.errors import LakehouseError

VERSION = 1


class EventError(LakehouseError):
    """A deferred task cannot go on with what its trigger was given or returned; a retry of the task can."""


@dataclass(frozen=True)
class RunWait:
    """A wait for the end of a job run.

    :ivar carried: what the operator needs when it resumes
    """

    job_name: str
    run_id: str
    carried: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"job_name": self.job_name, "run_id": self.run_id, "carried": self.carried}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RunWait:
        return cls(values["job_name"], values["run_id"], values["carried"])


@dataclass(frozen=True)
class TurnWait:
    """A wait for the turn of a task that wants to start a run.

    :ivar state: the state of the try at the last poll
    :ivar deadline: of the task, epoch seconds
    """

    job_name: str
    state: StartState
    deadline: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return {"job_name": self.job_name, "state": self.state.as_dict(), "deadline": self.deadline}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> TurnWait:
        return cls(values["job_name"], StartState(**values["state"]), values["deadline"])


@dataclass(frozen=True)
class CrawlWait:
    """A wait for the crawl that covers a load.

    :ivar search: the state of the search at the last poll
    """

    search: Search

    def as_dict(self) -> dict[str, Any]:
        return {"search": self.search.as_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> CrawlWait:
        return cls(Search(**values["search"]))


Wait = RunWait | TurnWait | CrawlWait


@dataclass(frozen=True)
class RunEnded:
    """The job run has ended."""

    wait: RunWait
    run: JobRun


@dataclass(frozen=True)
class TurnReady:
    """The task may start a run, take its own, or has runs to stop first."""

    wait: TurnWait


@dataclass(frozen=True)
class CrawlEnded:
    """The crawl that covers the load has ended."""

    wait: CrawlWait
    crawl: Crawl


@dataclass(frozen=True)
class DeadlineReached:
    """The deadline came before the end of the wait."""

    wait: Wait


@dataclass(frozen=True)
class WaitFailed:
    """The wait cannot go on.

    :ivar wait: None where the trigger could not read its arguments
    :ivar message: the reason, in a sentence
    """

    wait: Wait | None
    message: str


Event = RunEnded | TurnReady | CrawlEnded | DeadlineReached | WaitFailed

_WAITS: dict[str, type[Wait]] = {"run": RunWait, "turn": TurnWait, "crawl": CrawlWait}
_NAMES = {wait: name for name, wait in _WAITS.items()}


def as_dict(event: Event) -> dict[str, Any]:
    """Return an event in plain JSON types, as it travels through Airflow's database."""
    values: dict[str, Any] = {"version": VERSION, "wait": None}
    if event.wait is not None:
        values["wait"] = {"for": _NAMES[type(event.wait)], **event.wait.as_dict()}
    if isinstance(event, RunEnded):
        return {**values, "status": "ended", "run": event.run.as_dict()}
    if isinstance(event, CrawlEnded):
        return {**values, "status": "ended", "crawl": event.crawl.as_dict()}
    if isinstance(event, TurnReady):
        return {**values, "status": "turn"}
    if isinstance(event, DeadlineReached):
        return {**values, "status": "deadline"}
    return {**values, "status": "error", "message": event.message}


def parse(values: Mapping[str, Any] | None) -> Event:
    """Return the event that ``as_dict`` made these values of.

    :raises EventError: there is no event, or another version of the provider made it
    """
    if not values:
        raise EventError("The trigger ended without an event. Clear the task: its next try finds what was started.")
    if problem := version_problem(values, "The event of this deferred task"):
        raise EventError(problem)
    wait = _wait(values["wait"])
    status = values["status"]
    if status == "error":
        return WaitFailed(wait, values["message"])
    if status == "deadline" and wait is not None:
        return DeadlineReached(wait)
    if status == "turn" and isinstance(wait, TurnWait):
        return TurnReady(wait)
    if status == "ended" and isinstance(wait, RunWait):
        return RunEnded(wait, JobRun(**values["run"]))
    if status == "ended" and isinstance(wait, CrawlWait):
        return CrawlEnded(wait, Crawl(**values["crawl"]))
    raise EventError(f"The trigger returned an unknown event, {status!r}. Clear the task.")


def version_problem(values: Mapping[str, Any], subject: str) -> str:
    """Return why values in flight cannot be read, and what to do; "" if they can.

    :param values: a trigger's arguments, or an event
    :param subject: what they are, the beginning of the sentence
    """
    version = values.get("version")
    if version == VERSION:
        return ""
    if isinstance(version, int) and version > VERSION:
        return (
            f"{subject} was made by a newer version of airflow-lakehouse-provider (format {version}; this one reads "
            f"{VERSION}). Install that version for scheduler, workers and triggerer alike, then clear the task: its "
            "next try finds what was started."
        )
    return (
        f"{subject} was made by an older version of airflow-lakehouse-provider: clear the task; its next try finds "
        "what was started."
    )


def _wait(values: Mapping[str, Any] | None) -> Wait | None:
    return None if values is None else _WAITS[values["for"]].from_dict(values)
