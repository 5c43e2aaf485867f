"""The version of the layout of a root, which only the version that wrote it can read."""

from __future__ import annotations

from pathlib import Path

from lakehouse_local.errors import StateError
from lakehouse_local.s3.store import STATE

# Counted up when files under a root change their names or their content.
LAYOUT = 1
_FILE = "layout"


def check_version(root: Path) -> None:
    """Write the layout's version into a new root, and refuse a root of another version.

    :raises StateError: another version of lakehouse-local made the root
    """
    state = root / STATE
    file = state / _FILE
    state.mkdir(parents=True, exist_ok=True)
    if not any(state.iterdir()):
        file.write_text(f"{LAYOUT}\n", encoding="utf-8")
    found = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
    if found == str(LAYOUT):
        return
    newer = found.isdecimal() and int(found) > LAYOUT
    raise StateError(f"{root} was made by {'a newer' if newer else 'an older'} version: start with a new --root")
