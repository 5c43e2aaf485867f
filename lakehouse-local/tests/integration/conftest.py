"""The local AWS over HTTP, in a process of its own as users have it, and clients of it."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse_local.process import LocalAwsProcess
from lakehouse_local.s3.store import ObjectStore


class ObservedAws(LocalAwsProcess):
    """A local AWS without a default database, whose objects a test can read and write without its API."""

    def __init__(self, root: Path, **arguments: Any) -> None:
        super().__init__(root, **{"empty": True, **arguments})
        self.store = ObjectStore(self.root)

    def _wait(self) -> int:
        self.store.close()
        return super()._wait()


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObservedAws]:
    """One empty local AWS for the session (one per xdist worker)."""
    local = ObservedAws(tmp_path_factory.mktemp("local-aws") / "root")
    yield local
    assert local.stop() == 0, local.log


@pytest.fixture(scope="session")
def enforcing_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObservedAws]:
    """One local AWS for the session that judges every call by IAM policies."""
    local = ObservedAws(tmp_path_factory.mktemp("enforcing-aws") / "root", enforce_iam=True)
    yield local
    assert local.stop() == 0, local.log


@pytest.fixture
def start_local(tmp_path: Path) -> Iterator[Callable[..., ObservedAws]]:
    """`start_local(root=..., port=...)`: start a local AWS of the test's own; if it still runs at the end, stop it."""
    started: list[ObservedAws] = []

    def start(root: Path | None = None, **arguments: Any) -> ObservedAws:
        started.append(ObservedAws(root or tmp_path / "root", **arguments))
        return started[-1]

    yield start
    for local in started:
        if local.process.poll() is None:
            local.stop()


@pytest.fixture(scope="session")
def boto(local_aws: ObservedAws) -> Callable[..., Any]:
    """`boto("s3")`: a boto3 client of the local AWS."""
    return functools.cache(local_aws.client)


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
