"""A dbt process: found, started in a group of its own, its log read, interrupted; it never outlives its worker."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from airflow_lakehouse_provider.dbt import supervise
from airflow_lakehouse_provider.dbt.events import DbtEvent, LogReader
from airflow_lakehouse_provider.errors import LakehouseError

OLDEST = (1, 8)
_INSTALL = (
    "On MWAA make its environment in startup.sh (python3 -m venv /usr/local/airflow/dbt && "
    "/usr/local/airflow/dbt/bin/pip install -r /usr/local/airflow/dags/dbt_models/requirements.txt) and name it: "
    "dbt_executable='/usr/local/airflow/dbt/bin/dbt'. dbt never shares Airflow's environment."
)


class ExecutableError(LakehouseError):
    """No usable dbt was found; the message names what was found and how to install it."""


def find_executable(executable: str, path: str | None = None) -> str:
    """Return the full path of a dbt, given as a path or as a name on ``path`` (default: the environment's PATH).

    :raises ExecutableError: when there is none, or it may not be executed
    """
    if not isinstance(executable, str) or not executable.strip():
        raise ExecutableError(f"dbt_executable must be a path or a name on PATH, not {executable!r}. {_INSTALL}")
    name = os.path.expanduser(executable)
    found = shutil.which(name, path=path)
    if found:
        # Absolute, but not resolved: a virtual environment's dbt may be a link that must keep its place.
        return os.path.abspath(found)
    if os.path.isfile(name):
        raise ExecutableError(f"dbt_executable {executable!r} is a file that may not be executed. {_INSTALL}")
    where = "does not exist on this worker" if os.sep in name else "is not on this worker's PATH"
    raise ExecutableError(f"dbt_executable {executable!r} {where}. {_INSTALL}")


class Invocation:
    """A process of dbt, as a context manager; at its end no process of it is left.

    :param executable: the beginning of the command: a dbt of :func:`find_executable`, or a Python and its arguments
    :param arguments: dbt's arguments
    :param environment: the whole environment of the process, credentials included; it is written nowhere
    :param directory: where dbt runs
    :param inherited: descriptors that stay open while dbt may be running
    """

    def __init__(
        self,
        *,
        executable: Sequence[str],
        arguments: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        inherited: Sequence[int] = (),
    ) -> None:
        self._command = [*executable, *arguments]
        self._environment = dict(environment)
        self._directory = directory
        self._process: subprocess.Popen[str] | None = None
        self._stopping = False
        self._inherited = tuple(inherited)
        self._writing = threading.Lock()
        self.seconds = 0.0
        self.log = LogReader()

    def __enter__(self) -> Invocation:
        # -I -S: neither the worker's environment nor its site-packages reach the supervisor, which starts in 15 ms.
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", *_supervisor(), supervise.PRINT_PID, *self._command],
            pass_fds=self._inherited,
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
        if self._stopping:
            self.stop()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        process = self._process
        if process is None:
            return
        self.set_cleanup(command=None)
        if process.poll() is None:
            self.stop()
            try:
                # Closes the lifeline too, and reads on: a dbt that waits for room in the pipe cannot stop its queries.
                process.communicate(timeout=supervise.GRACE_SECONDS + 1)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if process.returncode is not None and process.returncode < 0 and self.log.group is not None:
            # The supervisor itself was killed, and did not end dbt.
            _kill_group(self.log.group)
        for stream in (process.stdin, process.stdout):
            if stream:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue

    def wait(self, on_event: Callable[[DbtEvent], None]) -> int:
        """Wait until dbt has ended and return its exit code.

        :param on_event: called with every event of the log that has a message, in order

        :raises ExecutableError: the program is not dbt, or a dbt too old
        """
        assert self._process is not None, "the invocation was not entered"
        assert self._process.stdout is not None
        started = time.monotonic()
        for line in self._process.stdout:
            event = self.log.read(line)
            if event.message:
                on_event(event)
            if event.name == "MainReportVersion":
                self._check_version()
        code = self._process.wait()
        self.seconds = time.monotonic() - started
        misused = any(line.startswith("Usage: dbt") for line in self.log.tail)
        if self.log.version is None and not self._stopping and not misused:
            output = " / ".join(self.log.tail) or "nothing"
            raise ExecutableError(
                f"{self._command[0]} is not a dbt that works: its exit code is {code}, its output: {output}. {_INSTALL}"
            )
        return code

    def set_cleanup(self, **members: Any) -> None:
        """Set the cleanup that the supervisor runs if this process dies, see :mod:`supervise`; kept in memory only.

        :param members: command, environment or input
        """
        process = self._process
        if process is None or process.stdin is None:
            return
        line = (json.dumps(members) + "\n").encode()
        with self._writing:
            try:
                # Past the stream's buffer, whose lock an interrupted write would keep.
                while line:
                    line = line[os.write(process.stdin.fileno(), line) :]
            except (BrokenPipeError, ValueError):  # it has ended
                return

    @property
    def stopping(self) -> bool:
        """True if :meth:`stop` was called."""
        return self._stopping

    def stop(self) -> None:
        """Interrupt dbt, which stops its Athena queries; it is killed if it has not ended within seconds.

        Returns at once. Safe in a signal handler: it takes no lock and logs nothing.
        """
        self._stopping = True
        process = self._process
        if process is not None and process.returncode is None:
            try:
                os.kill(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                return

    def _check_version(self) -> None:
        numbers = re.match(r"(\d+)\.(\d+)", self.log.version or "")
        if numbers and (int(numbers[1]), int(numbers[2])) < OLDEST:
            oldest = ".".join(map(str, OLDEST))
            raise ExecutableError(
                f"{self._command[0]} is dbt {self.log.version}, and dbt {oldest} or later is needed. {_INSTALL}"
            )


def _supervisor() -> list[str]:
    """Return Python's arguments for the supervisor: its file or, where the package is in a zip, its source."""
    if os.path.isfile(supervise.__file__):
        return [supervise.__file__]
    loader: Any = supervise.__spec__.loader if supervise.__spec__ else None
    return ["-c", loader.get_data(supervise.__file__).decode()]


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
