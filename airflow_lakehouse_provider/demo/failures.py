"""The last error of a failed task, and the place of its log."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ATTEMPT = re.compile(r"attempt=(\d+)\.log")


@dataclass(frozen=True)
class Failure:
    """A failed task, its last error, and its log (the scheduler's when no try wrote one)."""

    task_id: str
    error: str
    log: Path


def failure_of(logs: Path, dag_id: str, run_id: str, task_id: str) -> Failure:
    """Return the failure that the log of a task's last try records."""
    folder = logs / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
    # Beside attempt=1.log there are attempt=1.log.trigger.2.log and the like: the log of its deferral.
    attempts = sorted(
        (path for path in folder.glob("attempt=*.log") if _ATTEMPT.fullmatch(path.name)),
        key=lambda path: int(_ATTEMPT.fullmatch(path.name)[1]),  # type: ignore[index]
    )
    if not attempts:
        return Failure(
            task_id, "it failed before it began; the reason is in the scheduler's log", logs / "scheduler.log"
        )
    lines = attempts[-1].read_text(encoding="utf-8", errors="replace").splitlines()
    for line in reversed(lines):
        if error := _error(line):
            return Failure(task_id, error, attempts[-1])
    return Failure(task_id, lines[-1] if lines else "its log is empty", attempts[-1])


def _error(line: str) -> str | None:
    """Return the exception that a line of Airflow 3's JSON log records, as `Type: message`, with the first line only.

    The operators name the failure there; links and the tail of the job's log follow, and are in the task's log too.
    """
    try:
        record: Any = json.loads(line)
    except ValueError:
        return None
    details = record.get("error_detail") if isinstance(record, dict) else None
    if not details:
        return None
    # The first is the exception that was raised; its causes follow.
    message = details[0]["exc_value"].strip().partition("\n")[0]
    return f"{details[0]['exc_type']}: {message}"
