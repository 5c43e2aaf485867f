"""Processes of the demo: each in a group of its own, with a log file, and none outlives the demo."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path

from airflow_lakehouse_provider.dbt import supervise
from airflow_lakehouse_provider.demo.errors import DemoError

_LAST_LINES = 5


class Service:
    """A running command, which supervise.py ends with this process, even after kill -9.

    :param name: its name in messages
    :param command: the program and its arguments
    :param environment: the whole environment of the process
    :param log: the file that its output is appended to
    """

    def __init__(self, name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [sys.executable, supervise.__file__, *command],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def check(self) -> None:
        """Raise DemoError if it has ended."""
        code = self._process.poll()
        if code is not None:
            raise DemoError(f"{self.name} ended with exit code {code}{self.last_lines()}. Its log: {self.log}")

    def wait(self, seconds: float) -> None:
        """Wait for its end.

        :raises DemoError: when it fails, or has not ended after so many seconds
        """
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise DemoError(f"{self.name} did not end within {seconds:.0f} s. Its log: {self.log}") from None
        if code:
            self.check()

    def last_lines(self) -> str:
        """Return the last lines of its log, for a message."""
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            last = deque((line.strip() for line in lines if line.strip()), maxlen=_LAST_LINES)
        return ": " + " | ".join(last) if last else ""

    def terminate(self) -> None:
        """Send SIGTERM; :meth:`stop` waits for the end."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """Stop it and every process that it started."""
        self.terminate()
        try:
            # supervise.py kills the group after its grace period; this is for a supervise.py that hangs.
            self._process.wait(supervise.GRACE_SECONDS + 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()


def free_ports(count: int) -> list[int]:
    """Return ports of 127.0.0.1 that are free now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
