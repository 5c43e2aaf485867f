"""Addresses in the AWS console: job runs, log streams, crawlers."""

from __future__ import annotations

from urllib.parse import quote

_DOMAINS = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


def job_run(region: str, partition: str, job_name: str, run_id: str) -> str:
    return f"{home('gluestudio', region, partition)}#/job/{quote(job_name, safe='')}/run/{quote(run_id, safe='')}"


def crawler(region: str, partition: str, crawler_name: str) -> str:
    return f"{home('glue', region, partition)}#/v2/data-catalog/crawlers/view/{quote(crawler_name, safe='')}"


def log_stream(region: str, partition: str, group: str, stream: str) -> str:
    where = f"{home('cloudwatch', region, partition)}#logsV2:log-groups/log-group/{_twice(group)}"
    return f"{where}/log-events/{_twice(stream)}"


def home(service: str, region: str, partition: str) -> str:
    """Return the address of a service's console, with which the addresses inside it begin."""
    return f"https://{region}.{domain(partition)}/{service}/home?region={region}"


def domain(partition: str) -> str:
    return _DOMAINS.get(partition, _DOMAINS["aws"])


def _twice(text: str) -> str:
    # The CloudWatch console quotes twice, and writes % as $.
    return quote(quote(text, safe=""), safe="").replace("%", "$")
