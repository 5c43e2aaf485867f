"""CrawlerCompletionSensor: a wait for a crawl that covers a load."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_lakehouse_provider._airflow.compat import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    default_deferrable,
    first_poke_began,
    timezone,
)
from airflow_lakehouse_provider._airflow.connection import AwsConnection
from airflow_lakehouse_provider.aws import crawls, times
from airflow_lakehouse_provider.aws.errors import AwsFailure, BadRequest
from airflow_lakehouse_provider.aws.polling import Poll
from airflow_lakehouse_provider.links import glue as links
from airflow_lakehouse_provider.links.console import store_addresses
from airflow_lakehouse_provider.sensors.since import resolved
from airflow_lakehouse_provider.triggers import base, events
from airflow_lakehouse_provider.triggers.crawler import CrawlTrigger
from airflow_lakehouse_provider.triggers.events import CrawlEnded, CrawlWait, DeadlineReached, EventError, WaitFailed

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context

START = ("if_needed", "never")


class CrawlerCompletionSensor(BaseSensorOperator):
    """Wait until a crawl that started at or after ``since`` has succeeded, and start one if there is none.

    A crawl that started earlier and still runs is waited for first. Several sensors of one crawler share a crawl. A
    crawl that covers the load and failed, or was stopped, fails the task; its retry starts another.

    Returns ``{crawler_name, crawl_id, state, started_on, completed_on, summary, dpu_hours}``.

    All arguments but the flags, ``poke_interval`` and ``timeout`` are templated.

    :param crawler_name: the Glue crawler
    :param since: the load's end: ISO 8601 text (UTC where it names no zone), a datetime, the result of a
        GlueMonthlyJobOperator (``clean.output``), or a list of these, whose latest counts. Default: the beginning of
        this try (in ``mode="reschedule"``: its first poll), so that a retry may cost one more crawl
    :param start: "if_needed", or "never" where something else starts the crawler
    :param poke_interval: seconds between polls
    :param timeout: seconds; as in every sensor, in the triggerer too
    :param aws_conn_id: Airflow connection for AWS; None for botocore's own chain of credentials
    :param region_name: AWS region; default: the connection's
    :param verify: whether TLS certificates are verified, or the path of a CA bundle; default: the
        connection's
    :param botocore_config: arguments of botocore's Config
    :param deferrable: whether the triggerer waits; default: ``[operators] default_deferrable``
    :raises AirflowFailException: (no retry) an argument cannot be used, or there is no such crawler
    :raises AirflowException: (retry) the crawl failed or was stopped
    :raises AirflowSensorTimeout: (no retry) no covering crawl ended in time
    """

    template_fields: Sequence[str] = (
        "crawler_name",
        "since",
        "start",
        "aws_conn_id",
        "region_name",
        "verify",
        "botocore_config",
    )
    operator_extra_links = (links.GlueCrawlerLink(),)
    ui_color = "#d9ecff"

    def __init__(
        self,
        *,
        crawler_name: str,
        since: str | datetime | Mapping[str, Any] | Iterable[Any] | None = None,
        start: str = "if_needed",
        poke_interval: timedelta | float = 60,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        self.crawler_name = crawler_name
        self.since = since
        self.start = start
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self._poll: Poll[crawls.CrawlDecision] | None = None
        self._search: crawls.Search | None = None
        self._client: Any = None

    def execute(self, context: Context) -> Any:
        if not self.deferrable:
            return super().execute(context)
        deadline = time.time() + self.timeout
        # The worker polls first: bad input shows at once, and most crawls are started here.
        done = self.poke(context)
        if done:
            return done.xcom_value
        if self._search is None:
            raise AirflowException("The crawler was not polled.")
        self.defer(
            trigger=CrawlTrigger(
                search=self._search.as_dict(),
                longest=self._longest_pause(),
                **base.arguments(self._connection, max(self.poke_interval, 0.01), deadline),
            ),
            method_name="execute_complete",
        )

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resume the task after its deferral."""
        try:
            found = events.parse(event)
        except EventError as error:
            self._fail(AirflowException(str(error)))
        if isinstance(found, DeadlineReached) and isinstance(found.wait, CrawlWait):
            search = found.wait.search
            since = f"since {search.since}" if search.since else "yet"
            self._fail(
                AirflowSensorTimeout(
                    f"No crawl of {search.crawler_name} that started {since} has ended within {self.timeout:g} s."
                )
            )
        if not isinstance(found, CrawlEnded):
            reason = found.message if isinstance(found, WaitFailed) else f"unexpected event {type(found).__name__}"
            self._fail(AirflowException(f"The wait for a crawl of {self.crawler_name} failed: {reason}"))
        self._connect(context, found.crawl.crawler_name)
        return self._outcome(found.crawl)

    def _longest_pause(self) -> float | None:
        """Return the longest poll interval with `exponential_backoff`: `max_wait`, or the timeout."""
        if not self.exponential_backoff:
            return None
        most = getattr(self, "max_wait", None)
        seconds = most.total_seconds() if isinstance(most, timedelta) else most
        return float(seconds) if seconds else float(self.timeout)

    def poke(self, context: Context) -> PokeReturnValue:
        if self._poll is None:
            self._begin(context)
        assert self._poll is not None
        try:
            decision = self._poll()
        except BadRequest as error:
            self._fail(AirflowFailException(str(error)))
        except AwsFailure as error:
            self._fail(AirflowException(str(error)))
        if decision is None:
            return PokeReturnValue(is_done=False)
        self._search = decision.search
        if decision.crawl is None or not decision.ended:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._outcome(decision.crawl))

    def _begin(self, context: Context) -> None:
        try:
            since = resolved(self.since)
            if self.start not in START:
                raise ValueError(f"start must be one of {', '.join(START)}, not {self.start!r}")
        except ValueError as error:
            self._fail(AirflowFailException(str(error)))
        self._connect(context, self.crawler_name)
        search = crawls.Search(self.crawler_name, since=times.text(since), may_start=self.start == "if_needed")
        if self.reschedule and not self.deferrable and (first := first_poke_began(context)) is not None:
            # The state of earlier polls is gone with their processes; the time of the first is known.
            search = replace(search, looking_for=max(0.0, (timezone.utcnow() - first).total_seconds()))
        self._search = search
        self._poll = Poll(
            lambda: crawls.advance(self._client, self._search or search),
            lambda decision: decision.message,
            self.log.info,
        )

    def _connect(self, context: Context, crawler_name: str) -> None:
        self._client = self._connection.client("glue")
        addresses = links.crawler_addresses(self._client, crawler_name)
        self.log.info("Crawler %s: %s", crawler_name, addresses[links.GlueCrawlerLink.key])
        store_addresses(self, context, addresses)

    def _outcome(self, crawl: crawls.Crawl) -> dict[str, Any]:
        if not crawl.succeeded:
            meta = self._client.meta
            self._fail(AirflowException(crawls.failure(crawl, region=meta.region_name, partition=meta.partition)))
        return crawl.result

    def _fail(self, error: AirflowException) -> NoReturn:
        """Raise an error, as a skip with `soft_fail` or `never_fail`, deferred or not."""
        if self.soft_fail or self.never_fail:
            raise AirflowSkipException(f"Skipped, as soft_fail or never_fail is on: {error}") from error
        raise error

    @property
    def _connection(self) -> AwsConnection:
        config = dict(self.botocore_config) if self.botocore_config else None
        return AwsConnection(self.aws_conn_id, self.region_name, self.verify, config)
