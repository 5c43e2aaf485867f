"""Links to a Glue job run, its log, and a crawler in the AWS console."""

from __future__ import annotations

from typing import Any

from airflow_lakehouse_provider.aws import console
from airflow_lakehouse_provider.links.console import ConsoleLink


def run_addresses(client: Any, job_name: str, run_id: str, log: tuple[str, str]) -> dict[str, str]:
    """Return the addresses of a job run.

    :param client: the boto3 client that started it, which knows region and partition
    :param log: log group and stream
    """
    where = client.meta.region_name, client.meta.partition
    return {
        GlueJobRunLink.key: console.job_run(*where, job_name, run_id),
        GlueJobRunLogsLink.key: console.log_stream(*where, *log),
    }


def crawler_addresses(client: Any, crawler_name: str) -> dict[str, str]:
    """Return the address of a crawler."""
    return {GlueCrawlerLink.key: console.crawler(client.meta.region_name, client.meta.partition, crawler_name)}


class GlueJobRunLink(ConsoleLink):
    """Link to the job run in the Glue console."""

    name = "Glue job run"
    key = "job_run"


class GlueJobRunLogsLink(ConsoleLink):
    """Link to the job run's error log in CloudWatch Logs."""

    name = "Glue job run's log"
    key = "job_run_log"


class GlueCrawlerLink(ConsoleLink):
    """Link to the crawler in the Glue console."""

    name = "Glue crawler"
    key = "crawler"
