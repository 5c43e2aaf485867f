"""The dbt that the demo runs."""

from __future__ import annotations

import pytest

from airflow_lakehouse_provider.demo import dbt_environment
from airflow_lakehouse_provider.demo.errors import DemoError


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(dbt_environment.VARIABLE, raising=False)


def executable(path):
    path.parent.mkdir(parents=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_one_named_goes_first(tmp_path, monkeypatch):
    executable(tmp_path / ".venv-dbt/bin/dbt")
    mine = executable(tmp_path / "mine/dbt")
    monkeypatch.setenv(dbt_environment.VARIABLE, str(mine))
    assert dbt_environment.executable(tmp_path / "cache", print) == mine


def test_a_name_without_an_executable_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv(dbt_environment.VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(DemoError, match=r"LAKEHOUSE_DBT_EXECUTABLE is .*nothing, where there is no executable"):
        dbt_environment.executable(tmp_path / "cache", print)


def test_the_checkouts_own_is_next(tmp_path):
    dbt = executable(tmp_path / ".venv-dbt/bin/dbt")
    assert dbt_environment.executable(tmp_path / "cache", print) == dbt


def test_without_a_registry_it_says_so_and_counts_nothing_as_installed(tmp_path, monkeypatch):
    for name, value in {
        "UV_OFFLINE": "1", "UV_NO_CACHE": "1", "UV_INDEX_URL": "http://127.0.0.1:9", "UV_DEFAULT_INDEX": "http://127.0.0.1:9",
        "PIP_INDEX_URL": "http://127.0.0.1:9", "PIP_RETRIES": "0",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    logged = []
    for _ in range(2):
        with pytest.raises(DemoError, match="package registry must be reachable once"):
            dbt_environment.executable(tmp_path / "cache", logged.append)
    assert len(logged) == 2
