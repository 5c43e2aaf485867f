"""The supervisor: what it hands on, and that nothing outlives the end of its lifeline."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time

import pytest

from airflow_lakehouse_provider.dbt import supervise

# Says when it is ready, then waits for SIGINT; "stubborn" ignores it, "forked" leaves a child of its own behind.
CHILD = """
import os, signal, subprocess, sys, time
def interrupted(*_):
    print("interrupted", flush=True)
    sys.exit(3)
signal.signal(signal.SIGINT, signal.SIG_IGN if "stubborn" in sys.argv else interrupted)
if "forked" in sys.argv:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(child.pid, flush=True)
print(os.getpid(), "ready", flush=True)
if "forked" not in sys.argv:
    time.sleep(60)
"""


def gone(pid, within=10.0):
    """Return True if a process ends in time; a zombie that init has yet to collect counts as gone."""
    until = time.monotonic() + within
    while time.monotonic() < until:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                if stat.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        select.select([], [], [], 0.02)
    return False


@pytest.fixture
def start():
    started = []

    def start(*command, **options):
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", supervise.__file__, supervise.PRINT_PID, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **options,
        )
        started.append(process)
        process.first = process.stdout.readline()
        return process

    yield start
    for process in started:
        # The supervisor itself must not be killed: its command would be left.
        process.stdin.close()
        process.wait(10)
        process.stdout.close()


@pytest.mark.parametrize("code", [0, 1, 2])
def test_the_exit_code_and_output_are_the_commands(start, code):
    process = start(sys.executable, "-c", f"print('said'); raise SystemExit({code})")
    # Not communicate(): that would close the lifeline first.
    assert process.stdout.read() == "said\n"
    assert process.wait(10) == code


def test_a_command_killed_by_a_signal(start):
    process = start(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)")
    assert process.wait(10) == 128 + signal.SIGKILL


def test_what_cannot_be_executed(start, tmp_path):
    file = tmp_path / "dbt"
    file.write_text("no program")
    file.chmod(0o755)
    process = start(str(file))
    assert process.wait(10) == supervise.CANNOT_EXECUTE
    assert process.first == f"{file} cannot be executed: Exec format error\n"


def test_the_command_has_a_group_of_its_own(start):
    process = start(sys.executable, "-c", CHILD)
    pid = int(process.stdout.readline().split()[0])
    assert json.loads(process.first) == {"lakehouse_pid": pid}
    assert os.getpgid(pid) == pid
    assert os.getpgid(process.pid) == process.pid


@pytest.mark.parametrize("end", ["lifeline", "sigterm", "sigint"])
def test_the_command_is_interrupted(start, end):
    process = start(sys.executable, "-c", CHILD)
    assert "ready" in process.stdout.readline()
    if end == "lifeline":
        process.stdin.close()
    else:
        process.send_signal(signal.SIGTERM if end == "sigterm" else signal.SIGINT)
    assert process.wait(10) == 3
    assert process.stdout.read() == "interrupted\n"


def test_a_starter_that_ignores_interrupts_hands_that_on_to_nobody(start):
    # As under nohup: dbt would never be told to stop its queries.
    process = start(sys.executable, "-c", CHILD, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert "ready" in process.stdout.readline()
    process.stdin.close()
    assert process.wait(10) == 3


def test_a_stubborn_command_is_killed(start):
    process = start(sys.executable, "-c", CHILD, "stubborn")
    pid = int(process.stdout.readline().split()[0])
    began = time.monotonic()
    process.terminate()
    assert process.wait(10) == 128 + signal.SIGKILL
    assert time.monotonic() - began < supervise.GRACE_SECONDS + 1
    assert gone(pid)


def test_what_a_command_leaves_behind_is_killed(start):
    process = start(sys.executable, "-c", CHILD, "forked")
    left = int(process.stdout.readline())
    assert process.wait(10) == 0
    assert gone(left)


@pytest.mark.parametrize("peaceful", [False, True])
def test_a_killed_starter_leaves_nothing_but_its_cleanup(tmp_path, peaceful):
    file = tmp_path / "carried out"
    order = [
        sys.executable,
        "-c",
        f"import os, sys; open({str(file)!r}, 'w').write(os.environ['WHO'] + sys.stdin.read())",
    ]
    orders = [{"command": order, "environment": {"WHO": "me "}}, {"input": {"a": 1}}]
    orders += [{"command": None}] if peaceful else []
    script = f"""
import subprocess, sys
command = [{supervise.__file__!r}, {supervise.PRINT_PID!r}, sys.executable, "-c", {CHILD!r}]
process = subprocess.Popen([sys.executable, "-I", "-S", *command],
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
process.stdout.readline()
process.stdin.write({"".join(json.dumps(order) + chr(10) for order in orders)!r})
process.stdin.flush()
print(process.pid, process.stdout.readline().split()[0], flush=True)
sys.stdin.read()
"""
    starter = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in starter.stdout.readline().split()]
    starter.kill()
    starter.communicate()
    assert all(gone(pid) for pid in pids)
    assert (file.read_text() if file.exists() else None) == (None if peaceful else 'me {"a": 1}\n')


def test_the_cleanup_starts_at_the_kill_and_is_told_of_the_end(tmp_path):
    """A child that takes its grace: by its end, what was ordered has long begun."""
    file = tmp_path / "times"
    noted = f"open({str(file)!r}, 'a').write(f'{{time.monotonic()}} ')"
    order = [sys.executable, "-c", f"import sys, time; sys.stdin.readline(); {noted}; sys.stdin.read(); {noted}"]
    stubborn = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
    )
    command = [supervise.__file__, sys.executable, "-c", stubborn]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    process.stdout.readline()
    process.stdin.write(json.dumps({"command": order}) + "\n")
    process.communicate()
    begun, told = map(float, file.read_text().split())
    assert told - begun > supervise.GRACE_SECONDS / 2
