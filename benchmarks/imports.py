"""The cost of importing the two Glue classes in a DAG file, over `airflow.sdk` alone (`airflow` on Airflow 2).

.venv/bin/python benchmarks/imports.py
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

TIMES = 7
_BASE = """
import time, resource, json
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow import DAG
def memory():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()
before, began = memory(), time.perf_counter()
{imports}
print(json.dumps([time.perf_counter() - began, (memory() - before) / 1e6]))
"""
LINES = {
    "GlueMonthlyJobOperator, CrawlerCompletionSensor": (
        "from airflow_lakehouse_provider import CrawlerCompletionSensor, GlueMonthlyJobOperator"
    ),
    "amazon's GlueJobOperator, GlueCrawlerSensor": (
        "from airflow.providers.amazon.aws.operators.glue import GlueJobOperator\n"
        "from airflow.providers.amazon.aws.sensors.glue_crawler import GlueCrawlerSensor"
    ),
}


def main() -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Imports, median of {TIMES}")
    for heading in ("", "seconds", "MB"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, imports in LINES.items():
        measured = []
        for _ in range(TIMES):
            code = _BASE.format(imports=imports)
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
            measured.append(json.loads(done.stdout.strip().splitlines()[-1]))
        seconds, megabytes = (statistics.median(column) for column in zip(*measured, strict=True))
        table.add_row(name, f"{seconds:.2f}", f"{megabytes:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
