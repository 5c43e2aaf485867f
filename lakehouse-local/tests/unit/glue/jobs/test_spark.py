"""Settings with which Spark is started; no test here starts it."""

from __future__ import annotations

import sys

import pytest

from lakehouse_local.glue.identity import RunIdentity
from lakehouse_local.glue.jobs import class_archive, runs, spark
from lakehouse_local.glue.jobs.api import Jobs

from ..conftest import Calls, wait_for

pytest.importorskip("pyspark", reason="needs the extra 'local'")


@pytest.mark.parametrize(
    ("conf", "expected"),
    [
        ("", {}),
        ("spark.a=1", {"spark.a": "1"}),
        ("spark.a=1 --conf spark.b=x=y z", {"spark.a": "1", "spark.b": "x=y z"}),
    ],
)
def test_the_conf_argument(conf, expected):
    assert dict(spark.settings(conf)) == expected


@pytest.mark.parametrize("conf", ["spark.a", "spark.a 1", "spark.a=1 --conf spark.b", "=1"])
def test_a_malformed_conf_argument(conf):
    with pytest.raises(ValueError, match=r"--conf must be spark\.name=value"):
        dict(spark.settings(conf))


def test_files_in_a_runs_directory(tmp_path, monkeypatch):
    monkeypatch.delenv("LAKEHOUSE_SPARK_MEMORY", raising=False)
    for name in ("a-bucket", "dots.too", ".state"):
        (tmp_path / "my store" / name).mkdir(parents=True)
    directory = tmp_path / "run"
    environment = spark.environment(
        directory=directory,
        store=tmp_path / "my store",
        conf="spark.sql.shuffle.partitions=9 --conf spark.driver.extraJavaOptions=-Dx=1",
    )
    properties = (directory / "spark/conf/spark-defaults.conf").read_text()
    assert "spark.sql.shuffle.partitions 9\n" in properties
    mounted = [line.split()[0] for line in properties.splitlines() if ".mounttable." in line]
    assert mounted == [f"spark.hadoop.fs.viewfs.mounttable.{name}.linkFallback" for name in ("a-bucket", "dots.too")]
    assert "my%20store/dots.too" in properties
    submit = (directory / "spark/bin/spark-submit").read_text()
    assert " -Xmx1g " in submit
    assert " -Dx=1 " in submit
    assert submit.endswith(' "$@"\n')
    assert environment["SPARK_HOME"] == str(directory / "spark")
    assert environment["PYSPARK_PYTHON"] == sys.executable


def test_the_class_archive_is_used_when_it_is_there(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert class_archive.options() == []
    archive = class_archive.folder() / "spark.jsa"
    archive.parent.mkdir(parents=True)
    archive.touch()
    assert class_archive.options() == [f"-XX:SharedArchiveFile={archive}"]
    assert class_archive.build() == archive.parent  # it exists already


def test_a_class_archive_where_nothing_can_be_written(tmp_path, monkeypatch):
    (tmp_path / "share").touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    with pytest.raises(class_archive.ArchiveError, match="cannot be written"):
        class_archive.build()


def test_a_class_archive_that_takes_too_long_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(class_archive, "_SECONDS", 0.01)
    with pytest.raises(class_archive.ArchiveError, match="timed out"):
        class_archive.build()
    assert [path.name for path in class_archive.folder().iterdir()] == ["lock"]


def test_spark_runs_wait_for_a_slot(store, state_dir, logs, monkeypatch):
    monkeypatch.setattr(runs.spark, "environment", lambda **_: {})
    store.write("s3://code/a.py", b"import time; print(1, flush=True); time.sleep(600)")
    service = Jobs(state_dir, store, logs.write, lambda *_: RunIdentity({}), processes=1)
    try:
        calls = Calls(service)
        command = {"Name": "glueetl", "ScriptLocation": "s3://code/a.py"}
        calls.CreateJob(Name="job", Role="r", Command=command, ExecutionProperty={"MaxConcurrentRuns": 3})
        ids = [calls.StartJobRun(JobName="job")["JobRunId"] for _ in range(3)]

        def states():
            return sorted(calls.GetJobRun(JobName="job", RunId=each)["JobRun"]["JobRunState"] for each in ids)

        wait_for(lambda: logs.lines)
        assert states() == ["RUNNING", "STARTING", "STARTING"]
        running = next(stream for _, _, stream, _ in logs.lines)
        waiting = [each for each in ids if each != running]
        calls.BatchStopJobRun(JobName="job", JobRunIds=waiting[:1])
        wait_for(lambda: states() == ["RUNNING", "STARTING", "STOPPED"])
        calls.BatchStopJobRun(JobName="job", JobRunIds=[running])
        wait_for(lambda: states() == ["RUNNING", "STOPPED", "STOPPED"])
    finally:
        service.close()


@pytest.mark.parametrize("value", ["0", "-1", "many"])
def test_a_wrong_number_of_processes(store, state_dir, logs, monkeypatch, value):
    monkeypatch.setenv("LAKEHOUSE_GLUE_PROCESSES", value)
    with pytest.raises(ValueError, match=f"LAKEHOUSE_GLUE_PROCESSES must be a whole number from 1 on, not '{value}'"):
        Jobs(state_dir, store, logs.write, lambda *_: RunIdentity({}))
