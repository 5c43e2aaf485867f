"""The provider's sdist, which holds no lakehouse-local/: uv refuses a workspace whose member is missing."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_UV_TABLES = re.compile(r"^\[tool\.uv\b[^\n]*\n(?:(?!\[).*\n)*", re.MULTILINE)


class WithoutWorkspace(BuildHookInterface[Any]):
    """Replace pyproject.toml in the sdist by a copy without the tables ``[tool.uv...]``."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the copy and add it to the files of the sdist."""
        self._folder = tempfile.TemporaryDirectory(prefix="lakehouse-sdist-")
        copy = Path(self._folder.name) / "pyproject.toml"
        text = (Path(self.root) / "pyproject.toml").read_text(encoding="utf-8")
        copy.write_text(_UV_TABLES.sub("", text), encoding="utf-8")
        files = build_data["force_include"]
        build_data["force_include"] = {path: name for path, name in files.items() if name != copy.name}
        build_data["force_include"][str(copy)] = copy.name

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Remove the copy."""
        self._folder.cleanup()
