"""Which crawl covers a load, and what to do next when none does: join one, wait an older one out, or start one.

A crawl covers a load when it started at or after the load's end. Crawls are told apart by ListCrawls: GetCrawler's
`LastCrawl` can describe an earlier one, and StartCrawler returns no id.
https://docs.aws.amazon.com/glue/latest/dg/aws-glue-api-crawler-crawling.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from airflow_lakehouse_provider.aws import console, errors, times

CRAWLER_RUNNING = "CrawlerRunningException"
READY = "READY"
_LOG_GROUP = "/aws-glue/crawlers"


class State(NamedTuple):
    ended: bool
    succeeded: bool = False


# The states of ListCrawls; GetCrawler's State and LastCrawl's Status have other words.
STATES = {
    "RUNNING": State(ended=False),
    "COMPLETED": State(ended=True, succeeded=True),
    "FAILED": State(ended=True),
    "STOPPED": State(ended=True),
}
_UNKNOWN = State(ended=False)


@dataclass(frozen=True)
class Crawl:
    """A crawl as ListCrawls tells it, in plain JSON types; times are ISO 8601 in UTC."""

    crawler_name: str
    crawl_id: str
    state: str
    started_on: str
    completed_on: str | None = None
    error_message: str | None = None
    summary: Any = None
    dpu_hours: float | None = None
    log_group: str = _LOG_GROUP
    log_stream: str | None = None

    @classmethod
    def of(cls, crawler_name: str, crawl: Mapping[str, Any]) -> Crawl:
        return cls(
            crawler_name=crawler_name,
            crawl_id=crawl["CrawlId"],
            state=crawl["State"],
            started_on=times.text(crawl["StartTime"]) or "",
            completed_on=times.text(crawl.get("EndTime")),
            error_message=crawl.get("ErrorMessage"),
            summary=_parsed(crawl.get("Summary")),
            dpu_hours=crawl.get("DPUHour"),
            log_group=crawl.get("LogGroup") or _LOG_GROUP,
            log_stream=crawl.get("LogStream"),
        )

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def started(self) -> datetime:
        return times.moment(self.started_on)

    @property
    def ended(self) -> bool:
        return STATES.get(self.state, _UNKNOWN).ended

    @property
    def succeeded(self) -> bool:
        return STATES.get(self.state, _UNKNOWN).succeeded

    @property
    def result(self) -> dict[str, Any]:
        """What a sensor hands on."""
        names = ("crawler_name", "crawl_id", "state", "started_on", "completed_on", "summary", "dpu_hours")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Search:
    """A wait for a crawl that covers a load; what it has to remember between looks, in plain JSON types.

    :ivar since: when the load ended, ISO 8601; None until the first look, which takes ``began``
    :ivar may_start: whether a crawl may be started when none covers the load
    :ivar began: when this try began, AWS's time: a crawl that failed before is none of ours: a retry starts anew
    :ivar looking_for: seconds since this try began, by any clock; the first look makes ``began`` of it
    :ivar asked_after: once AWS accepted our StartCrawler: the start of the newest crawl known then, "" if none. A crawl
        that started later is ours, and covers whatever AWS's rounding of times makes of it.
    """

    crawler_name: str
    since: str | None = None
    may_start: bool = True
    began: str | None = None
    looking_for: float = 0.0
    asked_after: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Step(NamedTuple):
    """One look at a crawler.

    :ivar search: what to go on with
    :ivar crawl: the crawl that covers the load, if there is one; ended or not
    :ivar doing: what is being waited for, in a sentence for the log
    :ivar start: a crawl is to be started
    """

    search: Search
    crawl: Crawl | None
    doing: str
    start: bool = False

    @property
    def ended(self) -> bool:
        return self.crawl is not None and self.crawl.ended


class Sight(NamedTuple):
    """What one look showed: the crawler's state, its crawls, and the time at AWS."""

    ready: bool
    crawls: list[Crawl]
    now: datetime


def advance(client: Any, search: Search) -> Step:
    """Look at the crawler, and start it if that is what is left to do.

    :param client: a client of Glue
    :raises errors.NotFound: there is no such crawler
    :raises errors.AwsFailure: AWS refuses, and asking again does not help; what passes by itself is raised as is
    """
    return advance_all(client, search.crawler_name, [search])[0]


def advance_all(client: Any, crawler_name: str, searches: Sequence[Search]) -> list[Step]:
    """The same for all that wait for one crawler: one look, and at most one start, which serves all of them."""
    earliest = min((times.moment(search.since) for search in searches if search.since), default=None)
    sight = _look(client, crawler_name, earliest)
    steps = [decide(search, sight) for search in searches]
    if not any(step.start for step in steps):
        return steps
    newest = max(sight.crawls, key=lambda crawl: crawl.started, default=None)
    started = _start(client, crawler_name)
    asked_after = (newest.started_on if newest else "") if started else None
    said = "started one" if started else "somebody else was just quicker to start one"
    return [
        Step(
            replace(step.search, asked_after=asked_after),
            None,
            f"No crawl of {crawler_name} has started since {step.search.since}: {said}.",
        )
        if step.start
        else step
        for step in steps
    ]


