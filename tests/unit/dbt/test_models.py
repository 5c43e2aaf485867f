"""The dbt project agrees with the Glue script about the cleaned zone, and everything in it is described."""

from __future__ import annotations

import re

import pytest
import yaml

from trips.arguments import MARKS, REASONS, SERVICES
from trips.columns import CODES


@pytest.fixture(scope="module")
def project(repository):
    return repository / "dbt_models"


def listed(project, macro):
    text = (project / "macros" / "audited_counts.sql").read_text()
    body = re.search(rf"macro {macro}\(\) %}}(.*?)endmacro", text, re.DOTALL)
    return re.findall(r"'(\w+)'", body[1])


def models(project):
    for path in sorted((project / "models").rglob("*.yml")):
        yield from yaml.safe_load(path.read_text()).get("models", [])


def test_dbt_counts_the_scripts_reasons_and_marks(project):
    assert listed(project, "rejection_reasons") == list(REASONS)
    assert listed(project, "suspect_marks") == list(MARKS)


def test_the_marts_services_are_the_scripts(project):
    text = (project / "models/marts/fct_trips.yml").read_text()
    assert f"values: [{', '.join(SERVICES)}]" in text


@pytest.mark.parametrize(("seed", "column"), [("vendors", "vendor_id"), ("payment_types", "payment_type_id")])
def test_every_code_that_old_files_texts_become_is_in_its_seed(project, seed, column):
    lines = (project / "seeds" / f"{seed}.csv").read_text().splitlines()[1:]
    assert set(CODES[column].values()) <= {int(line.split(",")[0]) for line in lines}


def test_every_model_has_its_description_and_its_unit_tests_have_theirs(project):
    described = {model["name"]: model for model in models(project)}
    files = {path.stem for path in (project / "models").rglob("*.sql")}
    assert set(described) == files
    for model in described.values():
        assert model["description"], model["name"]
        assert [column["name"] for column in model["columns"] if not column.get("description")] == []
    for path in (project / "models").rglob("unit_tests.yml"):
        for test in yaml.safe_load(path.read_text())["unit_tests"]:
            assert test["description"], test["name"]


def test_every_column_of_a_mart_has_a_type_in_its_contract(project):
    marts = {path.stem for path in (project / "models/marts").glob("*.sql")}
    for model in models(project):
        if model["name"] in marts:
            assert [column["name"] for column in model["columns"] if not column.get("data_type")] == [], model["name"]


def test_the_page_on_the_marts_names_every_model_and_test(project, repository):
    page = (repository / "docs" / "marts.md").read_text()
    for path in (project / "models").rglob("*.sql"):
        assert path.stem in page
    for path in (project / "tests").rglob("*.sql"):
        # The generic ones of dbt's own kind need no words.
        assert path.stem in page or path.stem == "unique_together"
