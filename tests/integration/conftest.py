"""Clients of the local AWS, which is lakehouse-local's pytest fixture ``local_aws``."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("lakehouse_local", reason="needs the extra 'local'")

from lakehouse_local.process import LocalAwsProcess


@pytest.fixture(scope="module")
def own_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAwsProcess]:
    """A local AWS of the module's own, for faults that no other test is to meet."""
    local = LocalAwsProcess(tmp_path_factory.mktemp("own-aws") / "root", empty=True)
    yield local
    assert local.stop() == 0, local.log


@pytest.fixture(scope="session")
def boto(local_aws: LocalAwsProcess) -> Callable[..., Any]:
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
