"""The unmodified dbt-athena adapter on the local Athena: every materialization and option that Hive tables have."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from pathlib import Path

import pytest

DBT = os.environ.get("LAKEHOUSE_DBT_EXECUTABLE") or str(Path(__file__).parents[4] / ".venv-dbt/bin/dbt")
PROJECT = {
    "dbt_project.yml": """
        name: shapes
        version: "1.0.0"
        profile: shapes
        flags: {send_anonymous_usage_stats: false}
        vars: {more: false}
        """,
    "profiles.yml": """
        shapes:
          target: local
          outputs:
            local:
              type: athena
              region_name: us-east-1
              database: awsdatacatalog
              schema: "{{ env_var('SCHEMA') }}"
              s3_staging_dir: "s3://{{ env_var('BUCKET') }}/results/"
              s3_data_dir: "s3://{{ env_var('BUCKET') }}/data/"
              s3_data_naming: schema_table_unique
              threads: 4
        """,
    "seeds/inserted.csv": "id,name\n1,it's\n2,b\n",
    "seeds/uploaded.csv": 'id,name,at\n1,"a, ""b""",2024-01-02 03:04:05\n2,,\n',
    "seeds/seeds.yml": """
        seeds:
          - name: inserted
            config: {seed_by_insert: true}
          - name: uploaded
            config: {column_types: {name: varchar, at: timestamp}}
        """,
    "snapshots/snap.sql": """
        {% snapshot snap %}
        {{ config(unique_key='id', strategy='check', check_cols=['name'], table_type='hive') }}
        select id, name || {% if var('more') %} '!' {% else %} '' {% endif %} as name from {{ ref('v') }}
        {% endsnapshot %}
        """,
    "models/v.sql": "select 1 as id, 'a' as name union all select 2, 'b'",
    "models/contracted.sql": "select cast(id as integer) as id, cast(name as varchar) as name from {{ ref('v') }}",
    "models/ha.sql": """
        {{ config(materialized='table', ha=true, partitioned_by=['ym']) }}
        select id, name, '2024-01' as ym from {{ ref('v') }}
        """,
    "models/batched.sql": """
        {{ config(materialized='table', partitioned_by=['p'], force_batch=true) }}
        select n as id, cast(n % 120 as varchar) as p from unnest(sequence(1, 240)) as x (n)
        """,
    "models/text.sql": """
        {{ config(materialized='table', format='textfile', field_delimiter='|', write_compression='gzip') }}
        select id, name, array[id] as l from {{ ref('v') }}
        """,
    "models/json.sql": "{{ config(materialized='table', format='json') }} select id, name from {{ ref('v') }}",
    "models/bucketed.sql": """
        {{ config(materialized='table', bucketed_by=['id'], bucket_count=3) }}
        select n as id from unnest(sequence(1, 30)) as x (n)
        """,
    "models/overwritten.sql": """
        {{ config(materialized='incremental', incremental_strategy='insert_overwrite', partitioned_by=['ym'],
                  on_schema_change='append_new_columns') }}
        {% if var('more') %}
        select 3 as id, 7 as extra, '2024-02' as ym
        {% else %}
        select 1 as id, '2024-01' as ym union all select 2, '2024-02'
        {% endif %}
        """,
    "models/appended.sql": """
        {{ config(materialized='incremental', incremental_strategy='append', on_schema_change='sync_all_columns') }}
        select id {% if var('more') %}, 'x' as extra {% else %}, name {% endif %} from {{ ref('v') }}
        """,
    "models/overwritten_in_batches.sql": """
        {{ config(materialized='incremental', incremental_strategy='insert_overwrite', partitioned_by=['p'],
                  force_batch=true) }}
        select n as id, cast(n % 110 as varchar) as p from unnest(sequence(1, 220)) as x (n)
        """,
    "models/models.yml": """
        models:
          - name: contracted
            config: {materialized: table, contract: {enforced: true}}
            columns:
              - {name: id, data_type: integer}
              - {name: name, data_type: varchar, data_tests: [{not_null: {config: {store_failures: true}}}]}
          - name: v
            description: "Two rows."
            config: {persist_docs: {relation: true, columns: true}}
            columns:
              - name: id
                description: "The key."
                data_tests: [unique, {accepted_values: {arguments: {values: [1, 2], quote: false}}}]
        unit_tests:
          - name: it_copies
            model: contracted
            given: [{input: ref('v'), rows: [{id: 1, name: x}]}]
            expect: {rows: [{id: 1, name: x}]}
        sources:
          - name: here
            schema: "{{ target.schema }}"
            tables:
              - name: uploaded
                config:
                  loaded_at_field: at
                  freshness: {warn_after: {count: 36500, period: day}}
        """,
}