def decide(search: Search, sight: Sight) -> Step:
    """What a look means to a search; asks AWS nothing."""
    name = search.crawler_name
    began = search.began or times.text(sight.now - timedelta(seconds=search.looking_for))
    search = replace(search, since=search.since or began, began=began)
    if crawl := _chosen(search, sight.crawls):
        return Step(search, crawl, f"Crawl {crawl.crawl_id} of {name} started at {crawl.started_on}: {crawl.state}.")
    if times.moment(search.since or "") > sight.now:
        return Step(search, None, f"AWS's clock has not reached {search.since} yet; no crawl can cover it.")
    if not sight.ready or any(not crawl.ended for crawl in sight.crawls):
        return Step(search, None, f"{name} runs a crawl that began before {search.since}; its end is waited for.")
    if not search.may_start:
        return Step(search, None, f"No crawl of {name} has started since {search.since}; one is waited for.")
    if search.asked_after is not None:
        return Step(search, None, f"{name} was asked to crawl; the crawl does not show yet.")
    return Step(search, None, f"No crawl of {name} has started since {search.since}.", start=True)


def _look(client: Any, name: str, since: datetime | None) -> Sight:
    """:param since: crawls that began before it are not asked for; None for this very moment at AWS"""
    region = client.meta.region_name
    try:
        answer = client.get_crawler(Name=name)
        now = times.clock(answer)
        ready = answer["Crawler"].get("State", READY) == READY
        return Sight(ready, list(_crawls(client, name, since or now)), now)
    except Exception as error:
        if errors.passes_by_itself(error):
            raise
        if errors.code(error) == errors.NOT_FOUND:
            raise errors.NotFound(
                f"Glue has no crawler {name!r} in {region}. Look at crawler_name and region_name; "
                f"`aws glue list-crawlers --region {region}` shows what there is."
            ) from error
        raise errors.refusal(error, f"look at the crawler {name!r} in {region}") from error


def failure(crawl: Crawl, *, region: str, partition: str) -> str:
    """What a person is told of a crawl that ended without success."""
    reason = crawl.error_message or "Glue gives no reason"
    stream = crawl.log_stream or crawl.crawler_name
    return "\n".join(
        (
            f"Crawl {crawl.crawl_id} of the crawler {crawl.crawler_name!r} ended {crawl.state}: {reason.strip()}",
            f"Crawler: {console.crawler(region, partition, crawl.crawler_name)}",
            f"Log: {console.log_stream(region, partition, crawl.log_group, stream)} (lines with {crawl.crawl_id})",
        )
    )


def _start(client: Any, name: str) -> bool:
    """Start the crawler; False when somebody else did: the next look says whether that crawl covers."""
    try:
        client.start_crawler(Name=name)
    except Exception as error:
        if errors.passes_by_itself(error):
            raise
        if errors.code(error) == CRAWLER_RUNNING:
            return False
        raise errors.refusal(error, f"start the crawler {name!r} in {client.meta.region_name}") from error
    return True


def _chosen(search: Search, crawls: Sequence[Crawl]) -> Crawl | None:
    """The crawl that decides: the first success of those that cover, else the newest of those that are to be judged."""
    covering = sorted((crawl for crawl in crawls if _covers(search, crawl)), key=lambda crawl: crawl.started)
    succeeded = [crawl for crawl in covering if crawl.succeeded]
    return succeeded[0] if succeeded else (covering[-1] if covering else None)


def _covers(search: Search, crawl: Crawl) -> bool:
    if search.asked_after is not None and (not search.asked_after or crawl.started > times.moment(search.asked_after)):
        return True
    if crawl.started < times.moment(search.since or ""):
        return False
    over_before = (
        crawl.ended and crawl.completed_on and times.moment(crawl.completed_on) < times.moment(search.began or "")
    )
    # Without leave to start another, a failure is the answer whenever it happened.
    return crawl.succeeded or not (over_before and search.may_start)


def _crawls(client: Any, name: str, since: datetime) -> Iterator[Crawl]:
    """The crawls that may matter: newest first as AWS lists them, until a page ends before ``since``."""
    request: dict[str, Any] = {"CrawlerName": name, "MaxResults": 100}
    while True:
        answer = client.list_crawls(**request)
        page = [Crawl.of(name, crawl) for crawl in answer.get("Crawls") or ()]
        yield from page
        starts = [crawl.started for crawl in page]
        # The order is not documented: a page that is not newest first is no reason to stop.
        past = bool(starts) and starts == sorted(starts, reverse=True) and starts[-1] < since
        if past or not answer.get("NextToken"):
            return
        request["NextToken"] = answer["NextToken"]


def _parsed(summary: str | None) -> Any:
    try:
        return json.loads(summary) if summary else None
    except ValueError:
        return summary
