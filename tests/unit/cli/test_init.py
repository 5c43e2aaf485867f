"""`lakehouse init` and the command group."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from airflow_lakehouse_provider.cli.main import COMMANDS, lakehouse
from airflow_lakehouse_provider.config import Lakehouse


def test_init_writes_a_starter_that_loads(tmp_path):
    result = CliRunner().invoke(lakehouse, ["init", str(tmp_path / "mine")])
    assert result.exit_code == 0, result.output
    assert Lakehouse.load(tmp_path / "mine/example_dags/lakehouse.yaml").dbt.project == str(
        tmp_path / "mine/dbt_models"
    )
    for file in ("example_dags/nyc_taxi_monthly.py", "glue_scripts/clean_trips.py", "dbt_models/dbt_project.yml"):
        assert (tmp_path / "mine" / file).is_file()
    assert not list((tmp_path / "mine").rglob("__pycache__"))


def test_init_overwrites_nothing(tmp_path):
    (tmp_path / "dbt_models").mkdir()
    (tmp_path / "dbt_models/mine.sql").write_text("select 1")
    result = CliRunner().invoke(lakehouse, ["init", str(tmp_path)])
    assert result.exit_code == 1
    assert "dbt_models is there already, and nothing is overwritten" in result.output
    assert [p.name for p in tmp_path.rglob("*")] == ["dbt_models", "mine.sql"]


def test_help_names_every_command_without_importing_any():
    result = CliRunner().invoke(lakehouse, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)


def test_an_unknown_command_is_refused():
    result = CliRunner().invoke(lakehouse, ["dmeo"])
    assert result.exit_code == 2
    assert "No such command 'dmeo'" in result.output


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(name):
    pytest.importorskip("duckdb", reason="needs the extra 'local'")
    result = CliRunner().invoke(lakehouse, [name, "--help"])
    assert result.exit_code == 0, result.output


def test_a_command_of_the_extra_says_how_to_install_it(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError("No module named 'duckdb'", name="duckdb")

    monkeypatch.setattr("importlib.import_module", missing)
    result = CliRunner().invoke(lakehouse, ["local"])
    assert result.exit_code == 1
    assert "pip install 'airflow-lakehouse-provider[local]'" in result.output
