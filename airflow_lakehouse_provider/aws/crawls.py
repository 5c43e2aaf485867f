"""The search for the crawl that covers a load, and what to do while there is none: join, wait for, or start a crawl.

A crawl covers a load if it started at or after the load's end. ListCrawls gives the crawls: GetCrawler's `LastCrawl`
can describe an earlier one, and StartCrawler returns no id.
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


class CrawlState(NamedTuple):
    """The meaning of a crawl's state."""

    ended: bool
    succeeded: bool = False


# The states of ListCrawls; GetCrawler's State and LastCrawl's Status have other values.
STATES = {
    "RUNNING": CrawlState(ended=False),
    "COMPLETED": CrawlState(ended=True, succeeded=True),
    "FAILED": CrawlState(ended=True),
    "STOPPED": CrawlState(ended=True),
}
_UNKNOWN = CrawlState(ended=False)


@dataclass(frozen=True)
class Crawl:
    """A crawl as ListCrawls returns it, in plain JSON types; times are ISO 8601 in UTC."""

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
    def from_api(cls, crawler_name: str, crawl: Mapping[str, Any]) -> Crawl:
        """Return the crawl of an entry of ListCrawls."""
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
        """Return what the sensor returns."""
        names = ("crawler_name", "crawl_id", "state", "started_on", "completed_on", "summary", "dpu_hours")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Search:
    """A search for a crawl that covers a load: its state between polls, in plain JSON types.

    :ivar since: the load's end, ISO 8601; None until the first poll, which takes ``began``
    :ivar may_start: whether a crawl may be started when none covers the load
    :ivar began: the beginning of this try, AWS's time; a crawl that failed before it does not count, as a retry starts
        another
    :ivar looking_for: seconds since this try began, by any clock; the first poll computes ``began`` from it
    :ivar asked_after: set once AWS accepted the search's StartCrawler: the start of the newest crawl known then, "" if
        there was none. A crawl that started later is the search's own, and covers the load however AWS rounds times.
    """

    crawler_name: str
    since: str | None = None
    may_start: bool = True
    began: str | None = None
    looking_for: float = 0.0
    asked_after: str | None = None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class CrawlDecision(NamedTuple):
    """The decision of one poll of a crawler.

    :ivar search: the search with its new state
    :ivar crawl: the crawl that covers the load, ended or not; None while there is none
    :ivar message: the decision and its reason, a sentence for the log
    :ivar start: a crawl is to be started
    """

    search: Search
    crawl: Crawl | None
    message: str
    start: bool = False

    @property
    def ended(self) -> bool:
        return self.crawl is not None and self.crawl.ended


class CrawlerStatus(NamedTuple):
    """A crawler at one moment.

    :ivar ready: it can be started
    :ivar crawls: its newest crawls
    :ivar now: the time at AWS
    """

    ready: bool
    crawls: list[Crawl]
    now: datetime


def advance(client: Any, search: Search) -> CrawlDecision:
    """Poll the crawler once, and start it if no crawl covers the load or may come to.

    :param client: a boto3 client of Glue
    :raises errors.NotFound: there is no such crawler
    :raises errors.AwsFailure: AWS refuses a call; transient errors are raised unchanged
    """
    return advance_all(client, search.crawler_name, [search])[0]


def advance_all(client: Any, crawler_name: str, searches: Sequence[Search]) -> list[CrawlDecision]:
    """Do the same for all searches of one crawler: one poll, and at most one start, which serves all of them."""
    earliest = min((times.moment(search.since) for search in searches if search.since), default=None)
    status = _status(client, crawler_name, earliest)
    decisions = [decide(search, status) for search in searches]
    if not any(decision.start for decision in decisions):
        return decisions
    newest = max(status.crawls, key=lambda crawl: crawl.started, default=None)
    started = _start(client, crawler_name)
    asked_after = (newest.started_on if newest else "") if started else None
    outcome = "started one" if started else "another start came first"
    return [
        CrawlDecision(
            replace(decision.search, asked_after=asked_after),
            None,
            f"No crawl of {crawler_name} has started since {decision.search.since}: {outcome}.",
        )
        if decision.start
        else decision
        for decision in decisions
    ]


