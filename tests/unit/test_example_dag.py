"""The example DAG: what it runs in which order, for which month, and the values that its form refuses."""

from __future__ import annotations

import importlib.util
import logging
import shutil
from datetime import timedelta
from types import SimpleNamespace

import pendulum
import pytest

pytest.importorskip("airflow")

from airflow.timetables.base import TimeRestriction

from airflow_lakehouse_provider import starter
from airflow_lakehouse_provider.month import Month


def load(folder, file="nyc_taxi_monthly.py", **changes):
    """The DAG's module, beside a lakehouse.yaml with these changes."""
    for each in (file, "lakehouse.yaml"):
        shutil.copyfile(starter.path("example_dags") / each, folder / each)
    text = (folder / "lakehouse.yaml").read_text()
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    (folder / "lakehouse.yaml").write_text(text)
    spec = importlib.util.spec_from_file_location(f"example_{id(folder)}", folder / file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    return load(tmp_path_factory.mktemp("dags"))


def test_the_steps_follow_each_other(module):
    waits_for = {task.task_id: sorted(task.upstream_task_ids) for task in module.dag.tasks}
    assert waits_for == {
        "yellow.raw_file": [],
        "yellow.clean": ["yellow.raw_file"],
        "catalogue": ["yellow.clean"],
        "reference.dbt_build": ["catalogue"],
        "reference.dbt_test": ["reference.dbt_build"],
        "reference.publish": ["reference.dbt_build", "reference.dbt_test"],
        "dbt_build": ["reference.publish"],
        "dbt_test": ["dbt_build"],
        "publish": ["dbt_build", "dbt_test"],
        "load_quality": ["publish"],
    }
    # Seeds and dimensions are skipped when they are as they were.
    assert module.dag.get_task("dbt_build").trigger_rule == "none_failed"


def test_each_service_is_a_load_of_its_own_and_one_crawl_covers_both(tmp_path):
    dag = load(tmp_path, **{"services: [yellow] ": "services: [yellow, green] "}).dag
    assert dag.get_task("catalogue").upstream_task_ids == {"yellow.clean", "green.clean"}
    arguments = [dag.get_task(f"{service}.clean").script_args for service in ("yellow", "green")]
    assert [each["--service"] for each in arguments] == ["yellow", "green"]
    assert len({each["--report_uri"] for each in arguments}) == 2


def test_a_scheduled_run_loads_the_month_before(module):
    restriction = TimeRestriction(earliest=pendulum.datetime(2024, 1, 1), latest=None, catchup=True)
    info = module.dag.timetable.next_dagrun_info(last_automated_data_interval=None, restriction=restriction)
    assert info.run_after == pendulum.datetime(2024, 2, 5, 6)
    assert Month.of(info.data_interval.start.year, info.data_interval.start.month) == Month(2024, 1)


@pytest.mark.parametrize("value", [0, 13, "1", 1.5])
def test_the_form_refuses_an_invalid_month(module, value):
    param = module.dag.params.get_param("month")
    with pytest.raises(Exception, match=r"minimum|maximum|is not"):  # ValueError on 3, AirflowException on 2.10
        param.resolve(value=value)


@pytest.mark.parametrize(("name", "value"), [("month", None), ("month", 12), ("year", None), ("year", 2024)])
def test_the_form_takes_a_month_or_none(module, name, value):
    assert module.dag.params.get_param(name).resolve(value=value) == value


def test_retries_and_polling_are_those_of_lakehouse_yaml(module, tmp_path):
    clean = module.dag.get_task("yellow.clean")
    assert (clean.retries, clean.retry_delay, clean.job_poll_interval) == (2, timedelta(minutes=5), 30.0)
    changed = load(tmp_path, **{"  catchup: false": "  catchup: true\n  retries: 5\npoll_seconds: 7"}).dag
    assert changed.catchup is True
    assert (changed.get_task("yellow.clean").retries, changed.get_task("catalogue").poke_interval) == (5, 7.0)


def test_waiting_holds_no_worker(module):
    for task_id in ("yellow.raw_file", "yellow.clean", "catalogue"):
        assert module.dag.get_task(task_id).deferrable is True


def test_a_month_is_built_apart_and_published_after_its_tests(module):
    build, test, publish = (module.dag.get_task(name) for name in ("dbt_build", "dbt_test", "publish"))
    assert build.audit == "{{ month() }}"
    assert build.fence == test.fence == module.lakehouse.dbt.fence_role
    assert test.audit == publish.attempt
    assert build.partitions == "year = {{ month().year }} and month = {{ month().month }}"
    assert build.pool == "default_pool"


@pytest.mark.parametrize(("kept", "empty"), [([0], True), ([0, 0], True), ([0, 5], False), ([7], False)])
def test_a_month_without_a_kept_row_is_published_as_empty(module, kept, empty):
    assert module.kept_nothing([{"report": {"rows_kept": rows}} for rows in kept]) is empty


def test_a_failure_is_logged_with_what_to_do(module, caplog):
    task = SimpleNamespace(task_id="yellow.clean", dag_id="nyc_taxi_monthly")
    with caplog.at_level(logging.ERROR):
        module.log_failure({"ti": task, "run_id": "r1", "exception": ValueError("the raw file is corrupt")})
    assert "yellow.clean of nyc_taxi_monthly, run r1, failed: the raw file is corrupt" in caplog.text
    assert "clear the task" in caplog.text
    for operator in module.dag.tasks:
        assert operator.on_failure_callback


def test_every_name_comes_from_lakehouse_yaml(module):
    lakehouse = module.lakehouse
    dag = module.dag
    assert dag.get_task("yellow.clean").job_name == lakehouse.glue.job
    assert dag.get_task("catalogue").crawler_name == lakehouse.glue.crawler
    dbt = dag.get_task("dbt_test")
    assert (dbt.schema, dbt.work_group) == (lakehouse.databases.marts, lakehouse.athena.work_group)
    assert dbt.s3_data_dir.startswith(lakehouse.zones.curated)


def test_the_rollback_is_triggered_with_a_month_and_perhaps_a_generation(tmp_path):
    dag = load(tmp_path, "lakehouse_rollback.py").dag
    (task,) = dag.tasks
    for value in ("2024-05", "2024-12"):
        assert dag.params.get_param("month").resolve(value=value) == value
    for wrong in ("2024-13", "24-05", "2024-5", "None", ""):
        with pytest.raises(Exception, match="does not match"):
            dag.params.get_param("month").resolve(value=wrong)
    for params, to in (({"month": "2024-05", "generation": None}, None), ({"month": "2024-05", "generation": 3}, 3)):
        rendered = dag.tasks[0].prepare_for_execution()
        rendered.render_template_fields({"params": params, "dag": dag})
        assert (rendered.unit, rendered.to) == ("2024-05", to)
    assert task.s3_data_dir == "s3://nyc-taxi-curated"


def test_the_sweep_runs_each_night(tmp_path):
    (task,) = load(tmp_path, "lakehouse_sweep.py").dag.tasks
    assert (task.schemas, task.s3_data_dir) == (["nyc_taxi_marts"], "s3://nyc-taxi-curated")
