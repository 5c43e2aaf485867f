"""The gate's judgement of a project by its two manifests, without dbt: kinds, reads, and each refusal."""

from __future__ import annotations

import copy

import pytest

from airflow_lakehouse_provider.dbt.gate.kinds import AuditPlace
from airflow_lakehouse_provider.dbt.gate.nodes import decide
from airflow_lakehouse_provider.dbt.gate.refused import GateRefused
from airflow_lakehouse_provider.publishing.names import TableName

AUDIT = "marts__audit_0123456789ab"
PLACE = AuditPlace(AUDIT, f"s3://lake/data/generations/{AUDIT}")
FACTS = {"materialized": "incremental", "partitioned_by": ["day"], "incremental_strategy": None}


def model(name, *reads, macros=(), resource_type="model", package="shop", **config):
    unique_id = f"{resource_type}.{package}.{name}"
    return {
        "unique_id": unique_id,
        "resource_type": resource_type,
        "package_name": package,
        "name": name,
        "alias": name,
        "schema": "marts",
        "database": "awsdatacatalog",
        "language": "sql",
        "raw_code": "select 1",
        "config": {"materialized": "table", "pre-hook": [], "post-hook": [], **config},
        "depends_on": {"nodes": [f"model.{package}.{each}" for each in reads], "macros": list(macros)},
    }


def manifest(*nodes, macros=()):
    found = {f"macro.{package}.{name}": (package, name, sql, calls) for package, name, sql, *calls in macros}
    return {
        "nodes": {node["unique_id"]: node for node in nodes},
        "macros": {
            unique_id: {
                "name": name,
                "package_name": package,
                "macro_sql": sql,
                "original_file_path": f"macros/{name}.sql",
                "depends_on": {"macros": calls},
            }
            for unique_id, (package, name, sql, calls) in found.items()
        },
    }


def in_audit(production, schema=lambda name: name.replace("marts", AUDIT)):
    found = copy.deepcopy(production)
    for node in found["nodes"].values():
        node["schema"] = schema(node["schema"])
    return found


def judge(production, audit=None, selected=None):
    return decide(production, audit or in_audit(production), selected or list(production["nodes"]), PLACE)


def refusal(*nodes, audit=None, selected=None, macros=()):
    """Return the lines of the reasons."""
    with pytest.raises(GateRefused) as refused:
        judge(manifest(*nodes, macros=macros), audit, selected)
    first, *lines = str(refused.value).splitlines()
    assert first.startswith("dbt cannot build this under the gate, for ")
    assert first.endswith("; nothing was built:")
    return [line.removeprefix("- ") for line in lines]


def test_kinds_reads_and_parents_are_found_through_ephemerals_and_views():
    nodes = [
        model("raw"),
        model("shown", "raw", materialized="view"),
        model("between", "shown", materialized="ephemeral"),
        model("facts", "between", **FACTS),
        model("totals", "facts"),
        model("report", "totals", materialized="view"),
    ]
    selected = [f"model.shop.{name}" for name in ("between", "facts", "totals", "report")]
    decision = judge(manifest(*nodes), selected=selected)
    assert [(node.unique_id.rpartition(".")[2], node.kind, node.reads) for node in decision.nodes] == [
        ("facts", "partitioned", ("model.shop.shown",)),
        ("report", "view", ("model.shop.totals",)),
        ("totals", "table", ("model.shop.facts",)),
    ]
    assert decision.nodes[0].production == TableName("marts", "facts")
    assert decision.nodes[0].audit == TableName(AUDIT, "facts")
    assert decision.parents == {
        "model.shop.shown": TableName("marts", "shown"),
        "model.shop.raw": TableName("marts", "raw"),
    }
    assert decision.databases == (AUDIT,)


def test_nodes_are_mapped_by_id_and_not_by_name():
    production = manifest({**model("orders"), "schema": "marts_x", "alias": "b"})
    audit = in_audit(production)
    audit["nodes"]["model.shop.orders"]["alias"] = "A"
    (node,) = judge(production, audit).nodes
    assert (node.production, node.audit) == (TableName("marts_x", "b"), TableName(f"{AUDIT}_x", "a"))
    assert judge(production, audit).databases == (AUDIT, f"{AUDIT}_x")


