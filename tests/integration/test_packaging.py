"""The wheels and sdists of both distributions: what they hold, and each wheel alone in an empty environment."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

LITTER = (
    "dbt_models/target/run.json",
    "dbt_models/logs/dbt.log",
    "glue_scripts/__pycache__/x.cpython-311.pyc",
    "infra/docker/.env",
    "infra/docker/.passwords.json",
    "infra/docker/build/local/x.whl",
    "infra/terraform/terraform.tfstate",
    "infra/terraform/.terraform/providers/x",
    "lakehouse-local/lakehouse_local/__pycache__/x.cpython-311.pyc",
)
CARRIED = (
    "airflow_lakehouse_provider/py.typed",
    "airflow_lakehouse_provider/_starter/example_dags/lakehouse.yaml",
    "airflow_lakehouse_provider/_starter/example_dags/nyc_taxi_monthly.py",
    "airflow_lakehouse_provider/_starter/glue_scripts/clean_trips.py",
    "airflow_lakehouse_provider/_starter/dbt_models/dbt_project.yml",
    "airflow_lakehouse_provider/_starter/dbt_models/requirements.txt",
)
MOST_BYTES = 500_000  # of the provider's wheel, which every container of MWAA installs


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


@pytest.fixture(scope="module")
def local_wheel(used_checkout, tmp_path_factory):
    return build("wheel", used_checkout / "lakehouse-local", tmp_path_factory.mktemp("local-wheel"))


def names_of(wheel):
    return set(zipfile.ZipFile(wheel).namelist())


def unpacked(sdist, folder):
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (source,) = folder.iterdir()
    return source


def top_of(names):
    return {name for name in {name.partition("/")[0] for name in names} if not name.endswith(".dist-info")}


def test_a_wheel_from_a_used_checkout(wheel):
    names = names_of(wheel)
    assert set(CARRIED) <= names
    assert not [name for name in names if name.endswith(".pyc") or "/target/" in name or "/logs/" in name]
    assert not [name for name in names for left in LITTER if name.endswith(f"_starter/{left}")]
    assert top_of(names) == {"airflow_lakehouse_provider"}


def test_the_providers_wheel_is_small_and_holds_nothing_of_the_local_aws(wheel):
    assert not [name for name in names_of(wheel) if "lakehouse_local" in name or "lakehouse-local" in name]
    assert wheel.stat().st_size <= MOST_BYTES


def test_the_wheel_of_the_local_aws_holds_its_package_alone(local_wheel):
    names = names_of(local_wheel)
    assert top_of(names) == {"lakehouse_local"}
    assert "lakehouse_local/py.typed" in names
    assert not [name for name in names if name.endswith(".pyc") or "/tests/" in name]


@pytest.mark.slow
def test_a_wheel_by_way_of_the_sdist_holds_the_same(used_checkout, wheel, tmp_path):
    source = unpacked(build("sdist", used_checkout, tmp_path / "sdist"), tmp_path / "unpacked")
    assert not (source / "lakehouse-local").exists()
    # uv refuses a source tree whose workspace has a member that is missing.
    assert "[tool.uv" not in (source / "pyproject.toml").read_text()
    assert names_of(build("wheel", source, tmp_path / "wheel")) == names_of(wheel)


def test_a_wheel_of_the_local_aws_by_way_of_its_sdist_holds_the_same(used_checkout, local_wheel, tmp_path):
    source = unpacked(build("sdist", used_checkout / "lakehouse-local", tmp_path / "sdist"), tmp_path / "unpacked")
    held = {path.name for path in source.iterdir()} - {"PKG-INFO", ".gitignore"}
    assert held == {"LICENSE", "README.md", "lakehouse_local", "pyproject.toml", "tests"}
    assert names_of(build("wheel", source, tmp_path / "wheel")) == names_of(local_wheel)


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


@pytest.mark.slow
class TestAlone:
    """Each wheel in an empty environment, with its own dependencies and nothing else of this repository."""

    @pytest.fixture
    def install(self, repository, tmp_path):
        """Return a function that installs a wheel into an empty environment and returns the folder of its programs."""
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        if not Path(uv).is_file():
            pytest.skip("uv is not installed")

        def installed(wheel):
            environment = tmp_path / "environment"
            subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(environment)], check=True)
            command = [uv, "pip", "install", "--quiet", "--python", str(environment / "bin" / "python")]
            constraints = ["-c", str(repository / "constraints" / "dev.txt")]
            ended = subprocess.run([*command, *constraints, str(wheel)], capture_output=True, text=True)
            assert ended.returncode == 0, ended.stderr
            return environment / "bin"

        return installed

    @staticmethod
    def run(folder, *command):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)

    def test_the_provider(self, install, wheel, tmp_path):
        bin_ = install(wheel)
        check = "import airflow_lakehouse_provider as p; [getattr(p, name) for name in p.__all__]"
        for command in ((bin_ / "python", "-c", check), (bin_ / "lakehouse", "--help")):
            ended = self.run(tmp_path, *map(str, command))
            assert ended.returncode == 0, ended.stderr
        refused = self.run(tmp_path, str(bin_ / "lakehouse"), "local")
        assert refused.returncode == 1
        assert "pip install 'airflow-lakehouse-provider[local]'" in refused.stderr
        assert "lakehouse_local" in refused.stderr

    def test_the_local_aws(self, install, local_wheel, tmp_path):
        bin_ = install(local_wheel)
        client = (
            "import boto3, sys; from pathlib import Path; from lakehouse_local import LocalAws\n"
            "with LocalAws(Path(sys.argv[1])) as local:\n"
            "    glue = boto3.client('glue', endpoint_url=local.endpoint, region_name='us-east-1',\n"
            "                        aws_access_key_id='local', aws_secret_access_key='local')\n"
            "    print([each['Name'] for each in glue.get_databases()['DatabaseList']])\n"
        )
        ended = self.run(tmp_path, str(bin_ / "lakehouse-local"), "--help")
        assert ended.returncode == 0, ended.stderr
        ended = self.run(tmp_path, str(bin_ / "python"), "-c", client, str(tmp_path / "root"))
        assert ended.returncode == 0, ended.stderr
        assert ended.stdout.split() == ["['default']"]
