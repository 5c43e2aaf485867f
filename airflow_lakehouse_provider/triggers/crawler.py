"""A trigger that waits for the crawl that covers a load."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from airflow_lakehouse_provider.aws import crawls
from airflow_lakehouse_provider.aws.watching import CrawlSource
from airflow_lakehouse_provider.triggers.base import WaitTrigger
from airflow_lakehouse_provider.triggers.events import CrawlEnded, CrawlWait, DeadlineReached, Event


class CrawlTrigger(WaitTrigger):
    """Wait for the end of the crawl that covers a load.

    :param search: a crawls.Search as a dictionary
    :param longest: the poll interval doubles with every poll up to so many seconds; None keeps it as it is
    :param common: the arguments of WaitTrigger
    """

    def __init__(self, *, search: dict[str, Any], longest: float | None = None, **common: Any) -> None:
        super().__init__(**common)
        self.search = crawls.Search(**search)
        self.longest = longest

    def own_arguments(self) -> dict[str, Any]:
        return {"search": self.search.as_dict(), "longest": self.longest}

    def waiting(self) -> CrawlWait:
        return CrawlWait(self.search)

    async def watch(self) -> Event:
        name, question = self.search.crawler_name, self.search
        poller = self.poller(("crawler", name), lambda: CrawlSource(name))
        async with aclosing(self.answers(poller, lambda _: question, self.longest)) as answers:
            async for decision in answers:
                self.log.info("%s", decision.message)
                self.search = decision.search
                if decision.ended:
                    return CrawlEnded(self.waiting(), decision.crawl)
        return DeadlineReached(self.waiting())
