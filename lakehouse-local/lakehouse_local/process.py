"""A local AWS in a process of its own, for tests and for programs that must not share Python modules with it.

moto's state belongs to a Python process: code under test that uses ``moto.mock_aws`` would change a ``LocalAws`` of
its own process. The process ends when its standard input is closed, so that none is left however its parent ends.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

from lakehouse_local.errors import LocalAwsError, ProcessError

ACCOUNT = "123456789012"
REGION = "us-east-1"
_STOP_SECONDS = 60


class LocalAwsProcess:
    """A running local AWS; a context manager that stops it.

    :param root: directory of its state; made when missing
    :param port: TCP port on 127.0.0.1; 0 takes a free one
    :param region: the AWS region that it serves
    :param account_id: twelve digits
    :param enforce_iam: judge every call by IAM policies
    :param empty: start without the database ``default`` and the results bucket of the work group ``primary``
    :ivar endpoint: ``http://127.0.0.1:PORT``
    :ivar process: the process, a ``subprocess.Popen``
    :raises ProcessError: the process ended before it served, because an option is wrong or the root is in use
    """

    def __init__(
        self,
        root: Path | str,
        *,
        port: int = 0,
        region: str = REGION,
        account_id: str = ACCOUNT,
        enforce_iam: bool = False,
        empty: bool = False,
    ) -> None:
        self.root = Path(root).resolve()
        self.region = region
        self.account_id = account_id
        self.root.parent.mkdir(parents=True, exist_ok=True)
        self._log = self.root.parent / f"{self.root.name}.log"
        earlier = self._log.stat().st_size if self._log.exists() else 0
        flags = [*(["--enforce-iam"] if enforce_iam else []), *(["--empty"] if empty else [])]
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(self.root), str(port), region, account_id, *flags],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is the parent's, which then stops it
                env=_environment(),
            )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.endpoint = self.process.stdout.readline().strip()
        if not self.endpoint:
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            raise ProcessError(f"the local AWS did not start: {self._log.read_bytes()[earlier:].decode().strip()}")

    @property
    def log(self) -> str:
        """The text that the process wrote to standard error, also of earlier processes on the root."""
        return self._log.read_text(encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that send AWS tools to this local AWS."""
        return environment(self.endpoint, self.region)

    def client(self, service: str, credentials: dict[str, str] | None = None, **config: Any) -> Any:
        """Return a boto3 client of the local AWS.

        :param service: boto3's name of the service, such as ``"athena"``
        :param credentials: ``Credentials`` of an AssumeRole answer; default: the root user's
        :param config: arguments of botocore's Config; default: no retries, 32 connections
        """
        import boto3
        from botocore.config import Config

        given = credentials or {"AccessKeyId": "local", "SecretAccessKey": "local"}
        keys = (given["AccessKeyId"], given["SecretAccessKey"], given.get("SessionToken"))
        session = boto3.Session(*keys, region_name=self.region)
        settings = Config(**{"retries": {"total_max_attempts": 1}, "max_pool_connections": 32, **config})
        return session.client(service, endpoint_url=self.endpoint, config=settings)

    def stop(self) -> int:
        """Stop it as Ctrl-C would, its state saved; return the exit status. A second call does nothing more."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self._wait()

    def kill(self) -> None:
        """Kill it, without a chance to save."""
        self.process.kill()
        self._wait()

    def _wait(self) -> int:
        status = self.process.wait(timeout=_STOP_SECONDS)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def __enter__(self) -> LocalAwsProcess:
        return self

    def __exit__(
        self, error_type: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.stop()


def environment(endpoint: str, region: str) -> dict[str, str]:
    """Return the environment variables that send AWS tools to a local AWS at ``endpoint``."""
    return {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
    }


def _environment() -> dict[str, str]:
    # The parent's AWS settings are for its clients. With its path the process runs the same code.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {**kept, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _serve() -> None:
    from lakehouse_local.http.server import LocalAws

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("root")
    parser.add_argument("port", type=int)
    parser.add_argument("region")
    parser.add_argument("account_id")
    parser.add_argument("--enforce-iam", action="store_true")
    parser.add_argument("--empty", action="store_true")
    given = vars(parser.parse_args())
    try:
        with LocalAws(given.pop("root"), **given) as local:
            print(local.endpoint, flush=True)
            sys.stdin.read()
    except LocalAwsError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    _serve()
