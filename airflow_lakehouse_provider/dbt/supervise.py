"""Runs one command in a process group of its own and ends it when whoever started this program is gone.

Started as a script, on the standard library alone: ``python supervise.py [--tell-pid] COMMAND ARGUMENT...``. Standard
input is the lifeline: it ends when the starter closes it or dies, kill -9 included. Then, and on SIGTERM or SIGINT, the
command's group gets SIGINT - on which dbt stops its Athena queries, which on SIGTERM it does not - and SIGKILL when it
has not ended ``GRACE_SECONDS`` later.

What the starter writes into the lifeline are its last orders, a JSON object a line, the newer members in place of the
older: ``{"command": [...], "environment": {...}, "input": {...}}``. They are kept in memory alone and carried out when
the starter has died: Athena queries of a dbt that was killed do not end by themselves. That command begins at once,
with ``input`` as a line on its standard input, which ends when the supervised command has. A starter that closes the
lifeline in peace says ``{"command": null}`` first.
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
# what is left of them is stopped after it.
GRACE_SECONDS = 1.0
TELL_PID = "--tell-pid"
# For the last orders.
ORDERS_SECONDS = 30.0
# What the shell says of a command that it cannot execute.
CANNOT_EXECUTE = 126


def main(command: Sequence[str]) -> int:
    """Run the command; its exit code, or 128 and the signal's number."""
    tells = command[0] == TELL_PID
    command = command[1:] if tells else command
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
    if tells:  # for a starter that outlives this program: whose group is to be killed then
        print(json.dumps({"lakehouse_pid": child.pid}), flush=True)

    lifeline: int | None = sys.stdin.fileno()
    orders = Orders()
    deadline: float | None = None
    killed = False
    while child.poll() is None:
        waiting = None if deadline is None or killed else max(0.0, deadline - time.monotonic())
        watched = [wake_read] if lifeline is None else [wake_read, lifeline]
        ready = select.select(watched, [], [], waiting)[0]
        if wake_read in ready:
            os.read(wake_read, 1024)
        if lifeline in ready and not orders.hear(lifeline):
            lifeline = None
            ending.append(0)
            orders.begin()
        if ending and deadline is None:
            deadline = time.monotonic() + GRACE_SECONDS
            _signal_group(child.pid, signal.SIGINT)
        elif deadline is not None and not killed and time.monotonic() >= deadline:
            killed = True
            _signal_group(child.pid, signal.SIGKILL)
    # What the command may have left running in its group.
    _signal_group(child.pid, signal.SIGKILL)
    if lifeline is None or os.getppid() == 1 or orders.ended(lifeline):
        orders.begin()
        orders.finish()
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


class Orders:
    """The starter's last orders, as the lifeline brings them."""

    def __init__(self) -> None:
        self._rest = b""
        self._told: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def hear(self, lifeline: int) -> bool:
        """Take in what there is; False at the lifeline's end."""
        read = os.read(lifeline, 65536)
        *lines, self._rest = (self._rest + read).split(b"\n")
        for line in lines:
            try:
                self._told.update(json.loads(line))
            except ValueError:  # cut by the starter's death
                continue
        return bool(read)

    def ended(self, lifeline: int) -> bool:
        """Whether the lifeline is at its end now, all that it held taken in."""
        while select.select([lifeline], [], [], 0)[0]:
            if not self.hear(lifeline):
                return True
        return False

    def begin(self) -> None:
        """Start carrying them out, once: what it does takes a second to start, and dbt as long to end."""
        command = self._told.pop("command", None)
        if not command:
            return
        try:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **(self._told.get("environment") or {})},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            self._write(json.dumps(self._told.get("input") or {}) + "\n")
        except OSError:
            return

    def finish(self) -> None:
        """Tell what was begun that the supervised command has ended, and wait for it."""
        if self._process is None:
            return
        try:
            assert self._process.stdin is not None
            self._process.stdin.close()
            self._process.wait(ORDERS_SECONDS)
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
        # Gone already (macOS says PermissionError of a group that only a zombie is left of).
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
