"""The results of dbt's nodes, read from run_results.json or sources.json, counted and summarised."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.errors import LakehouseError

# The most failures that a sentence names, and the most that goes into XCom: the artifacts have all of it.
NAMED_FAILURES = 10
MESSAGE_CHARACTERS = 1000
MOST_NODES, MOST_FAILURES = 500, 100

# Statuses of dbt's
FAILED_DATA = frozenset({"fail"})
FAILED_QUERY = frozenset({"error", "runtime error", "partial success"})
NOUNS = {
    "model": "model",
    "test": "test",
    "unit_test": "unit test",
    "seed": "seed",
    "snapshot": "snapshot",
    "source": "source",
    "operation": "operation",
    "exposure": "exposure",
}


class ArtifactError(LakehouseError):
    """An artifact of dbt's cannot be read; the message names it."""


@dataclass(frozen=True)
class NodeResult:
    """The result of a node.

    :param status: dbt's own: success, error, skipped, pass, fail, warn, partial success, no-op, runtime error
    :param rows: rows written, or of a test the rows it found; None where dbt does not report them
    :param query_id: its last Athena query
    :param kept_in: of a test with store_failures, the table of the rows it found
    """

    unique_id: str
    status: str
    seconds: float | None = None
    rows: int | None = None
    bytes_scanned: int | None = None
    query_id: str | None = None
    message: str | None = None
    kept_in: str | None = None

    @property
    def resource_type(self) -> str:
        """dbt's type of the node: model, test, source and so on."""
        return self.unique_id.partition(".")[0]

    @property
    def name(self) -> str:
        """The node's name without type and package; of a generic test without dbt's hash, of a source with table."""
        parts = self.unique_id.split(".")
        if self.resource_type == "test" and len(parts) == 4:
            return parts[2]
        return ".".join(parts[2:]) or self.unique_id

    @property
    def failed(self) -> bool:
        return self.status in FAILED_DATA | FAILED_QUERY

    @property
    def is_permanent(self) -> bool:
        """True if no retry changes it: a test found rows, a source is stale (its "error"), it does not compile."""
        stale = self.resource_type == "source" and self.status == "error"
        return self.status in FAILED_DATA or stale or (self.message or "").startswith("Compilation Error")

    def __str__(self) -> str:
        if self.resource_type in ("test", "unit_test") and self.status in FAILED_DATA:
            kept = [f"kept in {self.kept_in}"] if self.kept_in else []
            rows = [_count(self.rows, "row")] if self.resource_type == "test" and self.rows else []
            return f"{self.name} ({', '.join([*rows, *kept])})" if rows or kept else self.name
        message = " ".join((self.message or "no message").split())
        query = f" (Athena query {self.query_id})" if self.query_id else ""
        return f"{self.name}: {message}{query}"


