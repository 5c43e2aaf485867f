"""The modules that the Glue job of dbt carries are those that its script imports, and they need nothing else."""

from __future__ import annotations

import ast
import io
import subprocess
import sys
import zipfile

import pytest

from airflow_lakehouse_provider.dbt.library import ENTRY, library

PROGRAM = """
import importlib, sys
for name in sys.argv[2:]:
    importlib.import_module(name)
entry = sys.modules[sys.argv[1]]
assert entry.__file__.startswith(sys.path[0]), entry.__file__
try:
    entry.main([])
except ModuleNotFoundError as error:
    assert error.name == "boto3", error
else:
    raise SystemExit("boto3 was found: this Python is not empty")
"""


@pytest.fixture(scope="module")
def names():
    with zipfile.ZipFile(io.BytesIO(library())) as archive:
        return archive.namelist()


def test_the_entry_is_what_the_script_imports(repository):
    script = ast.parse((repository / "glue_scripts/run_dbt.py").read_text())
    imported = [node.module for node in ast.walk(script) if isinstance(node, ast.ImportFrom)]
    assert imported == [ENTRY]


def test_the_library_alone_is_imported_by_an_empty_python(tmp_path, names):
    archive = tmp_path / "library.zip"
    archive.write_bytes(library())
    modules = [name.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for name in names]
    program = f"import sys; sys.path.insert(0, {str(archive)!r})\n{PROGRAM}"
    command = [sys.executable, "-I", "-S", "-c", program, ENTRY, *modules]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_it_carries_nothing_that_glue_does_not_run(names):
    assert ENTRY.replace(".", "/") + ".py" in names
    parts = {name.split("/")[1] for name in names}
    assert parts & {"operators", "triggers", "links", "_airflow", "aws", "cli", "demo", "mwaa"} == set()
    for absent in ("library", "profile"):  # of the worker
        assert f"airflow_lakehouse_provider/dbt/{absent}.py" not in names


def test_the_same_files_make_the_same_bytes():
    assert library() == library()
