"""The example DAG in a real Airflow on the local AWS, by the command that the README names."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pyspark", reason="needs the extra 'local'")

from airflow_lakehouse_provider import sample_data
from airflow_lakehouse_provider.month import Month

pytestmark = [pytest.mark.e2e, pytest.mark.spark]

ROWS = 3_000
CHECKOUT = Path(__file__).parents[2]
JANUARY = Month(2024, 1)


def demo(root, *options, **popen):
    command = [sys.executable, "-m", "airflow_lakehouse_provider.cli", "demo", "--root", str(root), "--rows", str(ROWS)]
    # From the checkout, wherever another test left this process: there lies .venv-dbt.
    popen = {"cwd": CHECKOUT, **popen}
    return subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **popen)


def read_until(process, text):
    """Read the process's output until the text is in a line, and return it."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    pytest.fail(f"{text!r} was not printed:\n{''.join(lines)}")


def processes_of(root):
    """Return the processes that have the demo's root in their command, environment or working directory."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
            text += os.readlink(entry / "cwd").encode()
        except OSError:
            continue
        if str(root).encode() in text and int(entry.name) != os.getpid():
            found.append((int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ")[:200]))
    return found


@pytest.fixture
def root(tmp_path):
    """The demo's root; whatever still belongs to it afterwards is a failure."""
    if not ((CHECKOUT / ".venv-dbt/bin/dbt").is_file() or os.environ.get("LAKEHOUSE_DBT_EXECUTABLE")):
        pytest.skip("needs dbt: .venv-dbt, or LAKEHOUSE_DBT_EXECUTABLE")
    root = tmp_path / "demo"
    yield root
    assert processes_of(root) == []


@pytest.mark.slow
def test_a_month_runs_and_adds_up(root, tmp_path):
    process = demo(root, "--month", "2024-01", "--keep")
    try:
        printed = read_until(process, "Ctrl-C ends both")
        truth = json.loads(sample_data.write("yellow", JANUARY, ROWS, tmp_path).with_suffix(".truth.json").read_text())
        row = next(line for line in printed.splitlines() if re.search(r"yellow\W+2024-01", line))
        assert [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", row)][2:6] == [
            ROWS, truth["kept"], truth["quarantined"], truth["kept"],
        ]  # fmt: skip
        for reason, rows in truth["reasons"].items():
            assert f"{reason} {rows}" in printed
        for task in ("yellow.raw_file", "yellow.clean", "catalogue", "dbt_build", "dbt_test", "publish"):
            assert f"2024-01 {task}: done" in printed
        # The Glue run was waited for in the triggerer, not in a worker.
        logs = root / "airflow/logs/dag_id=nyc_taxi_monthly/run_id=demo-2024-01"
        assert list(logs.glob("task_id=yellow.clean/*.trigger.*"))
        # The raw file is what was put there, byte for byte.
        raw = root / "aws/nyc-taxi-raw/yellow/2024/yellow_tripdata_2024-01.parquet"
        generated = tmp_path / "yellow_tripdata_2024-01.parquet"
        assert hashlib.md5(raw.read_bytes()).digest() == hashlib.md5(generated.read_bytes()).digest()
        # No password outlives the demo, and none of the local AWS's is in a log.
        password = re.search(r"password (\S+)\)", printed)[1]
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0
        assert not [file for file in root.rglob("*") if file.is_file() and password.encode() in file.read_bytes()]
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_months_at_once_with_dbt_in_glue(root, tmp_path):
    """dbt in Glue, deferred: each month is built apart and published in its turn. LAKEHOUSE_MONTHS=4 runs more."""
    import boto3

    shutil.copytree(CHECKOUT / "example_dags", tmp_path / "example_dags")
    shutil.copytree(CHECKOUT / "dbt_models", tmp_path / "dbt_models", ignore=shutil.ignore_patterns("target", "logs"))
    config = tmp_path / "example_dags" / "lakehouse.yaml"
    config.write_text(config.read_text().replace("runs_in: worker", "runs_in: glue"))
    months = [f"2024-{number:02d}" for number in range(1, 1 + int(os.environ.get("LAKEHOUSE_MONTHS", "2")))]
    process = demo(root, *(f"--month={month}" for month in months), "--config", str(config), "--keep")
    try:
        printed = read_until(process, "Ctrl-C ends both")
        for month in months:
            for task in ("dbt_build", "dbt_test", "publish"):
                assert f"{month} {task}: done" in printed
        endpoint = re.search(r"AWS_ENDPOINT_URL=(\S+)", printed)[1]
        glue = boto3.Session("local", "local", region_name="us-east-1").client("glue", endpoint_url=endpoint)
        runs = [
            run for run in glue.get_job_runs(JobName="run-dbt")["JobRuns"] if "/dbt_build/" in str(run["Arguments"])
        ]
        assert len(runs) == len(months)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_corrupt_raw_file_fails_with_its_name(root):
    process = demo(root, "--month", "2024-01", "--break", "raw")
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "2024-01 yellow.clean failed" in printed
    message = next(line for line in printed.splitlines() if "LoadError" in line)
    assert "yellow_tripdata_2024-01.parquet cannot be read as Parquet" in message
    log = Path(re.search(r"Its log: (\S+)", printed)[1])
    assert "cannot be read as Parquet" in log.read_text()
    # Nothing half-written: no table has an object.
    assert not list((root / "aws/nyc-taxi-cleaned").rglob("*.parquet"))


@pytest.mark.slow
def test_an_interrupted_demo_leaves_no_process_behind(root):
    process = demo(root, "--month", "2024-01")
    read_until(process, "yellow.raw_file: running")
    process.terminate()
    printed, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in printed
