"""Parts of a gated run without dbt: the audit's profile, statements of nodes, overridden macros, work groups."""

from __future__ import annotations

import json

import pytest

from airflow_lakehouse_provider.dbt.events import DbtEvent
from airflow_lakehouse_provider.dbt.gate import forget
from airflow_lakehouse_provider.dbt.gate.parsing import audit_profiles
from airflow_lakehouse_provider.dbt.gate.refused import GateRefused
from airflow_lakehouse_provider.dbt.gate.request import GateRequest
from airflow_lakehouse_provider.dbt.gate.statements import Statements
from airflow_lakehouse_provider.dbt.gate.work_group import results
from airflow_lakehouse_provider.dbt.profile import AthenaProfile
from airflow_lakehouse_provider.dbt.project import Project, ProjectError
from airflow_lakehouse_provider.dbt.workspace import Workspace

AUDIT = "marts__audit_0123456789ab"
FILES = f"s3://lake/data/generations/{AUDIT}"


def test_the_audits_profile_differs_in_schema_and_places_alone():
    more = {"s3_tmp_table_dir": "s3://lake/tmp", "s3_data_naming": "schema_table"}
    production = AthenaProfile("marts", "us-east-1", "s3://results/", "s3://lake/data", more=more).content("prod")
    audit = audit_profiles(production, AUDIT, FILES)["airflow"]
    assert audit["target"] == "prod"
    changed = {"schema": AUDIT, "s3_data_dir": FILES, "s3_tmp_table_dir": f"{FILES}/temporary"}
    before = production["airflow"]["outputs"]["prod"]
    assert audit["outputs"]["prod"] == before | changed | {"s3_data_naming": "schema_table_unique"}
    assert before["schema"] == "marts"


class Athena:
    """Athena's history of queries, of which it answers at most 50 at once."""

    def __init__(self, queries=None, configuration=None):
        self.queries, self.configuration = queries or {}, configuration or {}

    def batch_get_query_execution(self, QueryExecutionIds):
        assert len(QueryExecutionIds) <= 50
        found = [{"QueryExecutionId": each, "Query": self.queries.get(each)} for each in QueryExecutionIds]
        return {"QueryExecutions": [each for each in found if each["Query"]]}

    def get_work_group(self, WorkGroup):
        return {"WorkGroup": {"Name": WorkGroup, "Configuration": self.configuration}}


def test_statements_are_those_that_read_and_a_node_that_athena_does_not_tell_is_left_out(tmp_path):
    ids = [f"{number:08x}-0000-0000-0000-000000000000" for number in range(70)]
    queries = {each: f'-- /* {{"node_id": "a"}} */\nselect {number}' for number, each in enumerate(ids[:60])}
    queries |= {ids[60]: "/* dbt */ create table x as select 1", ids[61]: "alter table x add columns (y int)"}
    statements = Statements()
    for number, each in enumerate(ids):
        node = "model.a" if number < 62 else "model.gone"
        statements.see(DbtEvent(f"Athena query {each} started", unique_id=node))
        statements.see(DbtEvent(f"Athena query {each} has state SUCCEEDED", unique_id=node))
    statements.write(Athena(queries), tmp_path / "statements.json")
    found = json.loads((tmp_path / "statements.json").read_text())
    assert found == {"model.a": [*(f"select {number}" for number in range(60)), "create table x as select 1"]}


def test_no_statements_are_an_empty_document(tmp_path):
    Statements().write(Athena(), tmp_path / "statements.json")
    assert json.loads((tmp_path / "statements.json").read_text()) == {}


def test_a_macro_of_the_gates_in_a_package_is_named(tmp_path):
    file = tmp_path / "dbt_packages/utils/macros/x.sql"
    file.parent.mkdir(parents=True)
    file.write_text("{%- macro  delete_overlapping_partitions(a, b, c) -%}{% endmacro %}")
    (found,) = forget.overrides(tmp_path / "dbt_packages", [file])
    assert str(found).startswith(
        "macro delete_overlapping_partitions: utils/macros/x.sql defines it, and the gate's own must be used"
    )
    file.write_text("{% macro other() %}{{ delete_overlapping_partitions(a, b, c) }}{% endmacro %}")
    assert list(forget.overrides(tmp_path, [file])) == []


@pytest.mark.parametrize(("line", "folder"), [("", "macros"), ("macro-paths: [code/macros, more]", "code/macros")])
def test_the_gates_macros_are_added_to_the_copy_alone(tmp_path, line, folder):
    project = tmp_path / "shop"
    (project / folder).mkdir(parents=True)
    (project / "dbt_project.yml").write_text(f"name: shop\n{line}\n")
    (project / folder / "own.sql").write_text("own")
    before = sorted(project.rglob("*"))
    workspace = Workspace(Project.open(project), tmp_path / "copy")
    workspace.add_macros("gate.sql", "text")
    assert sorted(project.rglob("*")) == before
    assert (tmp_path / "copy" / folder / "gate.sql").read_text() == "text"
    assert (tmp_path / "copy" / folder / "own.sql").read_text() == "own"


def test_macro_paths_that_only_dbt_knows_are_refused(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop/dbt_project.yml").write_text("name: shop\nmacro-paths: ['{{ env_var(\"X\") }}']\n")
    with pytest.raises(ProjectError, match=r"^macro-paths of shop begin with .* name a folder of the project"):
        Workspace(Project.open(tmp_path / "shop"), tmp_path / "copy").add_macros("gate.sql", "text")


def test_places_of_results_and_a_work_group_that_has_tables_there():
    gate = GateRequest(schema="marts", data="s3://lake", staging="s3://results/dbt/")
    output = {"ResultConfiguration": {"OutputLocation": "s3://results/group/"}}
    assert results(Athena(), gate, None) == ["s3://results/dbt"]
    assert results(Athena(configuration=output), gate, "dbt") == ["s3://results/dbt"]
    without = GateRequest(schema="marts", data="s3://lake")
    assert results(Athena(configuration=output), without, "dbt") == ["s3://results/group"]
    with pytest.raises(GateRefused, match="query results lie at 's3://lake/', and production's tables under it"):
        results(Athena(), GateRequest(schema="marts", data="s3://lake/data", staging="s3://lake/"), None)
    with pytest.raises(GateRefused, match=r"^work group 'dbt' enforces its location of results, s3://results/group/"):
        results(Athena(configuration=output | {"EnforceWorkGroupConfiguration": True}), gate, "dbt")
    with pytest.raises(GateRefused, match=r"^no place of query results is known: give s3_staging_dir"):
        results(Athena(), GateRequest(schema="marts", data="s3://lake"), None)
