"""Python modules that a job asks for: what is there already is used, the rest is installed once under the root."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from lakehouse_local.s3.store import SCRATCH, ObjectStore

FOLDER = ".python"  # under the store's root: one directory for each list of modules
_SECONDS = 900
_lock = threading.Lock()


class ModuleInstallError(Exception):
    """Modules that could not be installed, with the installer's own last words."""


def listed(argument: str) -> list[str]:
    """The parts of a comma-separated job argument."""
    return [part.strip() for part in argument.split(",") if part.strip()]


def installed(wanted: list[str], store: ObjectStore) -> Path | None:
    """A directory with the modules, or None when all of them are importable already.

    :param wanted: requirements as pip takes them, or s3:// URIs of wheels
    :raises ModuleInstallError: in a sentence
    """
    missing = [requirement for requirement in wanted if not _satisfied(requirement)]
    if not missing:
        return None
    name = hashlib.sha256("\n".join([sys.version, *sorted(missing)]).encode()).hexdigest()[:16]
    target = store.root / FOLDER / name
    with _lock:
        if not target.is_dir():
            _install(missing, target, store)
    return target


def _satisfied(requirement: str) -> bool:
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        asked = Requirement(requirement)
        return not asked.extras and importlib.metadata.version(asked.name) in asked.specifier
    except (InvalidRequirement, importlib.metadata.PackageNotFoundError):
        return False


def _install(requirements: list[str], target: Path, store: ObjectStore) -> None:
    scratch = store.root / SCRATCH / f"modules-{target.name}"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    try:
        sources = [_source(requirement, scratch, store) for requirement in requirements]
        command = [*_installer(), "--target", str(scratch / "lib"), *sources]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        if done.returncode:
            said = " ".join((done.stderr or done.stdout).split())[-600:]
            raise ModuleInstallError(
                f"--additional-python-modules {','.join(requirements)} could not be installed: {said}"
            )
        target.parent.mkdir(parents=True, exist_ok=True)
        (scratch / "lib").rename(target)
    except subprocess.TimeoutExpired:
        raise ModuleInstallError(
            f"--additional-python-modules {','.join(requirements)} could not be installed within {_SECONDS} seconds"
        ) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _source(requirement: str, scratch: Path, store: ObjectStore) -> str:
    if not requirement.startswith(("s3://", "s3a://", "s3n://")):
        return requirement
    if not store.exists(requirement):
        raise ModuleInstallError(f"--additional-python-modules names {requirement}, which does not exist")
    wheel = scratch / requirement.rpartition("/")[2]
    wheel.write_bytes(store.read(requirement))
    return str(wheel)


def _installer() -> list[str]:
    try:
        from uv import find_uv_bin

        return [find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable]
    except (ImportError, FileNotFoundError):
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