@dataclass(frozen=True)
class DbtResults:
    """The results of an invocation's nodes."""

    nodes: tuple[NodeResult, ...] = ()
    elapsed_seconds: float | None = None

    @classmethod
    def read(cls, file: Path, queries: Mapping[str, str] | None = None) -> DbtResults:
        """Read an artifact; one that was never written has no nodes.

        :param queries: the Athena query of each node, which only the log names
        :raises ArtifactError: when the file is there and is not what dbt writes
        """
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            results = content["results"]
            return cls(tuple(_node(result, queries or {}) for result in results), content.get("elapsed_time"))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ArtifactError(f"{file.name} of dbt cannot be read: {type(error).__name__}: {error}") from error

    @property
    def first_query(self) -> str | None:
        """The Athena query of the first failure."""
        return next((node.query_id for node in self.failures if node.query_id), None)

    @property
    def counts(self) -> dict[str, int]:
        """Nodes by status."""
        return dict(sorted(Counter(node.status for node in self.nodes).items()))

    @property
    def failures(self) -> tuple[NodeResult, ...]:
        """The failed nodes: failed queries before permanent failures, which they may have caused."""
        return tuple(sorted((n for n in self.nodes if n.failed), key=lambda node: node.is_permanent))

    @property
    def only_permanent_failures(self) -> bool:
        """True if something failed, and a retry would change none of it."""
        return bool(self.failures) and all(node.is_permanent for node in self.failures)

    def sentence(self) -> str:
        """Return the failures in a line: ``2 of 30 tests failed: unique_fct_trips_trip_id (14 rows), ...``."""
        failures = self.failures
        if not failures:
            return f"nothing failed of {_count(len(self.nodes), 'node')}"
        tallies = []
        for resource_type in dict.fromkeys(node.resource_type for node in failures):
            of_type = [node for node in self.nodes if node.resource_type == resource_type]
            failed = sum(node.failed for node in of_type)
            tallies.append(f"{failed} of {_count(len(of_type), NOUNS.get(resource_type, 'node'))} failed")
        named = ", ".join(str(node) for node in failures[:NAMED_FAILURES])
        more = f", and {len(failures) - NAMED_FAILURES} more" if len(failures) > NAMED_FAILURES else ""
        skipped = self.counts.get("skipped", 0)
        after = f"; {_count(skipped, 'node')} skipped" if skipped else ""
        return f"{', '.join(tallies)}: {named}{more}{after}"

    def as_mapping(self) -> dict[str, Any]:
        """Return the results for XCom: plain JSON types, long messages and lists cut, failures last."""
        nodes = self.nodes
        if len(nodes) > MOST_NODES:
            order = sorted(range(len(nodes)), key=lambda index: (nodes[index].status in _WELL, index))
            kept = set(order[:MOST_NODES])
            nodes = tuple(node for index, node in enumerate(nodes) if index in kept)
        return {
            "nodes": [_node_mapping(node) for node in nodes],
            "counts": self.counts,
            "failures": [_cut(str(node)) for node in self.failures[:MOST_FAILURES]],
        }


_WELL = frozenset({"success", "pass", "no-op", "skipped"})


def merge(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Return a run_results.json of all the tries: the arguments of the first, the last result of each node."""
    results = {result["unique_id"]: result for result in before["results"]}
    results |= {result["unique_id"]: result for result in now["results"]}
    return {**now, "args": before.get("args") or {}, "results": list(results.values())}


def _node_mapping(node: NodeResult) -> dict[str, Any]:
    mapping = {**asdict(node), "message": _cut(node.message)}
    del mapping["kept_in"]
    return mapping


def _node(result: Mapping[str, Any], queries: Mapping[str, str]) -> NodeResult:
    unique_id = str(result["unique_id"])
    response = result.get("adapter_response") or {}
    rows = result.get("failures")
    if rows is None:
        rows = response.get("rows_affected")
    seconds = result.get("execution_time")
    message = result.get("message") or result.get("error")
    if not message and result.get("max_loaded_at"):
        message = f"last loaded {result['max_loaded_at']}"
    return NodeResult(
        unique_id=unique_id,
        status=str(result["status"]),
        seconds=round(float(seconds), 3) if seconds is not None else None,
        # dbt-athena writes -1 where Athena counted nothing.
        rows=int(rows) if rows is not None and int(rows) >= 0 else None,
        bytes_scanned=response.get("data_scanned_in_bytes"),
        query_id=response.get("query_id") or queries.get(unique_id),
        message=str(message).strip() if message else None,
        kept_in=result.get("relation_name") if unique_id.startswith("test.") else None,
    )


def _count(number: int | None, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _cut(message: str | None) -> str | None:
    if message is None or len(message) <= MESSAGE_CHARACTERS:
        return message
    return message[: MESSAGE_CHARACTERS - 1] + "…"


def names_with_status(nodes: Iterable[NodeResult], status: str) -> list[str]:
    """Return the names of the nodes that have a status."""
    return [node.name for node in nodes if node.status == status]
