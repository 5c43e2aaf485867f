"""The cost of a month's dbt: run + test of the shipped project by bare dbt, ours, cosmos and airflow-dbt-python.

    .venv/bin/python benchmarks/dbt.py                        # all; environments go under .lakehouse/bench
    .venv/bin/python benchmarks/dbt.py --only bare ours --rounds 3

One local AWS, a database of its own for each contender and the same cleaned month for all. Each contender is a process
that imports what it needs, as an Airflow worker has, and waits; the clock runs from there to its end. CPU seconds are
of the process and all it started; the peak is of their proportional memory (PSS) together. Queries and invocations are
counted by the local Athena: an invocation is one that dbt names in the comment of its queries, so those that ask Athena
nothing, as `dbt ls` does, go uncounted. Every contender runs the same copy of the project, which has that comment.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / ".lakehouse" / "bench"
DBT = os.environ.get("LAKEHOUSE_DBT_EXECUTABLE") or str(ROOT / ".venv-dbt/bin/dbt")
YEAR, MONTH, TRIPS = 2024, 1, 2000

# Each is run as `python -c SOURCE SETTINGS`, says "ready" and begins at the first line of standard input.
BARE = """
import json, subprocess, sys
given = json.loads(sys.argv[1])
print("ready", flush=True); sys.stdin.readline()
for command in (["build", "--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"],
                ["test", "--exclude-resource-type", "unit_test"]):
    subprocess.run([given["dbt"], *command, "--project-dir", given["project"], "--profiles-dir", given["profiles"],
                    "--vars", json.dumps(given["vars"])], check=True, stdout=subprocess.DEVNULL)
"""
OURS = """
import json, sys
from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator
given = json.loads(sys.argv[1])
usual = dict(project=given["project"], dbt_executable=given["dbt"], schema=given["schema"], vars=given["vars"],
             s3_staging_dir=given["staging"], s3_data_dir=given["data"], aws_conn_id=None, threads=4,
             artifacts_uri=given["staging"] + "artifacts")
tests = ["--exclude-resource-type", "unit_test"]
print("ready", flush=True); sys.stdin.readline()
build = [*tests, "--exclude-resource-type", "test"]
DbtAthenaOperator(task_id="run", command="build", flags=build, **usual).execute({})
DbtAthenaOperator(task_id="test", command="test", flags=tests, **usual).execute({})
"""
COSMOS = """
import datetime, json, sys
from airflow.sdk import DAG
from cosmos import DbtTaskGroup, ExecutionConfig, ProfileConfig, ProjectConfig, RenderConfig
from cosmos.constants import ExecutionMode, InvocationMode, LoadMode
given = json.loads(sys.argv[1])
print("ready", flush=True); sys.stdin.readline()
with DAG("bench", start_date=datetime.datetime(2024, 1, 1), schedule=None) as dag:
    DbtTaskGroup(
        project_config=ProjectConfig(given["project"], dbt_vars=given["vars"]),
        profile_config=ProfileConfig("nyc_taxi", "dev", profiles_yml_filepath=given["profiles"] + "/profiles.yml"),
        execution_config=ExecutionConfig(execution_mode=ExecutionMode.LOCAL, dbt_executable_path=given["dbt"],
                                         invocation_mode=InvocationMode.SUBPROCESS),
        render_config=RenderConfig(load_method=LoadMode.DBT_LS, dbt_executable_path=given["dbt"], emit_datasets=False,
                                   invocation_mode=InvocationMode.SUBPROCESS, exclude=["resource_type:unit_test"],
                                   should_detach_multiple_parents_tests=True),
        operator_args={"install_deps": False, "should_store_compiled_sql": False},
    )
class Ti:
    dag_id, task_id, run_id, try_number, map_index = "bench", "t", "r", 1, -1
    def xcom_push(self, *_, **__): pass
ti = Ti()
for task in dag.topological_sort():
    if hasattr(task, "build_and_run_cmd"):
        context = dict(ti=ti, task_instance=ti, run_id="r", params={}, dag=dag, task=task, outlet_events={})
        task.build_and_run_cmd(context=context, cmd_flags=task.add_cmd_flags())
