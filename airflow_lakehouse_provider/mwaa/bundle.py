"""A bundle: a folder of all files that an MWAA environment and the Glue jobs run, in the layout of the artifacts zone.

Jobs read ``glue_scripts/`` and MWAA reads ``mwaa/``; only the deployer's role may write there. Of this repository's two
distributions a bundle holds the provider's wheel alone: no AWS needs a local one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from airflow_lakehouse_provider import starter
from airflow_lakehouse_provider.dbt.library import library
from airflow_lakehouse_provider.errors import LakehouseError
from airflow_lakehouse_provider.starter import LEFT_BEHIND, files_of, zip_of, zipped

SCRIPTS = "glue_scripts/"
MWAA = "mwaa/"
DAGS, WHEELS = f"{MWAA}dags/", f"{MWAA}wheels/"
PLUGINS, REQUIREMENTS, STARTUP = f"{MWAA}plugins.zip", f"{MWAA}requirements.txt", f"{MWAA}startup.sh"
# Airflow's version -> the Python that MWAA runs it with
AIRFLOW = {"2.10.3": "3.11", "2.11.2": "3.12", "3.0.6": "3.12", "3.2.1": "3.12", "3.3.1": "3.12"}
DEFAULT_AIRFLOW = "3.0.6"  # also the default of infra/terraform's variable mwaa
DBT = "/usr/local/airflow/dbt/bin/dbt"  # startup.sh installs it there
_DISTRIBUTION = "airflow_lakehouse_provider"
_MARKER = ".lakehouse-bundle"
_CONSTRAINTS = "constraints.txt"
_UNPACKED = "/usr/local/airflow/plugins/"  # where MWAA unpacks plugins.zip


class BundleError(LakehouseError, RuntimeError):
    """The bundle cannot be built; the message names what is missing and what to do."""


@dataclass(frozen=True)
class Sources:
    """The folders of a bundle's files.

    :param dags: the folder of DAGs with lakehouse.yaml beside them
    :param dbt_project: the dbt project's folder
    :param glue_scripts: the folder of the Glue scripts
    :param mwaa: the folder of requirements.txt, startup.sh and dags/
    """

    dags: Path
    dbt_project: Path
    glue_scripts: Path
    mwaa: Path

    @classmethod
    def beside(cls, config: Path, dbt_project: str) -> Sources:
        """Return the folders of the project that a lakehouse.yaml belongs to; the starter's for those it lacks."""
        dags = config.resolve().parent

        def part(name: str) -> Path:
            own = dags.parent / name
            return own if own.is_dir() else starter.path(name)

        return cls(dags, Path(dbt_project), part("glue_scripts"), part("infra") / "mwaa")


def build(
    out: Path,
    sources: Sources,
    *,
    artifacts: str,
    airflow: str = DEFAULT_AIRFLOW,
    wheel: Path | None = None,
    dbt_wheels: Path | None = None,
    constraints: Path | None = None,
) -> list[str]:
    """Build the bundle in ``out``, a new folder or an earlier bundle, which is replaced; return the names of its files.

    :param artifacts: the zone to which it will be uploaded
    :param airflow: MWAA's version of Airflow, one of :data:`AIRFLOW`
    :param wheel: this provider's wheel; None builds it from the checkout
    :param dbt_wheels: a folder of dbt's wheels, for workers that cannot reach PyPI
    :param constraints: a constraint file for the bundle; None names Airflow's own, which is fetched from GitHub
    :raises BundleError: when something is missing, or ``out`` holds something else
    """
    if airflow not in AIRFLOW:
        raise BundleError(f"MWAA's Airflow {airflow} is not one of {', '.join(AIRFLOW)}")
    if out.exists() and any(out.iterdir()) and not (out / _MARKER).exists():
        raise BundleError(f"{out} holds files that are not a bundle, and nothing is overwritten: choose another folder")
    wheel_name, wheel_content = _wheel(wheel)
    contents = {
        **_scripts(sources),
        **_dags(sources),
        PLUGINS: zipped({wheel_name: wheel_content, **({_CONSTRAINTS: _read(constraints)} if constraints else {})}),
        REQUIREMENTS: _requirements(sources.mwaa, airflow, wheel_name, own_constraints=constraints is not None),
        STARTUP: _startup(sources, f"{artifacts}/{WHEELS}" if dbt_wheels else ""),
        **_dbt_wheels(dbt_wheels),
    }
    if out.exists():
        shutil.rmtree(out)
    for name, content in contents.items():
        path = out / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (out / _MARKER).touch()
    return sorted(contents)


