"""What a failed task said last, and where its log is."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ATTEMPT = re.compile(r"attempt=(\d+)\.log")


@dataclass(frozen=True)
class Failure:
    """A failed task, its own last error, and its log (a directory when no attempt wrote one)."""

    task_id: str
    error: str
    log: Path


def failure_of(logs: Path, dag_id: str, run_id: str, task_id: str) -> Failure:
    """Read the log of a task's last attempt."""
    folder = logs / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
    # Beside attempt=1.log lie attempt=1.log.trigger.2.log and the like, of its waits in the triggerer.
    attempts = sorted(
        (path for path in folder.glob("attempt=*.log") if _ATTEMPT.fullmatch(path.name)),
        key=lambda path: int(_ATTEMPT.fullmatch(path.name)[1]),  # type: ignore[index]
    )
    if not attempts:
        return Failure(task_id, "it failed before it began; the scheduler's log says why", logs / "scheduler.log")
    lines = attempts[-1].read_text(encoding="utf-8", errors="replace").splitlines()
    for line in reversed(lines):
        if error := _error(line):
            return Failure(task_id, error, attempts[-1])
    return Failure(task_id, lines[-1] if lines else "it wrote nothing", attempts[-1])


def _error(line: str) -> str | None:
    """The exception that a line of Airflow 3's JSON log records, as `Type: message`, the message's first line.

    The operators put what failed there; links and the tail of the job's log follow, and stand in the task's log too.
    """
    try:
        record: Any = json.loads(line)
    except ValueError:
        return None
    details = record.get("error_detail") if isinstance(record, dict) else None
    if not details:
        return None
    # The first is what was raised; its causes follow.
    message = details[0]["exc_value"].strip().partition("\n")[0]
    return f"{details[0]['exc_type']}: {message}"