"""
ADP = """
import json, sys
from airflow_dbt_python.operators.dbt import DbtBuildOperator, DbtTestOperator
given = json.loads(sys.argv[1])
usual = dict(project_dir=given["project"], profiles_dir=given["profiles"], vars=given["vars"])
print("ready", flush=True); sys.stdin.readline()
context = dict(ti=None, task_instance=None, params={})
tests = ["resource_type:unit_test"]
DbtBuildOperator(task_id="run", exclude=[*tests, "resource_type:test"], **usual).execute(context)
DbtTestOperator(task_id="test", exclude=tests, **usual).execute(context)
"""
CONTENDERS: dict[str, tuple[str, list[str] | None]] = {
    "bare": (BARE, None),
    "ours": (OURS, None),
    "cosmos": (COSMOS, ["apache-airflow==3.3.2", "astronomer-cosmos==1.15.1"]),
    "airflow-dbt-python": (
        ADP,
        ["apache-airflow", "airflow-dbt-python", "dbt-core<1.12", "dbt-athena-community==1.11.1"],
    ),
}
DEFAULT_FLAG = "require_generic_test_arguments_property"
TITLES = {"bare": "bare dbt", "ours": "DbtAthenaOperator", "cosmos": "cosmos 1.15.1, LOCAL"}
WATCHER = (
    "cosmos's watcher mode is left out: its producer hands each node on through XComs of a running Airflow, which no "
    "process by itself has."
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, default=list(CONTENDERS))
    parser.add_argument("--rounds", type=int, default=1, help="of each; the median is printed")
    parser.add_argument("--trips", type=int, default=TRIPS, help="rows of the month")
    parser.add_argument("--environments", type=Path, default=BENCH, help="where the peers' environments are, or go")
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT / "glue_scripts"))  # the cleaned zone's columns are the script's
    local = _module(ROOT / "tests/integration/conftest.py", "local")
    zone = _module(ROOT / "tests/integration/dbt/conftest.py", "zone")
    with tempfile.TemporaryDirectory(prefix="bench-dbt-") as folder:
        aws = local.LocalAwsProcess(Path(folder) / "aws")
        try:
            _compare(aws, zone, given, Path(folder))
        finally:
            aws.stop()


def _compare(aws: Any, zone: ModuleType, given: argparse.Namespace, folder: Path) -> None:
    aws.client("glue").create_database(DatabaseInput={"Name": "cleaned"})
    cleaned = zone.CleanedZone(aws.client, "cleaned")
    cleaned.load(YEAR, MONTH, [{"pickup_location_id": 1 + at % 200} for at in range(given.trips)], rejected=3)
    project = _project(folder)
    rows: dict[str, list[dict[str, float]]] = {}
    skipped: dict[str, str] = {}
    for at in range(given.rounds):
        for name in given.only:
            if name in skipped:
                continue
            try:
                python = _python(name, given.environments)
                measured = _measured(name, python, aws, folder, project, f"{name.replace('-', '_')}_{at}")
            except (RuntimeError, subprocess.CalledProcessError) as error:
                skipped[name] = str(error).strip().splitlines()[-1]
                continue
            rows.setdefault(name, []).append(measured)
            print(f"{name}, round {at + 1}: {measured}", file=sys.stderr, flush=True)
    _table(rows, skipped)


def _project(folder: Path) -> Path:
    """Copy the shipped project, with the invocation in its query comment, for every contender.

    One of dbt's own defaults is written down in it, which airflow-dbt-python 3.6.2 leaves unset.
    """
    from airflow_lakehouse_provider.dbt.project import Project
    from airflow_lakehouse_provider.dbt.workspace import with_query_comment
    from airflow_lakehouse_provider.starter import LEFT_BEHIND

    copy = folder / "project"
    left_out = shutil.ignore_patterns(*LEFT_BEHIND, "profiles.yml")
    shutil.copytree(ROOT / "dbt_models", copy, ignore=left_out)
    text = with_query_comment(Project.open(copy))
    (copy / "dbt_project.yml").write_text(re.sub(r"(?m)^flags:$", f"flags:\n  {DEFAULT_FLAG}: true", text))
    return copy


def _measured(name: str, python: Path, aws: Any, folder: Path, project: Path, schema: str) -> dict[str, float]:
    """Measure one contender's run + test."""
    bucket = f"bench-{schema.replace('_', '-')}"
    aws.client("s3").create_bucket(Bucket=bucket)
    aws.client("glue").create_database(DatabaseInput={"Name": schema})
    own = folder / schema
    (own / "tmp").mkdir(parents=True)
    place = {"staging": f"s3://{bucket}/results/", "data": f"s3://{bucket}/data", "schema": schema}
    profile = {
        **{"type": "athena", "database": "awsdatacatalog", "schema": schema, "region_name": "us-east-1", "threads": 4},
        **{"s3_staging_dir": place["staging"], "s3_data_dir": place["data"], "s3_data_naming": "schema_table_unique"},
    }
    profiles = {"nyc_taxi": {"target": "dev", "outputs": {"dev": profile}}}
    (own / "profiles.yml").write_text(json.dumps(profiles))  # JSON is YAML
    # A copy each: what one leaves in target/ or logs/ would be another's partial parse.
    shutil.copytree(project, own / "project")
    variables = {"cleaned_database": "cleaned", "year": YEAR, "month": MONTH}
    settings = {**place, "project": str(own / "project"), "profiles": str(own), "dbt": DBT, "vars": variables}
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DBT_"))}
    environment |= {**aws.environment, "TMPDIR": str(own / "tmp"), "AIRFLOW_HOME": str(own / "airflow")}
    environment |= {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "AIRFLOW__CORE__LOAD_EXAMPLES": "0"}
    environment |= {"AIRFLOW__COSMOS__ENABLE_TELEMETRY": "0", "AIRFLOW_CONN_FS_DEFAULT": "fs://"}
    if CONTENDERS[name][1] is not None:  # the peers look into Airflow's database
        migrate = [str(python), "-m", "airflow", "db", "migrate"]
        subprocess.run(migrate, env=environment, check=True, capture_output=True)
    log = own / "log"
    with log.open("w") as written:
        process = subprocess.Popen(
            [str(python), "-c", CONTENDERS[name][0], json.dumps(settings)],
            **{"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": written, "text": True},
            **{"env": environment, "cwd": own},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        while (line := process.stdout.readline()).strip() != "ready":
            if not line:
                process.wait()
                raise RuntimeError(_end(log) or f"{name} ended at once")
        began, peak = time.monotonic(), Peak(process.pid)
        before = _cpu(process.pid)
        threading.Thread(target=written.writelines, args=(process.stdout,), daemon=True).start()
        process.stdin.write("go\n")
        process.stdin.close()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        peak.stop()
    if status:
        print(*log.read_text().splitlines()[-40:], sep="\n", file=sys.stderr)
        raise RuntimeError(f"failed: {_end(log)}")
    queries, invocations = _query_counts(aws, schema)
    return {
        "wall": round(wall, 2),
        "cpu": round(used.ru_utime + used.ru_stime - before, 2),
        "memory": round(peak.bytes / 1e6),
        "invocations": invocations,
        "queries": queries,
    }


class Peak:
    """The most memory that a process and its descendants had together, looked at ten times a second."""

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._pid = pid
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        import psutil

        root = psutil.Process(self._pid)
        while not self._ended.wait(0.1):
            total = 0
            try:
                for process in (root, *root.children(recursive=True)):
                    text = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
                    total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1]) * 1024  # type: ignore[index]
            except (OSError, psutil.Error, TypeError):
                continue
            self.bytes = max(self.bytes, total)


