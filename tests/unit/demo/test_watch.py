"""Progress as a table, or as lines."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from airflow_lakehouse_provider.demo import watch as module
from airflow_lakehouse_provider.demo.watch import MonthRun, task_order, watch
from airflow_lakehouse_provider.month import Month

STATES = [
    ("running", {"clean": "running"}),
    ("running", {"clean": "deferred"}),
    ("running", {"clean": "success", "test": "running"}),
    ("failed", {"clean": "success", "test": "failed"}),
]


def followed(console):
    run = MonthRun(Month(2024, 1), "demo-2024-01")
    states = iter(STATES)

    def update(each):
        each.state, tasks = next(states)
        each.tasks = {
            task_id: {"task_id": task_id, "state": state, "duration": 2.4, "end_date": task_id}
            for task_id, state in tasks.items()
        }

    watch(console, ["clean", "test"], [run], update)
    return run


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(module, "_POLL_SECONDS", 0)


def test_lines_tell_each_change_once():
    out = io.StringIO()
    run = followed(Console(file=out, width=80))
    assert [line.partition(" ")[2] for line in out.getvalue().splitlines()] == [
        "2024-01 clean: running",
        "2024-01 clean: waiting",
        "2024-01 clean: done 2 s",
        "2024-01 test: running",
        "2024-01 test: FAILED 2 s",
    ]
    assert run.failed_tasks == ["test"]


def test_a_terminal_shows_a_table_of_tasks_and_months():
    out = io.StringIO()
    followed(Console(file=out, width=80, force_terminal=True))
    last = out.getvalue().rsplit("Months in Airflow", 1)[1]
    assert "2024-01" in last
    assert "FAILED 2 s" in last


def test_tasks_stand_after_those_they_wait_for():
    tasks = [
        {"task_id": "catalogue", "downstream_task_ids": ["dbt_run"]},
        {"task_id": "dbt_run", "downstream_task_ids": []},
        {"task_id": "yellow.clean", "downstream_task_ids": ["catalogue"]},
    ]
    assert task_order(tasks) == ["yellow.clean", "catalogue", "dbt_run"]
