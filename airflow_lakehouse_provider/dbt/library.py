"""The part of this package that the Glue job of dbt carries: the modules that its entry imports, as a zip."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

from airflow_lakehouse_provider.starter import zipped

# The module that glue_scripts/run_dbt.py imports.
ENTRY = "airflow_lakehouse_provider.dbt.glue_job"
_ROOT = Path(__file__).resolve().parents[2]
_PACKAGE = ENTRY.partition(".")[0]


def library() -> bytes:
    """Return the zip for --extra-py-files: the same bytes for the same files."""
    files = imported_files(ENTRY)
    return zipped({name: files[name].read_bytes() for name in sorted(files)})


def imported_files(entry: str) -> dict[str, Path]:
    """Return the files of a module and of the modules of this package that it needs, by their path in a zip."""
    files: dict[str, Path] = {}
    pending = [entry]
    while pending:
        module = pending.pop()
        # Importing a.b.c imports a and a.b.
        pending += [parent] if (parent := module.rpartition(".")[0]) else []
        path = _file(module)
        if path is None or (name := path.relative_to(_ROOT).as_posix()) in files:
            continue
        files[name] = path
        pending += _imports(ast.parse(path.read_text(encoding="utf-8")))
    return files


def _file(module: str) -> Path | None:
    """Return a module's file; None for a name in a module, and for modules of other packages."""
    if module.partition(".")[0] != _PACKAGE:
        return None
    path = _ROOT.joinpath(*module.split("."))
    found = (path / "__init__.py", path.with_suffix(".py"))
    return next((file for file in found if file.is_file()), None)


def _imports(node: ast.AST) -> Iterator[str]:
    """Yield the modules that a syntax tree imports, also within functions, but not for type checkers alone."""
    children: Iterable[ast.AST] = ast.iter_child_nodes(node)
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
        children = node.orelse
    for child in children:
        yield from _imports(child)
