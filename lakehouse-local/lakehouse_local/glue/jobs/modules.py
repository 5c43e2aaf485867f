"""Python modules that a job requires: installed ones are used, missing ones are installed once under the root."""

from __future__ import annotations

import hashlib
import importlib.metadata
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from lakehouse_local.errors import LocalAwsError
from lakehouse_local.s3.store import SCRATCH, ObjectStore
from lakehouse_local.s3.uri import split_s3_uri

FOLDER = ".python"  # under the store's root: one directory for each list of modules, named by a hash of it
_SECONDS = 900
_lock = threading.Lock()


class ModuleInstallError(LocalAwsError):
    """Python modules cannot be installed; the message ends with the installer's last output."""


def listed(argument: str) -> list[str]:
    """Return the parts of a comma-separated job argument."""
    return [part.strip() for part in argument.split(",") if part.strip()]


def installed(requirements: list[str], store: ObjectStore) -> Path | None:
    """Return a directory with the modules; None if all of them are importable already.

    :param requirements: requirements as pip takes them, or s3:// URIs of wheels
    :raises ModuleInstallError: a wheel does not exist, or the installer failed
    """
    missing = [requirement for requirement in requirements if not _satisfied(requirement)]
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
        parsed = Requirement(requirement)
        return not parsed.extras and importlib.metadata.version(parsed.name) in parsed.specifier
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
            output = " ".join((done.stderr or done.stdout).split())[-600:]
            raise ModuleInstallError(
                f"--additional-python-modules {','.join(requirements)} could not be installed: {output}"
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
    """Return a requirement as the installer takes it: a wheel in S3 becomes a local file."""
    try:
        _, key = split_s3_uri(requirement)
    except ValueError:
        return requirement
    if not store.exists(requirement):
        raise ModuleInstallError(f"--additional-python-modules names {requirement}, which does not exist")
    wheel = scratch / key.rpartition("/")[2]
    wheel.write_bytes(store.read(requirement))
    return str(wheel)


def _installer() -> list[str]:
    try:
        from uv import find_uv_bin

        return [find_uv_bin(), "pip", "install", "--quiet", "--python", sys.executable]
    except (ImportError, FileNotFoundError):
        return [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
