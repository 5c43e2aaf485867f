"""The output of a run: the script's report, a JSON object in S3, and its error log.

Neither changes the result of the task: one that cannot be read is logged.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from airflow_lakehouse_provider.aws import job_runs
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.s3_uri import split_s3_uri

_LONGEST = 1 << 20  # bytes


def report_or_none(s3: Callable[[], Any], uri: str | None, log: Any) -> dict[str, Any] | None:
    """Return the report at ``s3://bucket/key``; None where there is no address, or no report that can be read.

    :param s3: returns a boto3 client of S3
    """
    if not uri:
        return None
    try:
        bucket, key = split_s3_uri(uri)
        body = s3().get_object(Bucket=bucket, Key=key)["Body"].read(_LONGEST + 1)
        if len(body) > _LONGEST:
            raise ValueError(f"it is longer than {_LONGEST} bytes")
        report = json.loads(body)
        if not isinstance(report, dict):
            raise ValueError("it is not a JSON object")
        return report
    except Exception as error:
        log.warning("The script's report at %s could not be read: %s", uri, error)
        return None


def error_log(logs: Callable[[], Any], run: JobRun, lines: int) -> list[str]:
    """Return the last lines of the run's error log, or why it could not be read.

    :param logs: returns a boto3 client of CloudWatch Logs
    """
    try:
        return job_runs.log_tail(logs(), *run.error_log, lines)
    except Exception as error:
        return [f"(The log could not be read: {error})"]
