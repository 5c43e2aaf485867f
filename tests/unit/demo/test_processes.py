"""Processes of the demo end with it, and say why they ended by themselves."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from airflow_lakehouse_provider.demo.errors import DemoError
from airflow_lakehouse_provider.demo.processes import Service, free_ports

# Says its child's process id, then waits: the child is what must not be left behind.
_PARENT = """
import subprocess, sys, time
print(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid, flush=True)
time.sleep(600)
"""


def service(tmp_path, code):
    return Service("the service", [sys.executable, "-c", code], environment=os.environ, log=tmp_path / "logs/it.log")


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as stat:
        return stat.read().rpartition(")")[2].split()[0] != "Z"


def test_stopping_ends_all_that_was_started(tmp_path):
    running = service(tmp_path, _PARENT)
    child = int(until(running.log.read_text))
    running.check()
    running.stop()
    until(lambda: not alive(child))


def test_a_killed_demo_leaves_nothing_behind(tmp_path):
    code = f"""
import os, sys
from pathlib import Path
from airflow_lakehouse_provider.demo.processes import Service
Service("s", [sys.executable, "-c", {_PARENT!r}], environment=os.environ, log=Path({str(tmp_path / "it.log")!r}))
sys.stdin.read()
"""
    demo = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    log = tmp_path / "it.log"
    child = int(until(lambda: log.is_file() and log.read_text()))
    demo.kill()
    demo.communicate()
    until(lambda: not alive(child))


def test_an_ended_process_says_its_last_words_and_where_its_log_is(tmp_path):
    ended = service(tmp_path, "print('one'); raise SystemExit('port 8080 is taken')")
    with pytest.raises(DemoError, match=r"the service ended with exit code 1: one \| port 8080 is taken.*it\.log"):
        ended.wait(20)
    ended.stop()


def test_a_process_that_takes_too_long_is_told(tmp_path):
    slow = service(tmp_path, "import time; time.sleep(600)")
    with pytest.raises(DemoError, match="did not end within 0 s"):
        slow.wait(0.01)
    slow.stop()


def test_free_ports_differ():
    assert len(set(free_ports(20))) == 20
