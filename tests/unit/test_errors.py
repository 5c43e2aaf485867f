"""The tree of the provider's exceptions, as LakehouseError's docstring draws it."""

from __future__ import annotations

import ast
import builtins
import importlib
import inspect
import textwrap
from pathlib import Path

import pytest

import airflow_lakehouse_provider
from airflow_lakehouse_provider.errors import LakehouseError

PACKAGE = Path(airflow_lakehouse_provider.__file__).parent
REPOSITORY = Path(__file__).resolve().parents[2]


def classes_of_the_package():
    """Yield module and class of every class definition, without importing anything."""
    for path in sorted(PACKAGE.rglob("*.py")):
        module = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                yield module, node


def exceptions():
    """Return name -> module and bases of every class that derives, directly or not, from an exception."""
    bases = {
        node.name: (module, [ast.unparse(base).split(".")[-1] for base in node.bases])
        for module, node in classes_of_the_package()
    }

    def is_exception(name):
        builtin = getattr(builtins, name, None)
        if isinstance(builtin, type):
            return issubclass(builtin, BaseException)
        return name in bases and any(map(is_exception, bases[name][1]))

    return {name: found for name, found in bases.items() if is_exception(name)}


def drawn():
    """Return the tree of the docstring, child -> parent."""
    parents, path = {}, []
    lines = inspect.getdoc(LakehouseError).split("::", 1)[1].splitlines()
    for line in filter(str.strip, lines):
        depth, name = (len(line) - len(line.lstrip())) // 4 - 1, line.split()[0]
        del path[depth:]
        parents[name] = path[-1] if path else None
        path.append(name)
    return parents


def test_every_exception_is_in_the_drawing_below_its_base():
    found = {
        name: next((base for base in bases if not hasattr(builtins, base)), None)
        for name, (_, bases) in exceptions().items()
    }
    assert found == drawn()


def test_every_exception_derives_from_the_root():
    pytest.importorskip("airflow")
    for name, (module, _) in exceptions().items():
        assert issubclass(getattr(importlib.import_module(module), name), LakehouseError), name


def test_the_docs_draw_both_trees():
    page = (REPOSITORY / "docs" / "exceptions.md").read_text()
    for text in (
        inspect.getdoc(LakehouseError),
        ast.get_docstring(ast.parse((REPOSITORY / "lakehouse-local/lakehouse_local/errors.py").read_text())),
    ):
        drawing = text.split("::\n\n", 1)[1].split("\n\n", 1)[0]
        assert f"```\n{textwrap.dedent(drawing)}\n```" in page
