"""The bundle of `lakehouse mwaa bundle`, and its start-up script run as MWAA runs it."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from airflow_lakehouse_provider.config import Lakehouse
from airflow_lakehouse_provider.mwaa import bundle

ZONE = "s3://nyc-taxi-artifacts"
NAME = "airflow_lakehouse_provider-0.0.0-py3-none-any.whl"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("airflow_lakehouse_provider/__init__.py", "")
    return path


@pytest.fixture
def sources(repository: Path) -> bundle.Sources:
    config = repository / "example_dags" / "lakehouse.yaml"
    return bundle.Sources.beside(config, Lakehouse.load(config).dbt.project)


def test_the_bundle_is_laid_out_as_the_zone(tmp_path: Path, sources: bundle.Sources, wheel: Path) -> None:
    names = bundle.build(tmp_path / "out", sources, artifacts=ZONE, wheel=wheel, airflow="2.10.3")
    assert {
        "glue_scripts/clean_trips.py",
        "glue_scripts/trips.zip",
        "glue_scripts/dbt_models.zip",
        "mwaa/dags/example_dags/lakehouse.yaml",
        "mwaa/dags/example_dags/nyc_taxi_monthly.py",
        "mwaa/dags/example_dags/lakehouse_self_check.py",
        "mwaa/dags/dbt_models/dbt_project.yml",
        "mwaa/plugins.zip",
        "mwaa/requirements.txt",
        "mwaa/startup.sh",
    } <= set(names)
    assert not [name for name in names if "__pycache__" in name or "/target/" in name]
    # lakehouse.yaml finds the dbt project from where it lies.
    out = tmp_path / "out" / "mwaa" / "dags"
    assert Lakehouse.load(out / "example_dags" / "lakehouse.yaml").dbt.project == str((out / "dbt_models").resolve())
    requirements = (tmp_path / "out" / bundle.REQUIREMENTS).read_text()
    assert "constraints-2.10.3/constraints-3.11.txt" in requirements
    assert f"/usr/local/airflow/plugins/{NAME}" in requirements
    assert zipfile.ZipFile(tmp_path / "out" / bundle.PLUGINS).namelist() == [NAME]
    trips = zipfile.ZipFile(io.BytesIO((tmp_path / "out" / "glue_scripts" / "trips.zip").read_bytes()))
    assert "trips/__init__.py" in trips.namelist()
    assert "{" not in (tmp_path / "out" / bundle.REQUIREMENTS).read_text()


def test_the_same_files_make_the_same_bytes(tmp_path: Path, sources: bundle.Sources, wheel: Path) -> None:
    out = [tmp_path / "a", tmp_path / "b"]
    for folder in out:
        bundle.build(folder, sources, artifacts=ZONE, wheel=wheel)
    names = bundle.build(out[0], sources, artifacts=ZONE, wheel=wheel)  # an earlier bundle is replaced
    assert all((out[0] / name).read_bytes() == (out[1] / name).read_bytes() for name in names)


def test_nothing_that_is_no_bundle_is_overwritten(tmp_path: Path, sources: bundle.Sources, wheel: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(bundle.BundleError, match="nothing is overwritten"):
        bundle.build(tmp_path, sources, artifacts=ZONE, wheel=wheel)
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"airflow": "2.9.2"}, "is not one of 2.10.3"),
        ({"wheel": Path(__file__)}, "is not a wheel of airflow-lakehouse-provider"),
        ({"dbt_wheels": Path(__file__).parent}, "holds no wheels"),
    ],
)
def test_a_bundle_that_cannot_be_built_is_refused(
    tmp_path: Path, sources: bundle.Sources, wheel: Path, arguments, part: str
) -> None:
    with pytest.raises(bundle.BundleError, match=part):
        bundle.build(tmp_path / "out", sources, **{"artifacts": ZONE, "wheel": wheel, **arguments})
    assert not (tmp_path / "out").exists()


def test_a_project_that_is_none(tmp_path: Path, sources: bundle.Sources, wheel: Path) -> None:
    other = bundle.Sources(sources.dags, tmp_path, sources.glue_scripts, sources.mwaa)
    with pytest.raises(bundle.BundleError, match="is no dbt project"):
        bundle.build(tmp_path / "out", other, artifacts=ZONE, wheel=wheel)


class TestStartup:
    """startup.sh under MWAA's variables, in a home of its own, without root."""

    @pytest.fixture
    def start(self, tmp_path: Path, sources: bundle.Sources, wheel: Path):
        project = tmp_path / "project"
        project.mkdir()
        (project / "dbt_project.yml").write_text("name: p\n")
        (project / "requirements.txt").write_text("# dbt, in little\ndbt-in-little==1.0\n")
        own = bundle.Sources(sources.dags, project, sources.glue_scripts, sources.mwaa)
        wheels = tmp_path / "wheels"
        wheels.mkdir()
        _tiny_wheel(wheels)
        bundle.build(tmp_path / "out", own, artifacts=ZONE, wheel=wheel)
        script = tmp_path / "out" / bundle.STARTUP
        home = tmp_path / "airflow"
        home.mkdir()

        def run(component: str | None, *, wheels_there: bool = True) -> subprocess.CompletedProcess[str]:
            environment = {
                "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
                "HOME": str(tmp_path),
                "AIRFLOW_HOME": str(home),
                "PIP_USER": "true",  # as MWAA's image has it
                "PIP_NO_INDEX": "1",
                "PIP_FIND_LINKS": str(wheels if wheels_there else tmp_path / "none"),
                **({"MWAA_AIRFLOW_COMPONENT": component} if component else {}),
            }
            return subprocess.run(["/bin/sh", str(script)], capture_output=True, text=True, env=environment)

        run.home = home
        return run

    @pytest.mark.parametrize("component", ["worker", pytest.param("hybrid", marks=pytest.mark.slow)])
    def test_a_worker_gets_dbt(self, start, component: str) -> None:
        ended = start(component)
        assert ended.returncode == 0, ended.stderr
        assert "dbt in little" in ended.stdout
        assert os.access(start.home / "dbt" / "bin" / "dbt", os.X_OK)
        again = start(component)
        assert again.returncode == 0, again.stderr

    @pytest.mark.parametrize("component", ["scheduler", "webserver", None])
    def test_others_get_nothing(self, start, component: str | None) -> None:
        ended = start(component)
        assert (ended.returncode, list(start.home.iterdir())) == (0, [])
        assert "nothing to do" in ended.stdout

    def test_a_failure_is_loud(self, start) -> None:
        ended = start("worker", wheels_there=False)
        assert ended.returncode != 0
        assert "lakehouse startup.sh FAILED" in ended.stderr
        assert "no dbt on this worker" in ended.stderr

    def test_shellcheck_reports_nothing(self, repository: Path) -> None:
        shellcheck = shutil.which("shellcheck")
        if shellcheck is None:
            pytest.skip("shellcheck is not installed")
        subprocess.run([shellcheck, str(repository / "infra" / "mwaa" / "startup.sh")], check=True)


def _tiny_wheel(folder: Path) -> None:
    """A wheel whose one command is `dbt`."""
    about = "dbt_in_little-1.0.dist-info"
    with zipfile.ZipFile(folder / "dbt_in_little-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr("dbt_in_little.py", "def main():\n    print('dbt in little')\n")
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: dbt-in-little\nVersion: 1.0\n")
        archive.writestr(
            f"{about}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{about}/entry_points.txt", "[console_scripts]\ndbt = dbt_in_little:main\n")
        archive.writestr(f"{about}/RECORD", "")
