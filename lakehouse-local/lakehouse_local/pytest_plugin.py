"""The pytest plugin ``lakehouse_local``: fixtures that are a local AWS, each in a process of its own.

``local_aws`` lives for the test session (one per pytest-xdist worker) and is an account that has used Athena;
``local_aws_empty`` lives for one test and has nothing in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from lakehouse_local.process import LocalAwsProcess


@pytest.fixture(scope="session")
def local_aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAwsProcess]:
    """A local AWS for the session, with the database ``default`` and a results bucket for the work group ``primary``.

    Its ``endpoint``, ``client(service)`` and ``environment`` are those of ``lakehouse_local.process.LocalAwsProcess``.
    """
    from lakehouse_local.process import LocalAwsProcess

    with LocalAwsProcess(tmp_path_factory.mktemp("local-aws") / "root") as local:
        yield local


@pytest.fixture
def local_aws_empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAwsProcess]:
    """A local AWS for one test, with nothing in it."""
    from lakehouse_local.process import LocalAwsProcess

    with LocalAwsProcess(tmp_path_factory.mktemp("local-aws-empty") / "root", empty=True) as local:
        yield local
