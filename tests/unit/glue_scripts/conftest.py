"""One Spark for each worker, and an S3 of plain files. Modules that need Spark skip themselves without the extra."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .lake import Lake


@pytest.fixture(scope="session")
def s3_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a folder for each bucket."""
    from .lake import BUCKETS

    root = tmp_path_factory.mktemp("s3")
    for bucket in BUCKETS:
        (root / bucket).mkdir()
    return root


@pytest.fixture(scope="session")
def spark(s3_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The session that `getOrCreate` finds, as the local AWS's Glue starts it; one for each worker."""
    from pyspark.sql import SparkSession

    from lakehouse_local.glue.jobs.spark import environment

    from .lake import SparkFiles

    home = tmp_path_factory.mktemp("spark")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(directory=home, store=s3_root, cores=2).items():
            patch.setenv(name, value)
        patch.chdir(home)
        session = SparkSession.builder.getOrCreate()
        session.spark_files = SparkFiles(session)
        yield session
        java = session.sparkContext._gateway.proc
        session.stop()
        session.sparkContext._gateway.shutdown()
        java.stdin.close()
        java.wait(timeout=60)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def lake(spark: Any, s3_root: Path) -> Lake:
    """A raw and a cleaned zone of the test's own."""
    from .lake import Lake

    return Lake(s3_root)
