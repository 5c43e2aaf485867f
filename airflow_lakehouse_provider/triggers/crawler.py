"""Waits in the triggerer for the crawl that covers a load."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from airflow_lakehouse_provider._airflow.compat import BaseTrigger, TriggerEvent
from airflow_lakehouse_provider._airflow.connection import AwsConnection
from airflow_lakehouse_provider.aws import crawls
from airflow_lakehouse_provider.aws.watching import Crawls
from airflow_lakehouse_provider.triggers.shared import news, poller, told


class CrawlTrigger(BaseTrigger):
    """Yields one event: the crawl's end, the deadline, or why the wait cannot go on.

    :param search: a crawls.Search as a dictionary
    :param poll_interval: seconds between looks
    :param deadline: epoch seconds; None for no deadline
    :param longest: up to so many seconds the interval doubles with every look; None keeps it as it is
    :param aws_conn_id: and the rest: see AwsConnection
    :param retired: arguments of earlier versions, with which tasks may still be deferred
    """

    def __init__(
        self,
        *,
        search: dict[str, Any],
        poll_interval: float = 60,
        deadline: float | None = None,
        longest: float | None = None,
        aws_conn_id: str | None = None,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **retired: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.search = crawls.Search(**search)
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.longest = longest
        self.connection = AwsConnection(aws_conn_id, region_name, verify, botocore_config)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "airflow_lakehouse_provider.triggers.crawler.CrawlTrigger",
            {
                "search": self.search.as_dict(),
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "longest": self.longest,
                **self.connection.as_dict(),
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        event = await told(self, f"a crawl of {self.search.crawler_name}", {}, self._wait)
        event.payload["search"] = self.search.as_dict()
        yield event

    async def _wait(self) -> dict[str, Any]:
        name, question = self.search.crawler_name, self.search
        shared = poller(self.connection, ("crawler", name), lambda: Crawls(name))
        answers = news(shared, lambda _: question, self.poll_interval, self.deadline, self.log, self.longest)
        async with aclosing(answers):
            async for step in answers:
                self.log.info("%s", step.doing)
                self.search = step.search
                if step.ended:
                    return {"status": "ended", "crawl": step.crawl.as_dict()}
        return {"status": "deadline"}
