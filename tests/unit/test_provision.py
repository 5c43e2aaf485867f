"""The zips that provisioning uploads."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

pytest.importorskip("moto", reason="needs the extra 'local'")

from airflow_lakehouse_provider.provision import zip_of


def test_a_zip_that_python_imports_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "zipped_rules"
    (package / "__pycache__").mkdir(parents=True)
    (package / "__pycache__" / "x.pyc").write_bytes(b"")
    (package / "__init__.py").write_text("ANSWER = 42\n")
    (package / "sub").mkdir()
    (package / "sub" / "__init__.py").write_text("")
    first = zip_of(package)
    (package / "__init__.py").touch()
    assert zip_of(package) == first
    archive = tmp_path / "out" / "rules.zip"
    archive.parent.mkdir()
    archive.write_bytes(first)
    monkeypatch.setattr(sys, "path", [str(archive), *sys.path])
    assert importlib.import_module("zipped_rules").ANSWER == 42
    assert importlib.import_module("zipped_rules.sub").__file__.startswith(str(archive))
    for name in ("zipped_rules", "zipped_rules.sub"):
        monkeypatch.delitem(sys.modules, name)
