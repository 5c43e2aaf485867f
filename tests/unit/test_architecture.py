"""The rules of the repository that no reader should have to check: imports, module sizes, names and docstrings."""

from __future__ import annotations

import ast
import functools
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROVIDER, LOCAL = "airflow_lakehouse_provider", "lakehouse_local"
HOMES = {PROVIDER: ROOT, LOCAL: ROOT / "lakehouse-local"}
SCRIPTS = sorted((ROOT / "glue_scripts").rglob("*.py"))
MODULES = {package: sorted((home / package).rglob("*.py")) for package, home in HOMES.items()}
EVERY_MODULE = [*MODULES[PROVIDER], *MODULES[LOCAL], *SCRIPTS]
TESTS = sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "lakehouse-local" / "tests").rglob("*.py")])
LONGEST_MODULE = 450  # lines

# part of the provider -> the parts that it may import, besides itself
BASE = {"month", "config", "starter", "errors", "s3_uri", "values"}
ALLOWED = {
    "errors": set(),
    "s3_uri": set(),
    "values": {"errors"},
    "month": {"errors"},
    "config": {"errors", "month", "s3_uri"},
    "starter": set(),
    "sample_data": {"month", "config"},
    "provider_info": set(),
    "_airflow": {"errors", "dbt"},
    "aws": BASE,
    "publishing": BASE,
    "dbt": BASE | {"publishing"},
    "links": BASE | {"aws", "dbt", "_airflow"},
    "triggers": BASE | {"aws", "dbt", "_airflow"},
    "operators": BASE | {"aws", "dbt", "publishing", "_airflow", "links", "triggers"},
    "sensors": BASE | {"aws", "dbt", "_airflow", "links", "triggers"},
    "provision": BASE | {"dbt"},
    "mwaa": BASE | {"dbt"},
    "doctor": BASE | {"aws", "dbt", "_airflow"},
    "demo": BASE | {"provision", "sample_data", "cli", "aws", "dbt"},
    "cli": BASE | {"publishing", "dbt", "provision", "sample_data", "demo", "mwaa", "doctor"},
}
IMPORT_LOCAL = {"demo", "cli"}  # nothing else of the provider may import lakehouse_local
WITHOUT_AIRFLOW = {*BASE, "sample_data", "provider_info", "aws", "dbt", "publishing", "cli", "demo", "provision"}
# Docstrings begin with what a thing is or does.
OLD_OPENINGS = re.compile(r"(What|Whether|Of|Who|Whose|Those|Where|How|Which|As)\b")


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports(path: Path) -> Iterator[str]:
    """Yield every module that a file imports, at any depth of the file."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield node.module or ""
            if node.module in MODULES:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def roots(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imports(path)}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def part_of(path: Path) -> str:
    return path.relative_to(ROOT / PROVIDER).parts[0].removesuffix(".py")


def test_every_part_of_the_provider_has_its_line_here() -> None:
    assert {part_of(path) for path in MODULES[PROVIDER]} - {"__init__"} == set(ALLOWED)


def test_imports_of_the_provider_point_downwards() -> None:
    wrong = {}
    for path in MODULES[PROVIDER]:
        part = part_of(path)
        ours = {module.split(".")[1] for module in imports(path) if module.startswith(f"{PROVIDER}.")}
        if part in ALLOWED and (found := ours - {part, "__version__"} - ALLOWED[part]):
            wrong[name_of(path)] = found
    assert wrong == {}


def test_only_cli_and_demo_import_the_local_aws() -> None:
    assert {part_of(path) for path in MODULES[PROVIDER] if LOCAL in roots(path)} <= IMPORT_LOCAL


def test_airflow_is_imported_only_where_it_must_be() -> None:
    assert {part_of(path) for path in MODULES[PROVIDER] if "airflow" in roots(path)} & WITHOUT_AIRFLOW == set()


def test_the_local_aws_knows_neither_airflow_nor_the_provider() -> None:
    assert [name_of(path) for path in MODULES[LOCAL] if roots(path) & {"airflow", PROVIDER}] == []


def test_only_one_package_of_the_local_aws_knows_moto() -> None:
    assert {path.relative_to(HOMES[LOCAL] / LOCAL).parts[0] for path in MODULES[LOCAL] if "moto" in roots(path)} == {
        "moto"
    }


def test_glue_scripts_run_without_the_provider() -> None:
    for path in SCRIPTS:
        ours = {module for module in imports(path) if module.split(".")[0] in (PROVIDER, LOCAL)}
        # run_dbt.py is given the provider's dbt/ as --extra-py-files.
        assert ours <= ({f"{PROVIDER}.dbt.glue_job"} if path.name == "run_dbt.py" else set()), path
        assert "airflow" not in roots(path), path


def test_modules_say_what_they_are_and_stay_small() -> None:
    lines = {name_of(path): len(path.read_text().splitlines()) for path in EVERY_MODULE}
    assert {name: count for name, count in lines.items() if count > LONGEST_MODULE} == {}
    assert [name_of(path) for path in EVERY_MODULE if path.read_text() and not ast.get_docstring(tree(path))] == []


@pytest.mark.parametrize("package", MODULES)
def test_a_class_name_is_used_once(package: str) -> None:
    homes = defaultdict(set)
    for path in MODULES[package]:
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ClassDef):
                homes[node.name].add(name_of(path))
    assert {name: sorted(paths) for name, paths in homes.items() if len(paths) > 1} == {}


def test_docstrings_begin_with_what_a_thing_is_or_does() -> None:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = {
        f"{name_of(path)}:{getattr(node, 'lineno', 1)}": text.splitlines()[0]
        for path in [*EVERY_MODULE, *TESTS]
        for node in ast.walk(tree(path))
        if isinstance(node, kinds) and (text := ast.get_docstring(node)) and OLD_OPENINGS.match(text)
    }
    assert found == {}


def test_make_test_and_make_test_all_together_run_every_test() -> None:
    """`make test-all` deselects nothing, and `make test` nothing but what is slow."""
    makefile = (ROOT / "Makefile").read_text()
    shared = re.findall(r"^PYTEST := \$\(BIN\)/pytest (.*)$", makefile, re.M)
    recipes = dict(re.findall(r"^(test|test-all): install\n(?:\t-.*\n)?\t\$\(PYTEST\) (.*)$", makefile, re.M))
    assert len(shared) == 1
    assert not re.search(r"(^|\s)(-k|-m|--ignore|--ignore-glob|--deselect|-x|--maxfail)\b", shared[0])
    assert recipes == {
        "test": '-m "not slow" --hypothesis-profile quick tests lakehouse-local/tests',
        "test-all": "--hypothesis-profile thorough tests lakehouse-local/tests",
    }
    assert [
        name_of(path) for path in TESTS if "collect_ignore" in path.read_text() and path.name == "conftest.py"
    ] == []
