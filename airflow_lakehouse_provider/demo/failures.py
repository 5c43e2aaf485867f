"""What a failed task said last, and where its log is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Failure:
    """A failed task, its own last error, and its log (a directory when no attempt wrote one)."""

    task_id: str
    error: str
    log: Path


def failure_of(logs: Path, dag_id: str, run_id: str, task_id: str) -> Failure:
    """Read the log of a task's last attempt."""
    folder = logs / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
    attempts = sorted(folder.glob("attempt=*.log"), key=lambda path: int(path.stem.partition("=")[2]))
    if not attempts:
        return Failure(task_id, "it failed before it began; the scheduler's log says why", logs / "scheduler.log")
    lines = attempts[-1].read_text(encoding="utf-8", errors="replace").splitlines()
    for line in reversed(lines):
        if error := _error(line):
            return Failure(task_id, error, attempts[-1])
    return Failure(task_id, lines[-1] if lines else "it wrote nothing", attempts[-1])


def _error(line: str) -> str | None:
    """The exception that a line of Airflow 3's JSON log records, as `Type: message`."""
    try:
        record: Any = json.loads(line)
    except ValueError:
        return None
    details = record.get("error_detail") if isinstance(record, dict) else None
    if not details:
        return None
    # The first is what was raised; its causes follow.
    return f"{details[0]['exc_type']}: {details[0]['exc_value']}".strip()
