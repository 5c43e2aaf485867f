"""The bundle of `lakehouse mwaa bundle`, installed as MWAA does: under each version's constraints, nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from airflow_lakehouse_provider.mwaa.bundle import AIRFLOW, PLUGINS, REQUIREMENTS

pytestmark = [pytest.mark.slow, pytest.mark.infra]

PLACE = "/usr/local/airflow/plugins/"
# A DAG of another lakehouse's: no taxi in it.
OTHER_DAG = """
from datetime import datetime
from airflow_lakehouse_provider import CrawlerCompletionSensor, DbtAthenaOperator, GlueMonthlyJobOperator
try:
    from airflow.sdk import DAG
except ImportError:
    from airflow.models.dag import DAG
with DAG("sales", start_date=datetime(2024, 1, 1), schedule="@monthly") as dag:
    clean = GlueMonthlyJobOperator(task_id="clean", job_name="sales", deferrable=True)
    crawl = CrawlerCompletionSensor(task_id="crawl", crawler_name="sales", deferrable=True)
    dbt = DbtAthenaOperator(task_id="dbt", command="build", project="/dbt", schema="sales", s3_staging_dir="s3://b/")
    clean >> crawl >> dbt
"""
PARSE = """
import json, runpy, sys
for file in sys.argv[1:]:
    dag = runpy.run_path(file)["dag"]
    print(json.dumps([dag.dag_id, sorted(dag.task_ids)]))
"""


def python_of(version: str) -> str:
    wanted = AIRFLOW[version]
    found = shutil.which(f"python{wanted}") if sys.version_info[:2] != tuple(map(int, wanted.split("."))) else None
    for candidate in filter(None, (found, sys.executable, *Path.home().glob(f".pyenv/versions/{wanted}.*/bin/python"))):
        version_output = subprocess.run([candidate, "--version"], capture_output=True, text=True)
        if re.match(rf"Python {re.escape(wanted)}\.", version_output.stdout):
            return str(candidate)
    pytest.skip(f"MWAA's Airflow {version} runs on Python {wanted}, which is not installed")


@pytest.fixture(scope="module")
def uv():
    found = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
    if not Path(found).is_file():
        pytest.skip("uv is not installed")
    return found


@pytest.mark.parametrize("version", AIRFLOW)
def test_it_installs_and_its_dags_parse(version, uv, repository, tmp_path):
    python = python_of(version)
    constraints = repository / "constraints" / f"mwaa-{version}.txt"
    config = repository / "example_dags" / "lakehouse.yaml"
    command = [sys.executable, "-m", "airflow_lakehouse_provider.cli", "mwaa", "bundle", "--out", str(tmp_path / "b")]
    more = ["--airflow", version, "--constraints", str(constraints), "--config", str(config)]
    subprocess.run([*command, *more], check=True, capture_output=True)
    plugins = tmp_path / "plugins"
    zipfile.ZipFile(tmp_path / "b" / PLUGINS).extractall(plugins)
    requirements = tmp_path / "requirements.txt"
    requirements.write_text((tmp_path / "b" / REQUIREMENTS).read_text().replace(PLACE, f"{plugins}/"))

    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_", "PYTHON"))},
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "UV_PYTHON_DOWNLOADS": "never",
    }

    def run(*arguments: str) -> str:
        ended = subprocess.run(arguments, capture_output=True, text=True, env=environment, cwd=tmp_path)
        assert ended.returncode == 0, f"{arguments}\n{ended.stdout[-3000:]}\n{ended.stderr[-3000:]}"
        return ended.stdout

    run(uv, "venv", "--quiet", "--python", python, str(tmp_path / "venv"))
    bin_ = tmp_path / "venv" / "bin"
    # MWAA's image has Airflow; the requirements bring nothing but the provider, or change what it has.
    install = (uv, "pip", "install", "--quiet", "--python", str(bin_ / "python"))
    run(*install, "-c", str(constraints), f"apache-airflow=={version}", "apache-airflow-providers-amazon")
    before = set(run(uv, "pip", "freeze", "--python", str(bin_ / "python")).splitlines())
    run(*install, "-r", str(requirements))
    after = set(run(uv, "pip", "freeze", "--python", str(bin_ / "python")).splitlines())
    assert before - after == set()
    assert {line.partition(" ")[0] for line in after - before} == {"airflow-lakehouse-provider"}
    assert "airflow-lakehouse-provider" in run(str(bin_ / "airflow"), "providers", "list", "--output", "plain")
    (tmp_path / "other.py").write_text(OTHER_DAG)
    dags = sorted((tmp_path / "b" / "mwaa" / "dags" / "example_dags").glob("*.py"))
    output = run(str(bin_ / "python"), "-c", PARSE, *map(str, dags), str(tmp_path / "other.py"))
    for dag, task in (("nyc_taxi_monthly", "dbt_test"), ("lakehouse_self_check", "check"), ("sales", "crawl")):
        assert re.search(rf'\["{dag}".*"{task}"', output), output
