"""The verdict on an invocation of dbt: the task's result, or why it failed and whether a retry can help."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_lakehouse_provider.dbt import documents
from airflow_lakehouse_provider.dbt.artifacts import DbtResults
from airflow_lakehouse_provider.dbt.commands import DbtArguments
from airflow_lakehouse_provider.dbt.invocation import Invocation

# The beginnings of dbt's errors about the project or its own arguments: no retry changes these.
PROJECT_ERRORS = ("Compilation Error", "Parsing Error", "Validation Error", "Dependency Error", "Usage: dbt")

SUCCESS = "success"
# Tests that found rows, a project that does not compile, a selection without nodes: a retry would fail the same way.
PERMANENT = "permanent"
# A query that failed, a connection that was lost: a retry runs what is left.
RETRYABLE = "retryable"
STOPPED = "stopped"


@dataclass(frozen=True)
class DbtVerdict:
    """The end of an invocation, in plain JSON types.

    :ivar status: one of SUCCESS, PERMANENT, RETRYABLE, STOPPED
    :ivar message: why it failed; its first line names what did
    :ivar result: the task's return value
    :ivar query_id: the Athena query of the first failure
    :ivar artifacts: the address of each artifact that is kept
    :ivar models: the tables that were built: ``{unique_id, uri, rows, reads}`` each, ``reads`` naming tables
    """

    status: str
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    query_id: str | None = None
    artifacts: dict[str, str] = field(default_factory=dict)
    models: list[dict[str, Any]] = field(default_factory=list)

    def dump(self) -> bytes:
        """Return the verdict as a JSON document with its version."""
        return documents.dump(asdict(self))

    @classmethod
    def load(cls, document: bytes, uri: str, remedy: str) -> DbtVerdict:
        """Read a verdict; parameters and errors are those of :func:`documents.load`."""
        return cls(**documents.load(document, uri, remedy))


def judge(
    code: int, results: DbtResults, invocation: Invocation, arguments: DbtArguments, title: str, allow_empty: bool
) -> tuple[str, str]:
    """Return the status and the message of an invocation's verdict.

    :param code: dbt's exit code
    :param title: the command and its project, for the message
    """
    log = invocation.log
    after = f"\n{title}, invocation {log.invocation_id}: its log is above."
    if invocation.stopping:
        return STOPPED, f"{title} was stopped, and its Athena queries with it{_so_far(results)}."
    if results.failures:
        return PERMANENT if results.only_permanent_failures else RETRYABLE, results.sentence() + after
    if code != 0:
        ended = f"it was killed by signal {code - 128}" if 128 < code < 160 else f"its exit code is {code}"
        reason = log.error or "\n".join(log.tail) or f"nothing; {ended}"
        status = PERMANENT if reason.startswith(PROJECT_ERRORS) else RETRYABLE
        return status, f"{title} failed: {reason}{after}"
    if arguments.selects and not results.nodes and log.nothing_selected and not allow_empty:
        return PERMANENT, (
            f"{title} had nothing to do: {arguments.selection} matches no enabled node of the project. "
            "Correct it, or set allow_empty=True if that may be."
        )
    return SUCCESS, ""


def _so_far(results: DbtResults) -> str:
    counts = ", ".join(f"{number} {status}" for status, number in results.counts.items())
    return f"; so far: {counts}" if counts else ""
