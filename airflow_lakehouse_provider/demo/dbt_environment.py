"""The dbt that the demo runs: the one named, the checkout's, or one installed from dbt_models/requirements.txt."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import venv
from collections.abc import Callable
from pathlib import Path

from airflow_lakehouse_provider import starter
from airflow_lakehouse_provider.demo.errors import DemoError
from airflow_lakehouse_provider.demo.processes import Service

VARIABLE = "LAKEHOUSE_DBT_EXECUTABLE"
_CHECKOUT = Path(".venv-dbt/bin/dbt")
_INSTALL_SECONDS = 900


def executable(cache: Path, log: Callable[[str], None]) -> Path:
    """Return the dbt to run; install it under ``cache`` when there is none yet.

    :param log: prints a line of progress
    :raises DemoError: when the one named does not exist, or the installation fails
    """
    if named := os.environ.get(VARIABLE):
        found = shutil.which(named)
        if found is None:
            raise DemoError(f"{VARIABLE} is {named}, where there is no executable: set it to a dbt, or unset it")
        return Path(found).absolute()
    if _CHECKOUT.is_file():
        return _CHECKOUT.absolute()
    requirements = starter.path("dbt_models") / "requirements.txt"
    home = cache / "dbt"
    dbt = home / "bin" / "dbt"
    done = home / ".requirements.txt"
    if not (done.is_file() and done.read_bytes() == requirements.read_bytes()):
        log(f"installing dbt into {home} (once)")
        _install(home, requirements, cache / "dbt-install.log")
        shutil.copyfile(requirements, done)
    return dbt.absolute()


def _install(home: Path, requirements: Path, log: Path) -> None:
    with_uv = importlib.util.find_spec("uv") is not None
    venv.create(home, clear=True, with_pip=not with_uv, symlinks=True)
    python = str(home / "bin" / "python")
    command = (
        [sys.executable, "-m", "uv", "pip", "install", "--python", python, "-r", str(requirements)]
        if with_uv
        else [python, "-m", "pip", "install", "--disable-pip-version-check", "-r", str(requirements)]
    )
    installation = Service("the installation of dbt", command, environment=os.environ, log=log)
    try:
        installation.wait(_INSTALL_SECONDS)
    except DemoError as error:
        raise DemoError(
            f"{error}. The package registry must be reachable once; or install {requirements} yourself and set "
            f"{VARIABLE} to the path of its dbt"
        ) from None
    finally:
        installation.stop()
