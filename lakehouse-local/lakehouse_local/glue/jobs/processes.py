"""Processes of job runs: each leads a process group of its own, and none outlives the server."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launcher.py")


class GroupProcess:
    """A running launcher with all processes that its script starts.

    :param specification: the launcher's JSON file
    :param environment: all variables of the process; the server's are not inherited
    :param directory: the working directory
    :param output: file for standard output
    :param error: file for standard error
    """

    def __init__(
        self, *, specification: Path, environment: dict[str, str], directory: Path, output: Path, error: Path
    ) -> None:
        lifeline, self._lifeline = os.pipe()
        try:
            with output.open("ab") as out, error.open("ab") as err:
                self._process = subprocess.Popen(
                    [sys.executable, "-u", str(LAUNCHER), str(specification), str(lifeline)],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    cwd=directory,
                    env=environment,
                    pass_fds=(lifeline,),
                    start_new_session=True,
                )
        except BaseException:
            os.close(self._lifeline)
            raise
        finally:
            os.close(lifeline)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self, seconds: float) -> int | None:
        """Wait for the end; return the exit status, or None if the process still runs after so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Kill the remaining processes of the group and wait for its leader."""
        # Others of the group may still run after its leader ended.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


# Variables that a process inherits from the server; credentials and settings of the server's owner are not among them.
_INHERITED = ("PATH", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH")


def base_environment(directory: Path) -> dict[str, str]:
    """Return the environment variables that every run has.

    :param directory: the run's directory
    """
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        "TMPDIR": str(directory / "tmp"),
        "TZ": "UTC",
        # Without these Java and Python cannot name objects whose keys are not ASCII.
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
    }
