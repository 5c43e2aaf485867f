"""Both distributions have one version, and the extra `local` pins it."""

from __future__ import annotations

from pathlib import Path

import tomllib

import airflow_lakehouse_provider
import lakehouse_local


def test_both_distributions_have_one_version(repository: Path) -> None:
    assert lakehouse_local.__version__ == airflow_lakehouse_provider.__version__
    project = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    pins = [each for each in project["optional-dependencies"]["local"] if each.startswith("lakehouse-local")]
    assert pins == [f"lakehouse-local=={airflow_lakehouse_provider.__version__}"]
