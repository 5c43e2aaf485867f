"""The demo: start the local AWS and Airflow, run months, show the results, stop everything."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from airflow_lakehouse_provider.demo import dbt_environment, prepare
from airflow_lakehouse_provider.demo.airflow import USER, Airflow
from airflow_lakehouse_provider.demo.database import checked
from airflow_lakehouse_provider.demo.failures import failure_of
from airflow_lakehouse_provider.demo.summary import Load, Marts, print_loads, print_marts
from airflow_lakehouse_provider.demo.watch import MonthRun, task_order, watch
from airflow_lakehouse_provider.month import Month
from lakehouse_local import LocalAws

BREAKS = ("gate", "raw")
# More trips than any month has: the test that counts them fails.
_IMPOSSIBLE_ROWS = 1_000_000_000


@dataclass(frozen=True)
class Demo:
    """The settings of a demo.

    :param months: the months to run, all at once
    :param rows: rows of each generated raw file
    :param root: the directory of its state, emptied first; dbt and an empty Airflow database are kept beside it
    :param config: the lakehouse.yaml to run, the DAG beside it
    :param breaks: "gate" (a dbt test fails), "raw" (the first raw file is corrupt), or None
    :param keep: keep running afterwards until interrupted
    :param database: ``postgresql://...``, for Airflow in place of sqlite; it must be empty
    """

    months: Sequence[Month]
    rows: int
    root: Path
    config: Path
    breaks: str | None = None
    keep: bool = False
    database: str | None = None


def run(demo: Demo, console: Console) -> bool:
    """Run a demo; return True if every task of every month succeeded and the row counts reconcile.

    :raises DemoError: when it cannot be completed
    """
    database = checked(demo.database) if demo.database else None
    root = demo.root.resolve()
    began = time.monotonic()

    def log(line: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:4.0f} s[/dim] {line}", highlight=False, soft_wrap=True)

    cache = root.parent
    dbt = dbt_environment.executable(cache, log)
    prepare.empty_root(root)
    lakehouse = prepare.write_dags(demo.config, dbt, root / "dags")
    log(f"starting the local AWS and Airflow; everything is under {root}")
    with LocalAws(root / "aws", region=lakehouse.region, account_id=lakehouse.glue.account) as local:
        airflow = Airflow(
            root / "airflow", root / "dags", cache=cache, environment=local.environment, database=database
        )
        with _started(airflow):
            prepare.create_resources(local, lakehouse, demo.config)
            raw = prepare.put_raw_files(
                local.environment, lakehouse, demo.months, demo.rows, root / "raw", corrupt=demo.breaks == "raw"
            )
            log(f"raw files are in {lakehouse.zones.raw}: {demo.rows:,} rows each")
            airflow.wait_for_dag(prepare.DAG_ID)
            log(f"Airflow {airflow.version} is up; running {', '.join(map(str, demo.months))}")
            runs = [_trigger(airflow, month, demo.breaks) for month in demo.months]
            order = task_order(airflow.get(f"dags/{prepare.DAG_ID}/tasks")["tasks"])
            watch(console, order, runs, lambda each: _update(airflow, each))
            succeeded = _report(console, airflow, runs, raw, Marts(local.environment, lakehouse), lakehouse.services)
            log("done" if succeeded else "done, with failures")
            if demo.keep:
                with contextlib.suppress(KeyboardInterrupt):
                    _stay(console, airflow, local)
    console.print(
        f"Logs: {airflow.logs} (a folder for each task), Glue's and Athena's state: {root / 'aws'}",
        highlight=False,
        soft_wrap=True,
    )
    return succeeded


@contextlib.contextmanager
def _started(airflow: Airflow) -> Iterator[None]:
    try:
        airflow.start()
        yield
    finally:
        airflow.stop()


def _trigger(airflow: Airflow, month: Month, breaks: str | None) -> MonthRun:
    minimum = {"minimum_rows": _IMPOSSIBLE_ROWS} if breaks == "gate" else {}
    run_id = f"demo-{month}"
    conf = {"year": month.year, "month": month.month, **minimum}
    airflow.post(f"dags/{prepare.DAG_ID}/dagRuns", {"dag_run_id": run_id, "logical_date": None, "conf": conf})
    return MonthRun(month, run_id)


def _update(airflow: Airflow, run: MonthRun) -> None:
    airflow.check()
    path = f"dags/{prepare.DAG_ID}/dagRuns/{run.run_id}"
    # The DAG run is read before its tasks: once it has ended, so have they.
    state = airflow.get(path)["state"]
    run.tasks = {task["task_id"]: task for task in airflow.get(f"{path}/taskInstances")["task_instances"]}
    run.state = state


def _xcom(airflow: Airflow, run: MonthRun, task_id: str, key: str) -> Any:
    path = f"dags/{prepare.DAG_ID}/dagRuns/{run.run_id}/taskInstances/{task_id}/xcomEntries/{key}"
    return airflow.get(path, stringify=False)["value"]


def _report(
    console: Console,
    airflow: Airflow,
    runs: Sequence[MonthRun],
    raw: Sequence[prepare.RawFile],
    marts: Marts,
    services: Sequence[str],
) -> bool:
    for run in runs:
        for task_id in run.failed_tasks:
            failure = failure_of(airflow.logs, prepare.DAG_ID, run.run_id, task_id)
            console.print(f"[bold red]{run.month} {task_id} failed[/bold red]", highlight=False)
            console.print(failure.error, markup=False, highlight=False, soft_wrap=True)
            console.print(f"Its log: {failure.log}", highlight=False, soft_wrap=True)
    succeeded = [run for run in runs if run.state == "success"]
    if not succeeded:
        return False
    months = [run.month for run in succeeded]
    facts = marts.rows()
    loads = [_load(airflow, run, service, raw, facts) for run in succeeded for service in services]
    print_loads(console, loads)
    differences = [difference for load in loads for difference in load.differences]
    for difference in differences:
        console.print(f"[bold red]{difference}[/bold red]", highlight=False, soft_wrap=True)
    print_marts(console, marts.busiest_zones(months), marts.revenue_by_day(months))
    return len(succeeded) == len(runs) and not differences


def _load(
    airflow: Airflow,
    run: MonthRun,
    service: str,
    raw: Sequence[prepare.RawFile],
    facts: dict[tuple[str, Month], int],
) -> Load:
    report = _xcom(airflow, run, f"{service}.clean", "report")
    nodes = _xcom(airflow, run, "dbt_test", "return_value")["nodes"]
    return Load(
        service=service,
        month=run.month,
        raw=next(file.rows for file in raw if (file.service, file.month) == (service, run.month)),
        kept=report["rows_kept"],
        rows_quarantined=report["rows_quarantined"],
        quarantined=report["quarantined"],
        facts=facts.get((service, run.month), 0),
        tests_passed=sum(node["status"] == "pass" for node in nodes),
        tests=len(nodes),
    )


def _stay(console: Console, airflow: Airflow, local: LocalAws) -> None:
    console.print(f"Airflow: {airflow.url} (user {USER}, password {airflow.password})", highlight=False)
    console.print("The local AWS, for any tool:", highlight=False)
    for name, value in local.environment.items():
        console.print(f"export {name}={value}", highlight=False, soft_wrap=True)
    console.print("Ctrl-C ends both.", highlight=False)
    while True:
        airflow.check()
        time.sleep(1)