@pytest.fixture
def dbt(warehouse, local_aws, tmp_path):
    """`dbt("run", ...)`: run dbt, which must succeed, and return its results."""
    if not Path(DBT).is_file():
        pytest.skip(f"there is no dbt at {DBT}: `make .venv-dbt/.installed`, or name one in LAKEHOUSE_DBT_EXECUTABLE")
    for name, text in PROJECT.items():
        file = tmp_path / "project" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DBT_"))},
        **local_aws.environment,
        **{"SCHEMA": warehouse.database, "BUCKET": warehouse.bucket, "DO_NOT_TRACK": "1"},
    }

    def run(*arguments):
        command = [DBT, "--no-use-colors", *arguments, "--profiles-dir", "."]
        done = subprocess.run(command, cwd=tmp_path / "project", env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        file = "sources.json" if arguments[0] == "source" else "run_results.json"
        return json.loads((tmp_path / "project" / "target" / file).read_text())["results"]

    return run


@pytest.mark.slow
def test_a_project_of_everything_twice(dbt, warehouse):
    statuses = {each["unique_id"].rpartition(".")[2]: each["status"] for each in dbt("build")}
    assert set(statuses.values()) == {"success", "pass"}
    assert statuses["it_copies"] == "pass"

    query = warehouse.query
    assert query("select * from inserted order by id") == [("1", "it's"), ("2", "b")]
    assert query("select * from uploaded order by id") == [
        ("1", 'a, "b"', "2024-01-02 03:04:05.000"),
        ("2", None, None),
    ]
    assert query("select * from contracted order by id") == [("1", "a"), ("2", "b")]
    assert query("select count(*), count(distinct p), sum(id) from batched") == [("240", "120", "28920")]
    assert query("select count(*), count(distinct p) from overwritten_in_batches") == [("220", "110")]
    assert query("select * from text order by id") == [("1", "a", "[1]"), ("2", "b", "[2]")]
    assert query("select * from json order by id") == [("1", "a"), ("2", "b")]
    assert query("select count(*), sum(id) from bucketed") == [("30", "465")]
    assert warehouse.table("bucketed")["StorageDescriptor"]["NumberOfBuckets"] == 3
    view = warehouse.table("v")
    assert view["Description"] == "Two rows."
    assert view["StorageDescriptor"]["Columns"][0]["Comment"] == "The key."
    before = warehouse.table("ha")["StorageDescriptor"]["Location"]

    results = dbt("build", "--vars", "{more: true}", "--exclude", "resource_type:seed", "batched", "contracted")
    assert {each["status"] for each in results} <= {"success", "pass"}

    assert warehouse.table("ha")["StorageDescriptor"]["Location"] != before
    assert query("select * from ha order by id") == [("1", "a", "2024-01"), ("2", "b", "2024-01")]
    assert query("select id, extra, ym from overwritten order by id") == [("1", None, "2024-01"), ("3", "7", "2024-02")]
    assert warehouse.partitions("overwritten") == [("2024-01",), ("2024-02",)]
    assert query("select id, extra from appended order by id, extra") == [
        ("1", "x"),
        ("1", None),
        ("2", "x"),
        ("2", None),
    ]
    assert query("select count(*), count(distinct p) from overwritten_in_batches") == [("220", "110")]
    assert query("select name, dbt_valid_to is null from snap order by 1") == [
        ("a", "false"),
        ("a!", "true"),
        ("b", "false"),
        ("b!", "true"),
    ]
    assert not [name for name in warehouse.lines("show tables") if "tmp" in name or "__ha" in name]
    assert warehouse.lines(f"show tables in {warehouse.database}_dbt_test__audit") == ["not_null_contracted_name"]

    (fresh,) = dbt("source", "freshness")
    assert fresh["max_loaded_at"].startswith("2024-01-02T03:04:05")