@pytest.mark.parametrize(
    ("node", "reason", "remedy"),
    [
        (model("a", **{**FACTS, "incremental_strategy": "append"}), "the strategy 'append' adds rows", "Use "),
        (model("a", **{**FACTS, "incremental_strategy": "merge"}), "its incremental_strategy is 'merge'", "Build it"),
        (model("a", **{**FACTS, "partitioned_by": None}), "an incremental model without partitions", "Give it"),
        (model("a", **{**FACTS, "partitioned_by": "day"}), "its partitioned_by is 'day'", "Write partitioned_by="),
        (model("a", table_type="iceberg"), "its table_type is 'iceberg'", "Build it directly"),
        (model("a", catalog_name="glue"), "it has catalog_name 'glue'", "Build it directly"),
        (model("a", resource_type="snapshot"), "a snapshot in an audit schema begins without", "Build it directly"),
        ({**model("a"), "language": "python"}, "a Python model runs in Spark", "Build it directly"),
        (model("a", materialized="stream"), "its materialization is 'stream'", "Build it directly"),
        (model("a", **FACTS, full_refresh=True), "it has full_refresh: true", "Remove it."),
        (model("a", ha=True), "it has ha: true", "Remove ha"),
        (model("a", table_properties={"'projection.enabled'": "'true'"}), "it has partition projection", "Remove"),
        (model("a", table_properties={"storage.location.template": "x"}), "it has partition projection", "Remove"),
        (model("a", external_location="s3://lake/a"), "its external_location 's3://lake/a'", "Remove it"),
        (model("a", s3_data_dir="s3://lake/data/a"), "its s3_data_dir 's3://lake/data/a'", "Write it as"),
        (model("a", s3_data_naming="schema_table"), "its s3_data_naming 'schema_table'", "Use schema_table_unique"),
        (model("a", temp_schema="tmp"), "its temp_schema 'tmp' is shared", "Remove it"),
        (model("a", lf_tags_config={"enabled": True}), "it has lf_tags_config", "Set tags and grants"),
        (model("a", lf_grants={"x": 1}), "it has lf_grants", "Set tags and grants"),
    ],
    ids=lambda each: each["config"].get("materialized", "") if isinstance(each, dict) else str(each)[:24],
)
def test_a_node_that_cannot_be_built_so_is_named_with_reason_and_remedy(node, reason, remedy):
    (line,) = refusal(node)
    assert line.startswith(f"{node['unique_id']}: {reason}")
    assert f". {remedy}" in line


@pytest.mark.parametrize(
    "config",
    [
        {"s3_data_dir": f"{PLACE.files}/more", "s3_data_naming": "table_unique"},
        {"temp_schema": f"{AUDIT}_tmp"},
        {"incremental_strategy": "microbatch", "materialized": "incremental", "partitioned_by": ["day"]},
        {"table_properties": {"'bucketing_format'": "'spark'"}},
    ],
)
def test_what_follows_the_schema_of_the_target_is_built(config):
    assert len(judge(manifest(model("a", **config))).nodes) == 1


def test_all_nodes_are_named_in_one_error():
    lines = refusal(model("b", ha=True), model("a", **{**FACTS, "incremental_strategy": "append"}), model("good"))
    assert [line.partition(":")[0] for line in lines] == ["model.shop.a", "model.shop.b"]


def test_a_node_that_is_not_selected_is_not_judged():
    good, bad = model("good"), model("bad", ha=True)
    assert len(judge(manifest(good, bad), selected=[good["unique_id"]]).nodes) == 1


def test_a_schema_name_that_ignores_the_target_is_refused():
    production = manifest(model("a"))
    (line,) = refusal(model("a"), audit=copy.deepcopy(production))
    assert line.startswith("model.shop.a: generate_schema_name puts it into marts, which is production's")


def test_two_schemas_that_become_one_are_refused():
    nodes = [{**model("a"), "schema": "marts_x"}, {**model("b"), "schema": "marts_y"}]
    (line,) = refusal(*nodes, audit=in_audit(manifest(*nodes), lambda _: AUDIT))
    assert line.startswith(
        f"generate_schema_name: it puts the schemas marts_x, marts_y of production into one, {AUDIT}"
    )


