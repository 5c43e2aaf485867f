"""Waits in the triggerer for the crawl that covers a load."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow_lakehouse_provider._compat import BaseTrigger, TriggerEvent
from airflow_lakehouse_provider._compat.connection import AwsConnection, in_thread
from airflow_lakehouse_provider.aws import crawls
from airflow_lakehouse_provider.aws.errors import AwsFailure
from airflow_lakehouse_provider.aws.polling import Look


class CrawlTrigger(BaseTrigger):
    """Yields one event: the crawl's end, the deadline, or why the wait cannot go on.

    :param search: a crawls.Search as a dictionary
    :param poll_interval: seconds between looks
    :param deadline: epoch seconds; None for no deadline
    :param aws_conn_id: and the rest: see AwsConnection
    :param retired: arguments of earlier versions, with which tasks may still be deferred
    """

    def __init__(
        self,
        *,
        search: dict[str, Any],
        poll_interval: float = 60,
        deadline: float | None = None,
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
        self.connection = AwsConnection(aws_conn_id, region_name, verify, botocore_config)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "airflow_lakehouse_provider.triggers.crawler.CrawlTrigger",
            {
                "search": self.search.as_dict(),
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                **self.connection.as_dict(),
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            event = await self._wait()
        except AwsFailure as error:
            event = {"status": "error", "message": str(error)}
        except Exception as error:  # an error that leaves the trigger reaches nobody but the triggerer's log
            self.log.exception("The wait for a crawl of %s broke", self.search.crawler_name)
            event = {"status": "error", "message": f"The wait broke: {type(error).__name__}: {error}"}
        told = {"search": self.search.as_dict(), **event}
        yield TriggerEvent(told)  # type: ignore[no-untyped-call]

    async def _wait(self) -> dict[str, Any]:
        client = await self.connection.client_from_loop("glue")
        look = Look(lambda: crawls.advance(client, self.search), lambda step: step.doing, self.log.info)
        while True:
            # First the pause: the operator has just looked. And an event that comes before the scheduler has seen the
            # deferred worker's end fails the task: Airflow takes that end for the resumed task's.
            left = self.poll_interval if self.deadline is None else self.deadline - time.time()
            await asyncio.sleep(max(0.0, min(self.poll_interval, left)))
            step = await in_thread(look)
            if step is not None:
                self.search = step.search
                if step.crawl is not None and step.ended:
                    return {"status": "ended", "crawl": step.crawl.as_dict()}
            if self.deadline is not None and time.time() >= self.deadline:
                return {"status": "deadline"}
