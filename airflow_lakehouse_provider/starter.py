"""The starter's files, under the installed package or beside it in a checkout, and folders as zips."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

_TIME = (2024, 1, 1, 0, 0, 0)
# Files and folders that Python, dbt and git leave in a used folder; no part of what it ships.
LEFT_BEHIND = frozenset({"__pycache__", "target", "logs", "dbt_packages", "dbt_modules", ".user.yml", ".git"})

PARTS = ("example_dags", "glue_scripts", "dbt_models", "infra")


def exists(part: str) -> bool:
    """Return True if this installation has the part."""
    return any(folder.is_dir() for folder in _places(part))


def path(part: str) -> Path:
    """Return the folder of one of :data:`PARTS`.

    :raises FileNotFoundError: when neither the wheel's copy nor a checkout's is there
    """
    for folder in _places(part):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"the starter's {part}/ is missing: reinstall airflow-lakehouse-provider")


def _places(part: str) -> tuple[Path, Path]:
    if part not in PARTS:
        raise ValueError(f"part must be one of {', '.join(PARTS)}, not {part!r}")
    package = Path(__file__).resolve().parent
    return package / "_starter" / part, package.parent / part


def files_of(folder: Path) -> dict[str, Path]:
    """Return a folder's files by their path below it, in order, without those that tools left there."""
    return {
        path.relative_to(folder).as_posix(): path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not set(path.relative_to(folder).parts) & LEFT_BEHIND and path.suffix != ".pyc"
    }


def zip_of(folder: Path) -> bytes:
    """Return a folder as a zip that Python imports from: everything below the folder's own name."""
    return zipped({f"{folder.name}/{name}": path.read_bytes() for name, path in files_of(folder).items()})


def zipped(contents: Mapping[str, bytes]) -> bytes:
    """Return a zip of these files: the same bytes for the same files, so that an upload can tell what changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            entry = zipfile.ZipInfo(name, _TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return out.getvalue()
