"""What an invocation came to: the task's result, or what to say of its failure and whether a retry may help."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_lakehouse_provider.dbt.artifacts import Outcome
from airflow_lakehouse_provider.dbt.commands import Arguments
from airflow_lakehouse_provider.dbt.invocation import Invocation

# How dbt begins what it says when the project or its own arguments are wrong: no retry changes that.
PROJECT_ERRORS = ("Compilation Error", "Parsing Error", "Validation Error", "Dependency Error", "Usage: dbt")

SUCCESS = "success"
# A fact: tests that found rows, a project that does not compile, a selection without nodes. No retry changes it.
FACT = "fact"
# An accident: a query that failed, a connection that was lost. A retry goes on with what is left.
ACCIDENT = "accident"
STOPPED = "stopped"


@dataclass(frozen=True)
class Verdict:
    """An invocation's end, in plain JSON types.

    :ivar kind: one of SUCCESS, FACT, ACCIDENT, STOPPED
    :ivar message: why it failed, in words; its first line names what did
    :ivar result: what the task returns
    :ivar query_id: the Athena query of the first failure
    :ivar artifacts: the address of each artifact that is kept
    :ivar models: what was built: ``{unique_id, uri, rows}`` each, with ``reads`` of their sources and models
    """

    kind: str
    message: str = ""
    result: dict[str, Any] = field(default_factory=dict)
    query_id: str | None = None
    artifacts: dict[str, str] = field(default_factory=dict)
    models: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge(
    code: int, outcome: Outcome, invocation: Invocation, arguments: Arguments, what: str, allow_empty: bool
) -> tuple[str, str]:
    """The kind of a verdict, and its message."""
    log = invocation.log
    after = f"\n{what}, invocation {log.invocation_id}: its log is above."
    if invocation.stopping:
        return STOPPED, f"{what} was stopped, and its Athena queries with it{_so_far(outcome)}."
    if outcome.failures:
        return FACT if outcome.only_facts_failed else ACCIDENT, outcome.sentence() + after
    if code != 0:
        ended = f"it was killed by signal {code - 128}" if 128 < code < 160 else f"its exit code is {code}"
        said = log.error or "\n".join(log.tail) or f"nothing; {ended}"
        kind = FACT if said.startswith(PROJECT_ERRORS) else ACCIDENT
        return kind, f"{what} failed: {said}{after}"
    if arguments.selects and not outcome.nodes and log.nothing_selected and not allow_empty:
        return FACT, (
            f"{what} had nothing to do: {arguments.selection} matches no enabled node of the project. "
            "Correct it, or say allow_empty=True if that may be."
        )
    return SUCCESS, ""


def _so_far(outcome: Outcome) -> str:
    counts = ", ".join(f"{number} {status}" for status, number in outcome.counts.items())
    return f"; so far: {counts}" if counts else ""
