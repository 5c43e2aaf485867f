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
    """A running command; its end is bound to ours through supervise.py, kill -9 included.

    :param name: what messages call it
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
        """Raise DemoError when it has ended."""
        code = self._process.poll()
        if code is not None:
            raise DemoError(f"{self.name} ended with exit code {code}{self.last_words()}. Its log: {self.log}")

    def wait(self, seconds: float) -> None:
        """Wait for its end; raises DemoError when that is not a success."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise DemoError(f"{self.name} did not end within {seconds:.0f} s. Its log: {self.log}") from None
        if code:
            self.check()

    def last_words(self) -> str:
        """The last lines of its log, for a message."""
        with self.log.open(encoding="utf-8", errors="replace") as lines:
            last = deque((line.strip() for line in lines if line.strip()), maxlen=_LAST_LINES)
        return ": " + " | ".join(last) if last else ""

    def ask_to_end(self) -> None:
        """Begin its end; :meth:`stop` completes it."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        """End it and what it started."""
        self.ask_to_end()
        try:
            # supervise.py kills the group after its grace; this is for the worst day.
            self._process.wait(supervise.GRACE_SECONDS + 5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that nothing listens on now."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
