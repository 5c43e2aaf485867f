"""The house rules that no reader should have to check: who imports whom, and how long a module may be."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = "airflow_lakehouse_provider"
ROOT = Path(__file__).resolve().parents[2]
MODULES = sorted([*(ROOT / PACKAGE).rglob("*.py"), *(ROOT / "glue_scripts").rglob("*.py")])

# part -> what of the package it may import, besides itself
BASE = {"month", "config", "starter"}
ALLOWED = {
    "month": set(),
    "config": {"month"},
    "starter": set(),
    "sample_data": {"month", "config"},
    "provider_info": set(),
    "_compat": set(),
    "aws": BASE,
    "dbt": BASE,
    "links": BASE | {"aws", "dbt", "_compat"},
    "dbt_links": BASE | {"aws", "dbt", "_compat", "links"},
    "triggers": BASE | {"aws", "dbt", "_compat"},
    "operators": BASE | {"aws", "dbt", "_compat", "links", "dbt_links", "triggers"},
    "sensors": BASE | {"aws", "dbt", "_compat", "links", "triggers"},
    "local_aws": BASE | {"dbt"},
    "mwaa": BASE | {"dbt"},
    "doctor": BASE | {"aws", "dbt", "_compat"},
    "demo": BASE | {"local_aws", "sample_data", "cli", "aws", "dbt"},
    "cli": BASE | {"local_aws", "sample_data", "demo", "mwaa", "doctor"},
}
WITHOUT_AIRFLOW = {*BASE, "sample_data", "provider_info", "aws", "dbt", "local_aws", "cli", "demo"}
WITH_AIRFLOW_ALL_THE_SAME = {f"{PACKAGE}/dbt/profile.py"}


def imports(path):
    """Every module that a file imports, at whatever depth of the file, relative ones resolved."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            if node.module == PACKAGE:
                yield from (f"{PACKAGE}.{alias.name}" for alias in node.names)


def part(path):
    return path.relative_to(ROOT / PACKAGE).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downwards(path):
    name = str(path.relative_to(ROOT))
    imported = set(imports(path))
    inside = name.startswith(PACKAGE)
    here = part(path) if inside else None
    if (not inside or here in WITHOUT_AIRFLOW) and name not in WITH_AIRFLOW_ALL_THE_SAME:
        assert not [module for module in imported if module.split(".")[0] == "airflow"]
    ours = {module.split(".")[1] for module in imported if module.startswith(f"{PACKAGE}.")}
    if not inside:
        # run_dbt.py is handed the package's own dbt/ as --extra-py-files.
        assert ours <= ({"dbt"} if name == "glue_scripts/run_dbt.py" else set())
    elif here in ALLOWED:
        assert ours - {here, "__version__"} <= ALLOWED[here]


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_say_what_they_are_and_stay_small(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 450
    if text.strip():
        assert ast.get_docstring(ast.parse(text)), f"{path} has no docstring"
