"""A dbt process, played by a script: found, its log read, stopped."""

from __future__ import annotations

import os
import sys
import time

import pytest

from airflow_lakehouse_provider.dbt.invocation import ExecutableError, Invocation, find_executable

HEADER = '{"data": {"version": "=%s"}, "info": {"name": "MainReportVersion", "level": "info", "msg": "Running"}}'


@pytest.fixture
def program(tmp_path):
    """An executable of Python source."""

    def program(source, name="dbt"):
        file = tmp_path / name
        file.write_text(f"#!{sys.executable}\n{source}\n")
        file.chmod(0o755)
        return str(file)

    return program


def invocation(executable, tmp_path, *arguments):
    return Invocation(executable=[executable], arguments=arguments, environment=dict(os.environ), directory=tmp_path)


def test_the_log_is_read_while_it_is_written_and_the_exit_code_returned(program, tmp_path):
    dbt = program(f"import os, sys; print('''{HEADER % '1.11.16'}'''); print(os.getcwd(), *sys.argv[1:]); sys.exit(1)")
    events = []
    with invocation(dbt, tmp_path, "run", "--select", "a b") as running:
        assert running.wait(events.append) == 1
    assert [event.message for event in events if event.message] == ["Running", f"{tmp_path} run --select a b"]
    assert running.log.version == "1.11.16"
    assert running.seconds > 0
    assert not running.stopping


def test_what_is_not_utf8_is_no_accident(program, tmp_path):
    dbt = program(f"import sys; print('''{HEADER % '1.9.0'}''', flush=True); sys.stdout.buffer.write(b'caf\\xe9')")
    events = []
    with invocation(dbt, tmp_path) as running:
        assert running.wait(events.append) == 0
    assert events[-1].message == "caf\ufffd"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            "print('uptime 3 days')",
            "is not a dbt that works: its exit code is 0, its output: uptime 3 days. On MWAA make",
        ),
        ("import sys; sys.exit(4)", "its exit code is 4, its output: nothing. On MWAA make"),
        ("import nowhere", "No module named 'nowhere'"),
        (
            f"print('''{HEADER % '1.7.19'}''', flush=True); import time; time.sleep(60)",
            "is dbt 1.7.19, and dbt 1.8 or later",
        ),
    ],
)
def test_what_is_no_usable_dbt(program, tmp_path, source, message):
    with pytest.raises(ExecutableError, match=message), invocation(program(source), tmp_path) as running:
        running.wait(lambda event: None)


def test_options_that_dbt_does_not_know_are_dbts_to_explain(program, tmp_path):
    dbt = program("import sys; print('Usage: dbt run [OPTIONS]\\nError: No such option: --x'); sys.exit(2)")
    with invocation(dbt, tmp_path) as running:
        assert running.wait(lambda event: None) == 2
    assert list(running.log.tail) == ["Usage: dbt run [OPTIONS]", "Error: No such option: --x"]


WAITING = f"""
import sys, time
try:
    print('''{HEADER % "1.11.16"}''', flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("cancelled", flush=True)
    sys.exit(2)
"""


def test_stop_interrupts_and_wait_comes_back(program, tmp_path):
    events = []

    def on_event(event):
        events.append(event.message)
        if event.name == "MainReportVersion":
            running.stop()

    with invocation(program(WAITING), tmp_path) as running:
        assert running.wait(on_event) == 2
    assert events == ["Running", "cancelled"]
    assert running.stopping


def test_stopped_before_it_began(program, tmp_path):
    running = invocation(program(WAITING), tmp_path)
    running.stop()
    began = time.monotonic()
    with running:
        running.wait(lambda event: None)
    assert time.monotonic() - began < 10


def test_an_error_inside_leaves_no_process(program, tmp_path):
    with pytest.raises(ZeroDivisionError), invocation(program(WAITING), tmp_path) as running:
        running.wait(lambda event: 1 // 0)
    assert running._process.returncode is not None


def test_a_dbt_that_talks_without_end_is_stopped_too(program, tmp_path):
    # The pipe is full and nobody reads: it must be read for dbt to come to its senses.
    talking = f"print('''{HEADER % '1.11.16'}''', flush=True)\nwhile True:\n    print('x' * 10000, flush=True)"
    began = time.monotonic()
    with pytest.raises(ZeroDivisionError), invocation(program(talking), tmp_path) as running:
        running.wait(lambda event: 1 // 0)
    assert time.monotonic() - began < 10


def test_finding_dbt(program, tmp_path, monkeypatch):
    dbt = program("", "dbt-of-ours")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_executable("dbt-of-ours") == find_executable(dbt) == dbt
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_executable("~/dbt-of-ours") == dbt


@pytest.mark.parametrize(
    ("executable", "message"),
    [
        ("no-such-dbt", "'no-such-dbt' is not on this worker's PATH. On MWAA make its environment in startup.sh"),
        ("/no/such/dbt", "'/no/such/dbt' does not exist on this worker. On MWAA"),
        ("", "dbt_executable must be a path or a name on PATH, not ''"),
        (None, "dbt_executable must be a path or a name on PATH, not None"),
    ],
)
def test_no_dbt(executable, message):
    with pytest.raises(ExecutableError, match=message):
        find_executable(executable)


def test_a_file_that_may_not_be_executed(tmp_path):
    file = tmp_path / "dbt"
    file.write_text("")
    with pytest.raises(ExecutableError, match="is a file that may not be executed"):
        find_executable(str(file))
