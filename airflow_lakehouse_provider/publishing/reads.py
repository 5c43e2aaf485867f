"""The check for conflicts: Athena's EXPLAIN (TYPE IO) tells what an attempt's queries read, once something moved."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from airflow_lakehouse_provider.publishing import catalogue, objects
from airflow_lakehouse_provider.publishing.attempt import STATEMENTS, AuditAttempt, Node
from airflow_lakehouse_provider.publishing.catalogue import Catalogue
from airflow_lakehouse_provider.publishing.moves import (
    Move,
    Read,
    affected,
    moved,
    parse_io_plan,
    reading_statements,
)
from airflow_lakehouse_provider.publishing.names import Places, TableName
from airflow_lakehouse_provider.publishing.plan import in_production
from airflow_lakehouse_provider.publishing.record import Step

_THREADS = 4
_POLL_SECONDS = 0.3
_ENDED = ("SUCCEEDED", "FAILED", "CANCELLED")


@dataclass(frozen=True)
class QuerySettings:
    """The place of Athena's queries.

    :ivar output: ``s3://bucket/prefix/`` of results; None: the work group's own
    """

    work_group: str | None = None
    output: str | None = None
    catalog: str = "awsdatacatalog"


class ConflictCheck:
    """A check of an attempt against what is public now.

    :param glue: a boto3 client; ``s3`` and ``athena`` likewise
    :param log: called with a line for the task's log
    """

    def __init__(
        self, glue: Any, s3: Any, athena: Any, places: Places, settings: QuerySettings, log: Callable[[str], None]
    ) -> None:
        self._glue = Catalogue(glue)
        self._s3 = s3
        self._athena = athena
        self._places = places
        self._settings = settings
        self._log = log

    def __call__(self, attempt: AuditAttempt, steps: Sequence[Step]) -> tuple[Mapping[TableName, Move], list[str]]:
        """Return what moved since the attempt read it, and the ids of the nodes that must be built again."""
        moves = moved(self._glue, attempt)
        if not moves:
            return moves, []
        statements = self._statements(attempt)
        removed = any(move.removed for move in moves.values())
        with ThreadPoolExecutor(_THREADS) as pool:
            reads = dict(
                zip(
                    (node.unique_id for node in attempt.nodes),
                    pool.map(lambda node: self._reads(attempt, statements.get(node.unique_id), removed), attempt.nodes),
                    strict=True,
                )
            )

        def reads_of(node: Node) -> Sequence[Read] | None:
            return reads[node.unique_id]

        @functools.cache
        def keys(name: TableName) -> list[tuple[str, str]]:
            return catalogue.keys(self._glue.table(name) or {})

        again = affected(attempt, moves, [step.entry for step in steps], reads_of, keys)
        self._log(
            f"{', '.join(map(str, sorted(moves)))} changed since {attempt.audit} began; "
            + (f"to be built again: {', '.join(again)}" if again else "nothing of it was read")
        )
        return moves, again

    def _statements(self, attempt: AuditAttempt) -> Mapping[str, list[str]]:
        found = objects.read(self._s3, f"{self._places.attempt(attempt.audit)}/{STATEMENTS}")
        return json.loads(found[0]) if found is not None else {}

    def _reads(self, attempt: AuditAttempt, statements: Sequence[str] | None, removed: bool) -> list[Read] | None:
        """Return what the statements of a node read; None where that cannot be told.

        Athena tells what a query reads of the partitions that exist. So production is asked, where those that were
        added are; and the audit schema, where those still are that were removed.
        """
        if statements is None:
            return None
        queries = reading_statements(statements)
        if queries is None:
            return None
        found: list[Read] = []
        for query in queries:
            for asked in (in_production(query, attempt), *([query] if removed else [])):
                plan = self._explain(attempt, asked)
                if plan is None:
                    return None
                found += plan
        return found

    def _explain(self, attempt: AuditAttempt, query: str) -> list[Read] | None:
        arguments: dict[str, Any] = {
            "QueryString": f"EXPLAIN (TYPE IO, FORMAT JSON) {query}",
            "QueryExecutionContext": {"Catalog": self._settings.catalog, "Database": attempt.databases[0]},
        }
        if self._settings.work_group:
            arguments["WorkGroup"] = self._settings.work_group
        if self._settings.output:
            arguments["ResultConfiguration"] = {"OutputLocation": self._settings.output}
        execution = self._athena.start_query_execution(**arguments)["QueryExecutionId"]
        while True:
            status = self._athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
            if status["State"] in _ENDED:
                break
            time.sleep(_POLL_SECONDS)
        if status["State"] != "SUCCEEDED":
            self._log(f"EXPLAIN of a query failed ({status.get('StateChangeReason')}): it counts as reading everything")
            return None
        pages = self._athena.get_paginator("get_query_results").paginate(QueryExecutionId=execution)
        rows = [row["Data"][0].get("VarCharValue", "") for page in pages for row in page["ResultSet"]["Rows"]]
        try:
            return parse_io_plan("\n".join(rows[1:] if rows[:1] == ["Query Plan"] else rows))
        except ValueError as error:
            self._log(f"EXPLAIN of a query was not understood ({error}): it counts as reading everything")
            return None