def decide(search: Search, status: CrawlerStatus) -> CrawlDecision:
    """Return what a search is to do, given the crawler's status; calls no AWS."""
    name = search.crawler_name
    began = search.began or times.text(status.now - timedelta(seconds=search.looking_for))
    search = replace(search, since=search.since or began, began=began)
    if crawl := _covering(search, status.crawls):
        return CrawlDecision(
            search, crawl, f"Crawl {crawl.crawl_id} of {name} started at {crawl.started_on}: {crawl.state}."
        )
    if times.moment(search.since or "") > status.now:
        return CrawlDecision(search, None, f"It is not yet {search.since} at AWS, so that no crawl can cover the load.")
    if not status.ready or any(not crawl.ended for crawl in status.crawls):
        return CrawlDecision(
            search, None, f"{name} runs a crawl that started before {search.since}; waiting for its end."
        )
    if not search.may_start:
        return CrawlDecision(search, None, f"No crawl of {name} has started since {search.since}; waiting for one.")
    if search.asked_after is not None:
        return CrawlDecision(search, None, f"{name} was started; its crawl is not listed yet.")
    return CrawlDecision(search, None, f"No crawl of {name} has started since {search.since}.", start=True)


def _status(client: Any, name: str, since: datetime | None) -> CrawlerStatus:
    """Return the crawler's status.

    :param since: earlier crawls need not be listed; None for the present time at AWS
    """
    region = client.meta.region_name
    try:
        answer = client.get_crawler(Name=name)
        now = times.clock(answer)
        ready = answer["Crawler"].get("State", READY) == READY
        return CrawlerStatus(ready, list(_crawls(client, name, since or now)), now)
    except Exception as error:
        if errors.is_transient(error):
            raise
        if errors.code(error) == errors.NOT_FOUND:
            raise errors.NotFound(
                f"Glue has no crawler {name!r} in {region}. Check crawler_name and region_name; "
                f"`aws glue list-crawlers --region {region}` lists the crawlers."
            ) from error
        raise errors.refusal(error, f"get the crawler {name!r} in {region}") from error


def failure(crawl: Crawl, *, region: str, partition: str) -> str:
    """Return the message about a crawl that ended without success, with links to the crawler and its log."""
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
    """Start the crawler; return False if it runs already: the next poll shows whether that crawl covers the load."""
    try:
        client.start_crawler(Name=name)
    except Exception as error:
        if errors.is_transient(error):
            raise
        if errors.code(error) == CRAWLER_RUNNING:
            return False
        raise errors.refusal(error, f"start the crawler {name!r} in {client.meta.region_name}") from error
    return True


def _covering(search: Search, crawls: Sequence[Crawl]) -> Crawl | None:
    """Return the first successful crawl that covers the load, else the newest that covers it; None if there is none."""
    covering = sorted((crawl for crawl in crawls if _covers(search, crawl)), key=lambda crawl: crawl.started)
    succeeded = [crawl for crawl in covering if crawl.succeeded]
    return succeeded[0] if succeeded else (covering[-1] if covering else None)


def _covers(search: Search, crawl: Crawl) -> bool:
    if search.asked_after is not None and (not search.asked_after or crawl.started > times.moment(search.asked_after)):
        return True
    if crawl.started < times.moment(search.since or ""):
        return False
    ended_before = (
        crawl.ended and crawl.completed_on and times.moment(crawl.completed_on) < times.moment(search.began or "")
    )
    # Where no other crawl may be started, a failure decides, whenever it happened.
    return crawl.succeeded or not (ended_before and search.may_start)


def _crawls(client: Any, name: str, since: datetime) -> Iterator[Crawl]:
    """Yield the crawls, newest first as AWS lists them, until a page ends before ``since``."""
    request: dict[str, Any] = {"CrawlerName": name, "MaxResults": 100}
    while True:
        answer = client.list_crawls(**request)
        page = [Crawl.from_api(name, crawl) for crawl in answer.get("Crawls") or ()]
        yield from page
        starts = [crawl.started for crawl in page]
        # The order is not documented: a page that is not newest first does not end the list.
        past = bool(starts) and starts == sorted(starts, reverse=True) and starts[-1] < since
        if past or not answer.get("NextToken"):
            return
        request["NextToken"] = answer["NextToken"]


def _parsed(summary: str | None) -> Any:
    try:
        return json.loads(summary) if summary else None
    except ValueError:
        return summary
