"""The checks of the machine itself: imports, and dbt."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
from collections.abc import Iterator
from importlib import metadata

from airflow_lakehouse_provider.config import Lakehouse
from airflow_lakehouse_provider.doctor.report import Finding

_OPERATORS = ("GlueMonthlyJobOperator", "CrawlerCompletionSensor", "DbtAthenaOperator")
_DBT_SECONDS = 120
_OLDEST, _BELOW = (1, 8), (1, 12)


def imports() -> Iterator[Finding]:
    """Check that the operators can be imported under this Airflow and its amazon provider."""
    for distribution in ("apache-airflow", "apache-airflow-providers-amazon", "airflow-lakehouse-provider"):
        try:
            yield Finding.ok(distribution, metadata.version(distribution))
        except metadata.PackageNotFoundError:
            yield Finding.wrong(distribution, "it is not installed", f"pip install {distribution}")
    package = importlib.import_module("airflow_lakehouse_provider")
    for name in _OPERATORS:
        try:
            getattr(package, name)
        except Exception as error:  # any error of an import is a finding
            yield Finding.wrong(
                f"import of {name}",
                f"{type(error).__name__}: {error}",
                "read the requirements log: MWAA only logs a failed installation",
            )
        else:
            yield Finding.ok(f"import of {name}")


def dbt(lakehouse: Lakehouse) -> Iterator[Finding]:
    """Check dbt's executable and its versions, when dbt runs on the worker."""
    from airflow_lakehouse_provider.dbt.invocation import ExecutableError, find_executable

    what = "dbt"
    if lakehouse.dbt.runs_in != "worker":
        yield Finding.unknown(what, f"it runs in {lakehouse.dbt.runs_in}, not here")
        return
    try:
        executable = find_executable(lakehouse.dbt.executable)
    except ExecutableError as error:
        yield Finding.wrong(
            what, str(error), "create dbt's environment, and set its dbt in lakehouse.yaml's dbt.executable"
        )
        return
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        ended = subprocess.run(
            [executable, "--version"], capture_output=True, text=True, timeout=_DBT_SECONDS, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Finding.wrong(what, f"{executable} --version: {error}", "create dbt's environment again")
        return
    output = f"{ended.stdout}\n{ended.stderr}"
    core = re.search(r"installed:\s*(\d+)\.(\d+)\.\S+", output)
    athena = re.search(r"athena:\s*(\S+)", output)
    if core is None:
        yield Finding.wrong(what, output.strip()[-300:] or "it prints nothing", "create dbt's environment again")
        return
    version = (int(core[1]), int(core[2]))
    found = f"{executable}, {core[0].partition(':')[2].strip()}"
    if not _OLDEST <= version < _BELOW:
        yield Finding.wrong(what, found, "install dbt-core >= 1.8 and < 1.12 (dbt_models/requirements.txt)")
    elif athena is None:
        yield Finding.wrong(what, f"{found}, without its athena adapter", "install dbt-athena-community beside it")
    else:
        yield Finding.ok(what, f"{found}, athena {athena[1]}")
