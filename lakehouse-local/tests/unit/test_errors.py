"""The tree of exceptions in errors.py, compared with the classes of the package."""

from __future__ import annotations

import ast
import builtins
import re
from pathlib import Path

import lakehouse_local
from lakehouse_local import errors

PACKAGE = Path(lakehouse_local.__file__).parent
NOT_OURS = {"GlueArgumentError"}  # of awsglue, whose classes are AWS's


def drawn() -> dict[str, str]:
    """Return each exception of the docstring with the one above it; the root of the internal ones is empty."""
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in str(errors.__doc__).splitlines():
        if not line.startswith("    "):
            above = []
            continue
        match = re.match(r"( +)(\w+)( {2,}\S|$)", line)
        assert match, line
        indent, name = len(match[1]), match[2]
        above = [(deep, parent) for deep, parent in above if deep < indent]
        parents[name] = above[-1][1] if above else ""
        above.append((indent, name))
    return parents


def written() -> dict[str, str]:
    """Return each exception class of the package with the one of the package that it derives from."""
    bases: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [ast.unparse(base) for base in node.bases]

    def raised(name: str) -> bool:
        builtin = getattr(builtins, name, None)
        if isinstance(builtin, type):
            return issubclass(builtin, BaseException)
        return any(raised(base) for base in bases.get(name, ()))

    return {
        name: next((base for base in own if base in bases), "")
        for name, own in bases.items()
        if raised(name) and name not in NOT_OURS
    }


def test_the_tree_is_complete_and_true() -> None:
    assert drawn() == written()
