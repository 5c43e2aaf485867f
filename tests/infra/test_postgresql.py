"""`lakehouse demo --database`: Airflow on a real PostgreSQL, as compose has it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.infra, pytest.mark.e2e, pytest.mark.spark]


def _programs():
    found = shutil.which("initdb")
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    return Path(found).resolve().parent if found else folders[-1] if folders else None


@pytest.fixture
def postgresql(tmp_path_factory):
    """Address of a server's database, on loopback; the server is the test's own."""
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    pytest.importorskip("psycopg2")
    pytest.importorskip("asyncpg")
    data = tmp_path_factory.mktemp("postgresql")
    who = {}
    if os.geteuid() == 0:  # which the server refuses
        try:
            pwd.getpwnam("postgres")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
        for folder in (data, *data.parents):
            if folder == Path("/tmp"):
                break
            folder.chmod(0o711)
        shutil.chown(data, "postgres", "postgres")
        who = {"user": "postgres", "group": "postgres"}

    def run(program, *arguments):
        subprocess.run([programs / program, *arguments], check=True, capture_output=True, cwd=data, **who)

    run("initdb", "-D", data / "db", "-U", "airflow", "--auth=trust")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = f"-c listen_addresses=127.0.0.1 -p {port} -k {data}"
    run("pg_ctl", "-D", data / "db", "-w", "-l", data / "log", "-o", options, "start")
    try:
        run("createdb", "-h", "127.0.0.1", "-p", str(port), "-U", "airflow", "demo")
        yield f"postgresql://airflow@127.0.0.1:{port}/demo"
    finally:
        run("pg_ctl", "-D", data / "db", "-m", "immediate", "-t", "600", "stop")


def test_a_month_runs_with_airflow_on_postgresql(postgresql, repository, tmp_path):
    if not (repository / ".venv-dbt/bin/dbt").is_file():
        pytest.skip("no dbt environment (.venv-dbt)")

    def demo(root):
        command = [sys.executable, "-m", "airflow_lakehouse_provider.cli", "demo", "--root", str(tmp_path / root)]
        options = ["--rows", "3000", "--month", "2024-01", "--database", postgresql]
        return subprocess.run([*command, *options], capture_output=True, text=True, cwd=repository, timeout=600)

    done = demo("demo")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert not (tmp_path / "demo" / "airflow" / "airflow.db").exists()
    again = demo("again")
    assert again.returncode == 1
    assert "nothing is overwritten" in again.stderr