def _scripts(sources: Sources) -> dict[str, bytes]:
    """Return the Glue scripts, their folders as zips for --extra-py-files, and the dbt project as a zip.

    The part of this package that runs dbt is among them, for the Glue job of dbt.
    """
    found: dict[str, bytes] = {}
    for path in sorted(sources.glue_scripts.iterdir()):
        if path.is_dir() and path.name not in LEFT_BEHIND:
            found[f"{SCRIPTS}{path.name}.zip"] = zip_of(path)
        elif path.suffix == ".py":
            found[f"{SCRIPTS}{path.name}"] = path.read_bytes()
    if not found:
        raise BundleError(f"{sources.glue_scripts} holds no Glue script")
    found[f"{SCRIPTS}{_DISTRIBUTION}.zip"] = library()
    project = sources.dbt_project
    if not (project / "dbt_project.yml").is_file():
        raise BundleError(f"{project} is no dbt project: lakehouse.yaml's dbt.project must name its folder")
    found[f"{SCRIPTS}{project.name}.zip"] = zipped(
        {name: path.read_bytes() for name, path in files_of(project).items()}
    )
    return found


def _dags(sources: Sources) -> dict[str, bytes]:
    # The folders keep their names: lakehouse.yaml names the dbt project relative to itself.
    folders = {sources.dags.name: sources.dags, sources.dbt_project.name: sources.dbt_project}
    found = {
        f"{DAGS}{folder}/{name}": path.read_bytes()
        for folder, root in folders.items()
        for name, path in files_of(root).items()
    }
    checks = sources.mwaa / "dags"
    if checks.is_dir():
        found |= {f"{DAGS}{sources.dags.name}/{name}": path.read_bytes() for name, path in files_of(checks).items()}
    if f"{DAGS}{sources.dags.name}/lakehouse.yaml" not in found:
        raise BundleError(f"{sources.dags} holds no lakehouse.yaml: DAGs read it from their own folder")
    return found


def _requirements(mwaa: Path, airflow: str, wheel: str, *, own_constraints: bool) -> bytes:
    template = _read(mwaa / "requirements.txt").decode()
    published = (
        f"https://raw.githubusercontent.com/apache/airflow/constraints-{airflow}/constraints-{AIRFLOW[airflow]}.txt"
    )
    constraints = f"{_UNPACKED}{_CONSTRAINTS}" if own_constraints else published
    return template.replace("{constraints}", constraints).replace("{wheel}", f"{_UNPACKED}{wheel}").encode()


def _startup(sources: Sources, wheels: str) -> bytes:
    # dbt's versions are written into the script: the DAGs' folder may be missing when it runs.
    requirements = _read(sources.dbt_project / "requirements.txt").decode().strip()
    script = _read(sources.mwaa / "startup.sh").decode()
    return script.replace("{dbt_requirements}", requirements).replace("{wheels}", wheels).encode()


def _dbt_wheels(folder: Path | None) -> dict[str, bytes]:
    if folder is None:
        return {}
    wheels = sorted(folder.glob("*.whl"))
    if not wheels:
        raise BundleError(f"{folder} holds no wheels: pip download --only-binary :all: -r dbt_models/requirements.txt")
    return {f"{WHEELS}{path.name}": path.read_bytes() for path in wheels}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BundleError(f"{path} cannot be read: {error.strerror}; `lakehouse init` writes one") from error


def _wheel(given: Path | None) -> tuple[str, bytes]:
    if given is not None:
        if not given.name.startswith(f"{_DISTRIBUTION}-") or given.suffix != ".whl" or not zipfile.is_zipfile(given):
            raise BundleError(f"{given} is not a wheel of airflow-lakehouse-provider")
        return given.name, given.read_bytes()
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / "pyproject.toml").is_file():
        raise BundleError(
            "this package is installed from a wheel: give that file with --wheel "
            "(pip download --no-deps airflow-lakehouse-provider)"
        )
    with tempfile.TemporaryDirectory(prefix="lakehouse-wheel-") as folder:
        # With hatchling installed, no network is needed.
        for command in (
            [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
            [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, "."],
        ):
            built = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
            wheels = list(Path(folder).glob(f"{_DISTRIBUTION}-*.whl"))
            if built.returncode == 0 and wheels:
                return wheels[0].name, wheels[0].read_bytes()
        raise BundleError(f"the wheel cannot be built: {built.stderr.strip()[-500:]}. Give one with --wheel")
