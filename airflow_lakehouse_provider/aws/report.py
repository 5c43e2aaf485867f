"""What a run leaves behind for a person: the script's report, a JSON object in S3, and the end of its error log.

Neither takes anything from what became of the run: what cannot be read is said, and that is all.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from airflow_lakehouse_provider.aws import job_runs
from airflow_lakehouse_provider.aws.job_runs import JobRun

_LONGEST = 1 << 20


def report_or_none(s3: Callable[[], Any], uri: str | None, log: Any) -> dict[str, Any] | None:
    """The object at ``s3://bucket/key``.

    :param s3: gives a client of S3
    """
    if not uri:
        return None
    try:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
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
    """The last lines of the run's error log.

    :param logs: gives a client of CloudWatch Logs
    """
    try:
        return job_runs.log_tail(logs(), *run.error_log, lines)
    except Exception as error:
        return [f"(The log could not be read: {error})"]