def _cpu(pid: int) -> float:
    """Return the CPU seconds of a process so far: those of its imports are not the task's."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def _query_counts(aws: Any, schema: str) -> tuple[int, int]:
    """Return the number of queries in a schema, and of the invocations of dbt that they name."""
    athena = aws.client("athena")
    found = []
    for page in athena.get_paginator("list_query_executions").paginate():
        for at in range(0, len(page["QueryExecutionIds"]), 50):
            batch = page["QueryExecutionIds"][at : at + 50]
            found += athena.batch_get_query_execution(QueryExecutionIds=batch)["QueryExecutions"]
    own = [each["Query"] for each in found if each["QueryExecutionContext"].get("Database") == schema]
    return len(own), len(set(re.findall(r'"invocation_id": "([^"]+)"', "\n".join(own))))


def _python(name: str, environments: Path) -> Path:
    """Return the Python of a contender; make a peer's environment where there is none."""
    wanted = CONTENDERS[name][1]
    if not Path(DBT).exists():
        raise RuntimeError(f"there is no dbt at {DBT}: make .venv-dbt/.installed")
    if wanted is None:
        return Path(sys.executable)
    folder = environments / name
    if not (folder / "bin/python").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        uv = [str(Path(sys.executable).with_name("uv"))]
        try:
            subprocess.run([*uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
            install = [*uv, "pip", "install", "--quiet", "--python", str(folder), *wanted]
            subprocess.run(install, check=True, capture_output=True, text=True)
        except subprocess.CalledProcessError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise RuntimeError(f"its environment could not be made: {(error.stderr or '').strip()[-300:]}") from error
    return folder / "bin/python"


def _table(rows: dict[str, list[dict[str, float]]], skipped: dict[str, str]) -> None:
    names = ("wall", "cpu", "memory", "invocations", "queries")
    middle = {name: {key: statistics.median(run[key] for run in runs) for key in names} for name, runs in rows.items()}
    bare = middle.get("bare")
    print("\n| run + test | wall, s | of bare | CPU, s | of bare | peak, MB | dbt invocations | Athena queries |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in middle.items():
        ratio = [f"{row[key] / bare[key]:.2f}" if bare else "" for key in ("wall", "cpu")]
        cells = [TITLES.get(name, name), f"{row['wall']:.1f}", ratio[0], f"{row['cpu']:.1f}", ratio[1]]
        print(f"| {' | '.join([*cells, *(f'{row[key]:.0f}' for key in names[2:])])} |")
    for name, why in skipped.items():
        print(f"\n{name} is left out: {why}")
    print(f"\n{WATCHER}\nLoad of the machine at the end: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores.")


def _end(log: Path) -> str:
    return " ".join(log.read_text().strip().splitlines()[-1:])


def _module(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
