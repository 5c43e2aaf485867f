"""Credentials that expire, given to dbt as often as it needs new ones: botocore's ``credential_process`` over a socket.

The task keeps them in memory and renews them; dbt's AWS clients run this file as a program when theirs expire, and it
requests new ones from the task. Nothing secret is in a file, an argument or a variable. On the standard library alone.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import socket
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType

SOCKET, CONFIG = "credentials.sock", "aws-config"
# The longest path that every kernel takes for a socket.
_LONGEST_PATH = 100


class CredentialServer:
    """A context in which credential_process is answered.

    :param directory: one that only this user may enter; the socket and the configuration are made in it
    :param credentials: returns the current ones, as the JSON object that credential_process prints
    """

    def __init__(self, directory: Path, credentials: Callable[[], Mapping[str, str]]) -> None:
        self._directory = directory
        self._credentials = credentials
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._thread = threading.Thread(target=self._serve, name="dbt-credentials", daemon=True)

    def __enter__(self) -> CredentialServer:
        path = self._directory / SOCKET
        if len(str(path)) <= _LONGEST_PATH:
            self._socket.bind(str(path))
        else:
            folder = os.open(self._directory, os.O_RDONLY)
            try:
                self._socket.bind(f"/proc/self/fd/{folder}/{SOCKET}")
            finally:
                os.close(folder)
        os.chmod(path, 0o600)
        self._socket.listen(64)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        self._socket.close()

    def environment(self) -> dict[str, str]:
        """Return variables that make dbt's AWS clients get their credentials here and nowhere else."""
        # This file may be in a zip, from which nothing can be executed.
        program = self._directory / "credential_process.py"
        program.write_bytes(_source())
        command = [sys.executable, "-I", "-S", str(program), str(self._directory / SOCKET)]
        config = self._directory / CONFIG
        config.write_text(f"[default]\ncredential_process = {shlex.join(command)}\n", encoding="utf-8")
        return {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": os.devnull}

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    answer = json.dumps(dict(self._credentials()))
                except Exception as error:  # of AWS or of the network; dbt's client reports it and tries again
                    answer = json.dumps({"error": f"{type(error).__name__}: {error}"})
                try:
                    connection.settimeout(5)
                    connection.sendall(answer.encode())
                except OSError:
                    continue


def _source() -> bytes:
    loader = globals()["__spec__"].loader
    content: bytes = loader.get_data(__file__)
    return content


def fetch(path: str) -> int:
    """Print the credentials for credential_process; return the exit code."""
    os.chdir(os.path.dirname(path))
    answer = b""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as task:
        task.settimeout(50)
        task.connect(os.path.basename(path))
        while chunk := task.recv(65536):
            answer += chunk
    credentials = json.loads(answer)
    if "error" in credentials:
        print(f"Airflow's task could not renew the credentials: {credentials['error']}", file=sys.stderr)
        return 1
    print(json.dumps({"Version": 1, **credentials}))
    return 0


if __name__ == "__main__":
    sys.exit(fetch(sys.argv[1]))
