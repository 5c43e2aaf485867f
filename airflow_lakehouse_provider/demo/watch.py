"""The progress of the demo's DAG runs: a live table of tasks and months, or lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from airflow_lakehouse_provider.month import Month

# state of a task instance in Airflow -> its text and style in the table; in any other state it has not begun
_SHOWN = {
    "running": ("running", "cyan"),
    "deferred": ("waiting", "cyan"),
    "up_for_retry": ("retrying", "yellow"),
    "up_for_reschedule": ("waiting", "cyan"),
    "success": ("done", "green"),
    "failed": ("FAILED", "bold red"),
    "upstream_failed": ("not run", "dim"),
    "skipped": ("skipped", "dim"),
    "removed": ("removed", "dim"),
}
_ENDED = ("success", "failed")
_POLL_SECONDS = 0.5


@dataclass
class MonthRun:
    """A month's DAG run, as of the last request."""

    month: Month
    run_id: str
    state: str = "queued"
    tasks: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        return self.state in _ENDED

    @property
    def failed_tasks(self) -> list[str]:
        """The ids of failed tasks, the earliest first; without those whose upstream failed."""
        failed = [task for task in self.tasks.values() if task["state"] == "failed"]
        return [task["task_id"] for task in sorted(failed, key=lambda task: task["end_date"] or "")]


def task_order(tasks: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the task ids, each after its upstream tasks."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for task in tasks:
        sorter.add(task["task_id"])
        for downstream in task["downstream_task_ids"]:
            sorter.add(downstream, task["task_id"])
    return list(sorter.static_order())


def watch(console: Console, order: Sequence[str], runs: Sequence[MonthRun], update: Callable[[MonthRun], None]) -> None:
    """Show the states of all tasks until every run has ended.

    :param update: reads a run's state from Airflow
    """
    show: _Table | _Lines = _Table(console, order, runs) if console.is_terminal else _Lines(console, order, runs)
    with show:
        while True:
            for run in runs:
                if not run.ended:
                    update(run)
            show.refresh()
            if all(run.ended for run in runs):
                return
            time.sleep(_POLL_SECONDS)


def _seconds(task: Mapping[str, Any]) -> str:
    return f"{task['duration']:.0f} s" if task.get("duration") else ""


class _Table:
    def __init__(self, console: Console, order: Sequence[str], runs: Sequence[MonthRun]) -> None:
        self._order, self._runs = order, runs
        self._live = Live(self._drawn(), console=console, refresh_per_second=4)

    def __enter__(self) -> _Table:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def refresh(self) -> None:
        self._live.update(self._drawn())

    def _drawn(self) -> Table:
        table = Table(title="Months in Airflow", title_justify="left")
        table.add_column("task")
        for run in self._runs:
            table.add_column(str(run.month), min_width=14)
        for task_id in self._order:
            table.add_row(task_id, *(self._cell(run.tasks.get(task_id)) for run in self._runs))
        return table

    @staticmethod
    def _cell(task: Mapping[str, Any] | None) -> Text:
        shown, style = _SHOWN.get((task or {}).get("state") or "", ("", ""))
        return Text(f"{shown} {_seconds(task)}" if task and shown else "", style=style)


class _Lines:
    def __init__(self, console: Console, order: Sequence[str], runs: Sequence[MonthRun]) -> None:
        self._console, self._order, self._runs = console, order, runs
        self._printed: dict[tuple[str, str], str] = {}

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *error: object) -> None:
        return None

    def refresh(self) -> None:
        for run in self._runs:
            for task_id in self._order:
                task = run.tasks.get(task_id, {})
                state = task.get("state") or ""
                if state in _SHOWN and self._printed.get((run.run_id, task_id)) != state:
                    self._printed[run.run_id, task_id] = state
                    ended = f" {_seconds(task)}" if state in _ENDED else ""
                    line = f"{time.strftime('%H:%M:%S')} {run.month} {task_id}: {_SHOWN[state][0]}{ended}"
                    self._console.print(line, highlight=False, soft_wrap=True)
