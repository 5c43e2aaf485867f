"""Buttons from a task to AWS's console: the Glue run, its logs, the crawler. A link never raises: "" means none.

On Airflow 2 the webserver asks for a link, and finds the address among the task's XComs. On 3.x the task's own process
asks, when it defers and when it ends; reading back an XCom just for that would be a needless round trip, so the address
is kept on the operator too.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow_lakehouse_provider._compat import BaseOperatorLink, pushed_value
from airflow_lakehouse_provider.aws import console

XCOM_KEY = "aws_console_links"
_ATTRIBUTE = "_aws_console_links"
_log = logging.getLogger(__name__)


def show(operator: Any, context: Any, addresses: dict[str, str]) -> None:
    """Have the operator's links lead to these addresses; a failure is logged and nothing else."""
    setattr(operator, _ATTRIBUTE, addresses)
    if not getattr(operator, "do_xcom_push", True):
        return
    try:
        context["ti"].xcom_push(key=XCOM_KEY, value=addresses)
    except Exception as error:
        _log.warning("The links to AWS's console could not be stored: %s", error)


def run_addresses(client: Any, job_name: str, run_id: str, log: tuple[str, str]) -> dict[str, str]:
    """The addresses of a job run.

    :param client: the boto3 client that started it, which knows region and partition
    :param log: log group and stream
    """
    where = client.meta.region_name, client.meta.partition
    return {
        GlueJobRunLink.key: console.job_run(*where, job_name, run_id),
        GlueJobRunLogsLink.key: console.log_stream(*where, *log),
    }


def crawler_addresses(client: Any, crawler_name: str) -> dict[str, str]:
    """The address of a crawler."""
    return {GlueCrawlerLink.key: console.crawler(client.meta.region_name, client.meta.partition, crawler_name)}


class _ConsoleLink(BaseOperatorLink):  # type: ignore[misc,unused-ignore]
    key = ""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        try:
            addresses = getattr(operator, _ATTRIBUTE, None) or pushed_value(ti_key, XCOM_KEY) or {}
            return str(addresses.get(self.key) or "")
        except Exception as error:
            _log.debug("No address for %s: %s", self.key, error)
            return ""


class GlueJobRunLink(_ConsoleLink):
    """To the job run in Glue's console."""

    name = "Glue job run"
    key = "job_run"


class GlueJobRunLogsLink(_ConsoleLink):
    """To the job run's error log in CloudWatch Logs."""

    name = "Glue job run's log"
    key = "job_run_log"


class GlueCrawlerLink(_ConsoleLink):
    """To the crawler in Glue's console."""

    name = "Glue crawler"
    key = "crawler"
