"""Imports that cost no time: the package itself and its pytest plugin, which every test session loads."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"moto", "boto3", "botocore", "duckdb", "pyarrow", "pyspark", "werkzeug", "numpy"}


@pytest.mark.parametrize(
    "module", ["lakehouse_local", "lakehouse_local.pytest_plugin", "lakehouse_local.process", "lakehouse_local.cli"]
)
def test_nothing_heavy_is_imported(module: str) -> None:
    code = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(ended.stdout.split()) & HEAVY == set()


def test_the_class_is_there_all_the_same() -> None:
    import lakehouse_local
    from lakehouse_local.http.server import LocalAws

    assert lakehouse_local.LocalAws is LocalAws
    assert "LocalAws" in dir(lakehouse_local)
    with pytest.raises(AttributeError, match="RemoteAws"):
        _ = lakehouse_local.RemoteAws
