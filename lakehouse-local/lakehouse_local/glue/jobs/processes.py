"""Processes of Glue runs: each leads a group of its own, and none outlives the server."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

LAUNCHER = Path(__file__).with_name("launcher.py")


class GroupProcess:
    """A running launcher with all that its script starts.

    :param specification: the launcher's JSON file
    :param environment: the process's whole environment; the server's own is not inherited
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
        """The exit status, or None when it still runs after so many seconds."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def end(self) -> None:
        """Kill what is left of the group and wait for its leader."""
        # The leader may be gone and others of its group still be there.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


# What a process needs of the server's environment; credentials and settings of the server's owner are not among it.
_INHERITED = ("PATH", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR", "LD_LIBRARY_PATH")


def base_environment(directory: Path) -> dict[str, str]:
    """The environment that every run has, before its own variables."""
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        "TMPDIR": str(directory / "tmp"),
        "TZ": "UTC",
        # Or Java and Python cannot name objects whose keys are not ASCII.
        "LC_ALL": "C.UTF-8",
        "PYTHONUTF8": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONNOUSERSITE": "1",
    }
