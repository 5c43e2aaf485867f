"""What is built carries the starter and nothing that a used checkout leaves lying about."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile

import pytest

LITTER = ("dbt_models/target/run.json", "dbt_models/logs/dbt.log", "glue_scripts/__pycache__/x.cpython-311.pyc")
CARRIED = (
    "airflow_lakehouse_provider/py.typed",
    "airflow_lakehouse_provider/_starter/example_dags/lakehouse.yaml",
    "airflow_lakehouse_provider/_starter/example_dags/nyc_taxi_monthly.py",
    "airflow_lakehouse_provider/_starter/glue_scripts/clean_trips.py",
    "airflow_lakehouse_provider/_starter/dbt_models/dbt_project.yml",
    "airflow_lakehouse_provider/_starter/dbt_models/requirements.txt",
)


def build(target, source, out):
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(out)],
        cwd=source, check=True, capture_output=True,
    )  # fmt: skip
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def used_checkout(repository, tmp_path_factory):
    """A copy of what git tracks or would track, with the litter of use in it."""
    copy = tmp_path_factory.mktemp("checkout")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=repository, check=True, capture_output=True, text=True,
    ).stdout.split("\0")  # fmt: skip
    for name in filter(None, listed):
        if (repository / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(repository / name, copy / name)
    for name in LITTER:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("left behind")
    return copy


@pytest.fixture(scope="module")
def wheel(used_checkout, tmp_path_factory):
    return build("wheel", used_checkout, tmp_path_factory.mktemp("wheel"))


def names_of(wheel):
    return set(zipfile.ZipFile(wheel).namelist())


def test_a_wheel_from_a_used_checkout(wheel):
    names = names_of(wheel)
    assert set(CARRIED) <= names
    assert not [name for name in names if name.endswith(".pyc") or "/target/" in name or "/logs/" in name]
    top = {name.partition("/")[0] for name in names}
    assert {name for name in top if not name.endswith(".dist-info")} == {"airflow_lakehouse_provider"}


@pytest.mark.slow
def test_a_wheel_by_way_of_the_sdist_holds_the_same(used_checkout, wheel, tmp_path):
    sdist = build("sdist", used_checkout, tmp_path / "sdist")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    (source,) = (tmp_path / "unpacked").iterdir()
    assert names_of(build("wheel", source, tmp_path / "wheel")) == names_of(wheel)


def test_init_works_from_the_installed_wheel(wheel, tmp_path):
    """On the wheel's own files, in an empty directory, away from the checkout."""
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    empty = tmp_path / "empty"
    empty.mkdir()
    subprocess.run(
        [sys.executable, "-m", "airflow_lakehouse_provider.cli", "init", "mine"],
        cwd=empty, env=os.environ | {"PYTHONPATH": str(site)}, check=True, capture_output=True,
    )  # fmt: skip
    assert (empty / "mine/dbt_models/dbt_project.yml").is_file()
    assert (empty / "mine/glue_scripts/trips").is_dir()
