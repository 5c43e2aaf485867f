"""The preparations of a demo."""

from __future__ import annotations

import pytest

pytest.importorskip("pyarrow", reason="needs the extra 'local'")

from airflow_lakehouse_provider import starter
from airflow_lakehouse_provider.config import Lakehouse
from airflow_lakehouse_provider.demo import prepare
from airflow_lakehouse_provider.demo.errors import DemoError


def test_an_earlier_demo_is_cleared_away(tmp_path):
    root = tmp_path / "demo"
    prepare.empty_root(root)
    (root / "aws").mkdir()
    (root / "aws/object").write_text("old")
    prepare.empty_root(root)
    assert [path.name for path in root.iterdir()] == [".lakehouse-demo"]


def test_files_that_no_demo_wrote_are_not_touched(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DemoError, match=r"holds files that no demo wrote.*choose another --root"):
        prepare.empty_root(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_the_demo_runs_the_users_lakehouse_but_schedules_and_retries_nothing(tmp_path):
    config = starter.path("example_dags") / "lakehouse.yaml"
    mine = Lakehouse.load(config)
    demo = prepare.write_dags(config, tmp_path / "dbt", tmp_path / "dags")
    assert (demo.zones, demo.databases, demo.glue, demo.services) == (
        mine.zones,
        mine.databases,
        mine.glue,
        mine.services,
    )
    assert demo.dbt.project == mine.dbt.project
    assert demo.dbt.executable == str(tmp_path / "dbt")
    assert (demo.schedule.retries, demo.schedule.catchup) == (0, False)
    assert demo.schedule.start > mine.schedule.start
    assert (tmp_path / "dags/nyc_taxi_monthly.py").is_file()


def test_a_lakehouse_without_the_dag_is_refused(tmp_path):
    config = tmp_path / "lakehouse.yaml"
    config.write_text((starter.path("example_dags") / "lakehouse.yaml").read_text())
    with pytest.raises(DemoError, match=r"nyc_taxi_monthly\.py is missing"):
        prepare.write_dags(config, tmp_path / "dbt", tmp_path / "dags")
