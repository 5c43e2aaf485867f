"""Where the starter's files are: under the installed package, or beside it in a checkout."""

from __future__ import annotations

from pathlib import Path

PARTS = ("example_dags", "glue_scripts", "dbt_models", "infra")


def exists(part: str) -> bool:
    """Whether this installation has the part."""
    return any(folder.is_dir() for folder in _places(part))


def path(part: str) -> Path:
    """The folder of one of :data:`PARTS`.

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
