"""The Athena queries of an invocation that are still running, found and stopped.

They are found by their ids from dbt's log and by the invocation in their comment: a dbt that is killed may have started
one that is not in its log. Also a program, ``PROGRAM``, for when the worker is gone: the first line of its standard
input is a JSON object of :func:`stop_running`'s arguments, and the input ends when dbt has ended.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Collection
from typing import Any

RUNNING = ("QUEUED", "RUNNING")
# The most that BatchGetQueryExecution takes, and as many of the work group's last queries as are looked through.
_BATCH, _PAGES = 50, 2
PROGRAM = "from airflow_lakehouse_provider.dbt.queries import main; main()"


def stop_running(
    athena: Any,
    *,
    query_ids: Collection[str] = (),
    invocation_id: str | None = None,
    work_group: str | None = None,
    within: float = 10.0,
    settle: float = 0.0,
) -> list[str]:
    """Stop those of these queries and of this invocation's that are running; return their ids.

    :param invocation_id: dbt's, in the comment of each of its queries
    :param work_group: the work group of the invocation's queries; default: Athena's ``primary``
    :param within: seconds after which no further call is made
    :param settle: seconds to go on looking for a query whose start was on its way to AWS when dbt was killed
    """
    began, known = time.monotonic(), list(dict.fromkeys(query_ids))
    stopped: list[str] = []
    while True:
        found = list(known)
        if invocation_id:
            found += [query_id for query_id in _latest(athena, work_group) if query_id not in found]
        for batch in (found[start : start + _BATCH] for start in range(0, len(found), _BATCH)):
            if time.monotonic() - began > within:
                return stopped
            for query in athena.batch_get_query_execution(QueryExecutionIds=batch).get("QueryExecutions") or ():
                query_id = query["QueryExecutionId"]
                ours = query_id in known or bool(invocation_id and invocation_id in comment(query.get("Query") or ""))
                if ours and query["Status"]["State"] in RUNNING:
                    athena.stop_query_execution(QueryExecutionId=query_id)
                    if query_id not in stopped:
                        stopped.append(query_id)
        if time.monotonic() - began >= min(settle, within):
            return stopped
        time.sleep(0.2)


def comment(sql: str) -> str:
    """Return dbt's comment of a query: its first or its last line, or both."""
    lines = [line for line in sql.strip().splitlines() if line.lstrip().startswith(("--", "/*"))]
    return "\n".join(lines[:1] + lines[-1:])


def _latest(athena: Any, work_group: str | None) -> list[str]:
    """Return the ids of the work group's last queries, newest first."""
    request: dict[str, Any] = {"MaxResults": _BATCH, **({"WorkGroup": work_group} if work_group else {})}
    found: list[str] = []
    for _ in range(_PAGES):
        answer = athena.list_query_executions(**request)
        found += answer.get("QueryExecutionIds") or ()
        if not answer.get("NextToken"):
            break
        request["NextToken"] = answer["NextToken"]
    return found


def main() -> None:
    """Stop queries at once and again when dbt has ended; credentials and region are in the environment."""
    import boto3
    from botocore.config import Config

    arguments = json.loads(sys.stdin.readline())
    config = Config(connect_timeout=5, read_timeout=5, retries={"total_max_attempts": 3})
    athena = boto3.client("athena", config=config)
    stop_running(athena, **{**arguments, "settle": 0.0})
    sys.stdin.read()
    stop_running(athena, **arguments)
