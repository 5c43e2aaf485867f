"""The local AWS for integration tests: a process of its own, as users have it, and clients of it.

A process, because moto's state belongs to a process: a unit test with `mock_aws` beside it would wipe it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

# Ends when its standard input does: nothing is left behind, however the tests end.
_SERVE = """
import sys
from airflow_lakehouse_provider.local_aws.server import LocalAws
with LocalAws(sys.argv[1], port=int(sys.argv[2]), region=sys.argv[3], enforce_iam=sys.argv[4] == "True") as local:
    print(local.endpoint, flush=True)
    sys.stdin.read()
"""


class LocalAwsProcess:
    """A LocalAws in a process, with its store and its catalogue to look at from here."""

    account_id = "123456789012"

    def __init__(self, root: Path, *, port: int = 0, region: str = "us-east-1", enforce_iam: bool = False) -> None:
        pytest.importorskip("moto", reason="needs the extra 'local'")
        from airflow_lakehouse_provider.local_aws.catalog import Catalog
        from airflow_lakehouse_provider.local_aws.s3 import STATE, ObjectStore

        self.root = root.resolve()
        self.region = region
        self._log = root.parent / f"{root.name}.log"
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _SERVE, str(root), str(port), region, str(enforce_iam)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            )
        assert self.process.stdout is not None
        self.endpoint = self.process.stdout.readline().strip()
        if not self.endpoint:
            self.process.wait()
            raise RuntimeError(f"the local AWS did not start:\n{self.log}")
        self.store = ObjectStore(root)
        self.catalog = Catalog(root / STATE / "catalog.sqlite")

    @property
    def log(self) -> str:
        """What it wrote to standard error."""
        return self._log.read_text()

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
        }

    def client(self, service: str, credentials: dict[str, str] | None = None, **config: Any) -> Any:
        """A boto3 client of it, by the credentials that AssumeRole gave, or by the root user's."""
        import boto3
        from botocore.config import Config

        given = credentials or {"AccessKeyId": "local", "SecretAccessKey": "local"}
        keys = (given["AccessKeyId"], given["SecretAccessKey"], given.get("SessionToken"))
        session = boto3.Session(*keys, region_name=self.region)
        settings = Config(**{"retries": {"total_max_attempts": 1}, "max_pool_connections": 32, **config})
        return session.client(service, endpoint_url=self.endpoint, config=settings)

    def stop(self) -> int:
        """End it as Ctrl-C would; the exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self._ended()

    def kill(self) -> None:
        """End it without a chance to save."""
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        status = self.process.wait(timeout=60)
        if self.process.stdout is not None:
            self.process.stdout.close()
        self.store.close()
        self.catalog.close()
        return status


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAwsProcess]:
    """One local AWS for the session (one per xdist worker)."""
    local = LocalAwsProcess(tmp_path_factory.mktemp("local-aws") / "root")
    yield local
    assert local.stop() == 0, local.log


@pytest.fixture(scope="module")
def own_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAwsProcess]:
    """A local AWS of the module's own, for faults that nobody else is to meet."""
    local = LocalAwsProcess(tmp_path_factory.mktemp("own-aws") / "root")
    yield local
    assert local.stop() == 0, local.log


@pytest.fixture
def start_local(tmp_path: Path) -> Iterator[Callable[..., LocalAwsProcess]]:
    """Start a local AWS of the test's own: `start_local(root=..., port=...)`; what still runs is stopped."""
    started: list[LocalAwsProcess] = []

    def start(root: Path | None = None, **arguments: Any) -> LocalAwsProcess:
        started.append(LocalAwsProcess(root or tmp_path / "root", **arguments))
        return started[-1]

    yield start
    for local in started:
        if local.process.poll() is None:
            local.stop()


@pytest.fixture(scope="session")
def boto(local_aws: LocalAwsProcess) -> Callable[..., Any]:
    """`boto("s3")`: a boto3 client of the local AWS."""
    clients: dict[str, Any] = {}

    def client(service: str, **config: Any) -> Any:
        if config:
            return local_aws.client(service, **config)
        if service not in clients:
            clients[service] = local_aws.client(service)
        return clients[service]

    return client


@pytest.fixture
def bucket(boto: Callable[..., Any]) -> str:
    """A fresh bucket's name."""
    name = f"test-{uuid.uuid4().hex[:20]}"
    boto("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def database(boto: Callable[..., Any]) -> str:
    """A fresh Glue database's name."""
    name = f"db_{uuid.uuid4().hex[:12]}"
    boto("glue").create_database(DatabaseInput={"Name": name})
    return name