def test_another_catalog_and_another_kind_in_the_audit_schema_are_refused():
    audit = in_audit(manifest(model("a")))
    audit["nodes"]["model.shop.a"]["database"] = "other"
    audit["nodes"]["model.shop.a"]["config"]["materialized"] = "view"
    lines = refusal(model("a"), audit=audit)
    assert lines[0].startswith(
        "model.shop.a: its catalog is awsdatacatalog in production and other in the audit schema"
    )
    assert lines[1].startswith("model.shop.a: its materialized in the audit schema is not production's")


def test_a_node_that_production_does_not_have_is_refused():
    audit = in_audit(manifest(model("a")))
    with pytest.raises(
        GateRefused, match=r"model\.shop\.a: it is in the project only where the schema is not production"
    ):
        decide(manifest(), audit, ["model.shop.a"], PLACE)


def test_a_view_between_that_is_not_selected_is_refused():
    nodes = [model("facts", **FACTS), model("shown", "facts", materialized="view"), model("totals", "shown")]
    (line,) = refusal(*nodes, selected=["model.shop.facts", "model.shop.totals"])
    assert line.startswith("model.shop.totals: it reads model.shop.shown, a view that is not selected")
    assert line.endswith("Select model.shop.shown as well, or neither.")


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        ("{{ drop_it() }}", "it calls adapter.clean_up_partitions() in macro.shop.inner"),
        ("{% do adapter.drop_relation(this) %}", "it calls adapter.drop_relation()"),
        ("insert into {{ target.schema }}.log values (1)", "it runs 'insert into'"),
        ("alter table {{ this }} drop partition (day = 1)", "it runs 'alter table {{ this }} drop'"),
        ("select * from marts.log", "it names production's schema 'marts'"),
        ("{{ named() }}", "it names production's schema 'marts' (in macro.shop.named)"),
    ],
)
def test_a_hook_that_deletes_writes_or_names_production_is_refused(hook, reason):
    macros = [
        ("shop", "drop_it", "{{ inner() }}", "macro.shop.inner"),
        ("shop", "inner", "{% do adapter.clean_up_partitions(this, 'day = 1') %}"),
        ("shop", "named", "select * from marts.x"),
    ]
    (line,) = refusal(model("a", **{"post-hook": [{"sql": hook}]}), macros=macros)
    assert line.startswith(f"post-hook of model.shop.a: {reason}")
    operation = {**model("shop-on-run-end-0", resource_type="operation"), "raw_code": hook, "tags": ["on-run-end"]}
    (line,) = refusal(model("a"), operation, macros=macros)
    assert line.startswith(f"on-run-end of shop: {reason}")


def test_hooks_that_do_no_harm_and_comments_are_let_through():
    macros = [
        ("shop", "harmless", "{{ log('marts are built') if false }} {# drop table marts.x #}".replace("marts", "m"))
    ]
    hooks = [{"sql": "{{ harmless() }}"}, {"sql": "-- drop table marts.a\nselect count(*) from {{ this }}"}]
    assert judge(manifest(model("a", **{"pre-hook": hooks}), macros=macros)).nodes


def test_a_model_that_calls_a_deleting_macro_is_refused_and_dbts_own_macros_are_not():
    macros = [("shop", "clean", "{% do drop_relation(this) %}"), ("dbt", "own", "{% do adapter.drop_relation(x) %}")]
    (line,) = refusal(model("a", macros=["macro.shop.clean"]), macros=macros)
    assert line.startswith("model.shop.a: it calls drop_relation() in macro.shop.clean")
    assert judge(manifest(model("a", macros=["macro.dbt.own"]), macros=macros)).nodes


def test_a_materialization_of_the_projects_own_is_refused():
    macros = [("utils", "materialization_incremental_athena", "")]
    (line,) = refusal(model("a"), macros=macros)
    assert line.startswith("materialization incremental: utils has one of its own")


def test_a_test_that_stores_failures_outside_the_audit_schema_is_refused():
    test = model("t", resource_type="test", store_failures=True)
    production = manifest(model("a"), test)
    audit = in_audit(production)
    audit["nodes"]["test.shop.t"]["schema"] = "failures"
    with pytest.raises(GateRefused, match=r"test\.shop\.t: it stores failures in failures, which is not of the audit"):
        judge(production, audit)
    audit["nodes"]["test.shop.t"]["schema"] = f"{AUDIT}_dbt_test__audit"
    assert judge(production, audit).nodes
