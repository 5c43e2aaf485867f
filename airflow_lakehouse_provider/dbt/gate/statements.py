"""The SQL of each node's queries, as Athena has it: the publication asks it what was read."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.dbt.events import QUERY_STARTED, DbtEvent
from airflow_lakehouse_provider.publishing.catalogue import batches

# The most that BatchGetQueryExecution takes.
_BATCH = 50
_READS = re.compile(r"(select|with|insert|create\s+table)\b", re.IGNORECASE)
_COMMENT = re.compile(r"\A\s*(?:--[^\n]*(?:\n|\Z)|/\*.*?\*/)", re.DOTALL)


class Statements:
    """The queries of an invocation by node, collected from its log by their ids alone."""

    def __init__(self) -> None:
        self._queries: dict[str, list[str]] = defaultdict(list)

    def see(self, event: DbtEvent) -> None:
        """Note the query that an event tells of."""
        if event.unique_id and (found := QUERY_STARTED.search(event.message)):
            self._queries[event.unique_id].append(found[1])

    def write(self, athena: Any, file: Path) -> None:
        """Write the statements that read data, ``{node: [SQL]}``, one node at a time.

        A node with a query that Athena does not tell is left out: it counts as having read everything.
        """
        with file.open("w", encoding="utf-8") as stream:
            separator = "{"
            for node, ids in sorted(self._queries.items()):
                texts = _texts(athena, ids)
                if texts is None:
                    continue
                stream.write(f"{separator}\n{json.dumps(node)}:{json.dumps(texts)}")
                separator = ","
            stream.write("{}" if separator == "{" else "\n}")


def _texts(athena: Any, ids: list[str]) -> list[str] | None:
    found: dict[str, str] = {}
    for batch in batches(dict.fromkeys(ids), _BATCH):
        answer = athena.batch_get_query_execution(QueryExecutionIds=batch)
        found |= {each["QueryExecutionId"]: each.get("Query") or "" for each in answer.get("QueryExecutions") or ()}
    if any(not found.get(each) for each in ids):
        return None
    texts = (_uncommented(found[each]) for each in ids)
    return list(dict.fromkeys(text for text in texts if _READS.match(text)))


def _uncommented(sql: str) -> str:
    """Return a statement without dbt's comment before it."""
    while comment := _COMMENT.match(sql):
        sql = sql[comment.end() :]
    return sql.strip()
