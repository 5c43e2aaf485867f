"""A supervisor: runs one command in a process group of its own and ends it when the starter of this program is gone.

Started as a script, on the standard library alone: ``python supervise.py [--print-pid] COMMAND ARGUMENT...``. Standard
input is the lifeline: it ends when the starter closes it or dies, kill -9 included. Then, and on SIGTERM or SIGINT, the
command's group gets SIGINT - on which dbt stops its Athena queries, which on SIGTERM it does not - and SIGKILL when it
has not ended ``GRACE_SECONDS`` later.

The starter writes a cleanup into the lifeline, a JSON object a line, newer members in place of older:
``{"command": [...], "environment": {...}, "input": {...}}``. It is kept in memory alone and run when the starter has
died: Athena queries of a dbt that was killed do not end by themselves. Its command starts at once, with ``input`` as a
line on its standard input, which ends when the supervised command has. A starter that closes the lifeline without
need of the cleanup writes ``{"command": null}`` first.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

# Airflow 3 sends SIGKILL five seconds after it asked a task to end; dbt needs half a second to stop its queries, and
# those that are left are stopped after it.
GRACE_SECONDS = 1.0
PRINT_PID = "--print-pid"
# The time that the cleanup may take after the command's end.
CLEANUP_SECONDS = 30.0
# The shell's exit code for a command that it cannot execute.
CANNOT_EXECUTE = 126


def main(command: Sequence[str]) -> int:
    """Run the command; return its exit code, or 128 and the signal's number."""
    prints_pid = command[0] == PRINT_PID
    command = command[1:] if prints_pid else command
    # Woken by signals through a pipe, so that one arriving just before select() is not lost.
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    ending: list[int] = []
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    # Handlers, not SIG_IGN: the command must begin with the default, even where our starter ignored SIGINT (nohup).
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda signal_number, _: ending.append(signal_number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD})
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(f"{command[0]} cannot be executed: {error.strerror}", flush=True)
        return CANNOT_EXECUTE
    if prints_pid:  # for a starter that outlives this program: the group to kill then
        print(json.dumps({"lakehouse_pid": child.pid}), flush=True)

    lifeline: int | None = sys.stdin.fileno()
    cleanup = Cleanup()
    deadline: float | None = None
    killed = False
    while child.poll() is None:
        waiting = None if deadline is None or killed else max(0.0, deadline - time.monotonic())
        watched = [wake_read] if lifeline is None else [wake_read, lifeline]
        ready = select.select(watched, [], [], waiting)[0]
        if wake_read in ready:
            os.read(wake_read, 1024)
        if lifeline in ready and not cleanup.read(lifeline):
            lifeline = None
            ending.append(0)
            cleanup.start()
        if ending and deadline is None:
            deadline = time.monotonic() + GRACE_SECONDS
            _signal_group(child.pid, signal.SIGINT)
        elif deadline is not None and not killed and time.monotonic() >= deadline:
            killed = True
            _signal_group(child.pid, signal.SIGKILL)
    # Processes that the command may have left in its group.
    _signal_group(child.pid, signal.SIGKILL)
    if lifeline is None or os.getppid() == 1 or cleanup.ended(lifeline):
        cleanup.start()
        cleanup.finish()
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


class Cleanup:
    """The starter's cleanup, as the lifeline brings it."""

    def __init__(self) -> None:
        self._rest = b""
        self._members: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def read(self, lifeline: int) -> bool:
        """Read the lines that have arrived; return False at the lifeline's end."""
        received = os.read(lifeline, 65536)
        *lines, self._rest = (self._rest + received).split(b"\n")
        for line in lines:
            try:
                self._members.update(json.loads(line))
            except ValueError:  # cut by the starter's death
                continue
        return bool(received)

    def ended(self, lifeline: int) -> bool:
        """Return True if the lifeline is at its end now, once all lines are read."""
        while select.select([lifeline], [], [], 0)[0]:
            if not self.read(lifeline):
                return True
        return False

    def start(self) -> None:
        """Start the command, once, without waiting for dbt: each takes a second, the one to start, the other to end."""
        command = self._members.pop("command", None)
        if not command:
            return
        try:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **(self._members.get("environment") or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self._write(json.dumps(self._members.get("input") or {}) + "\n")
        except OSError:
            return

    def finish(self) -> None:
        """End the cleanup's input, as the supervised command has ended, and wait for the cleanup."""
        if self._process is None:
            return
        try:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(CLEANUP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
        except OSError:
            return

    def _write(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode())
        self._process.stdin.flush()


def _signal_group(group: int, number: int) -> None:
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        # Gone already (on macOS a group with nothing but a zombie left gives PermissionError).
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
