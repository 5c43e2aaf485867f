"""Clients of Athena: PyAthena's cursors, and every statement that dbt-athena was seen to send."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal

import pytest


@pytest.fixture
def connection(warehouse, local_aws):
    pyathena = pytest.importorskip("pyathena", reason="PyAthena is a development dependency")
    connected = pyathena.connect(
        endpoint_url=local_aws.endpoint,
        region_name=local_aws.region,
        aws_access_key_id="local",
        aws_secret_access_key="local",
        s3_staging_dir=warehouse.output,
        schema_name=warehouse.database,
        poll_interval=0.01,
    )
    yield connected
    connected.close()


def test_pyathena(connection):
    cursor = connection.cursor()
    cursor.execute(
        "create table t with (partitioned_by = array['p']) as select 1 as a, cast(1.5 as decimal(3,1)) as d, 'x' as p"
    )
    cursor.execute("insert into t values (2, 2.5, 'y')")
    assert cursor.rowcount == 1
    cursor.execute(
        "select a, d, p, date '2024-01-01' as day, cast(null as varchar) as n, array[1] as l from t order by a"
    )
    assert [column[:2] for column in cursor.description] == [
        ("a", "integer"),
        ("d", "decimal"),
        ("p", "varchar"),
        ("day", "date"),
        ("n", "varchar"),
        ("l", "array"),
    ]
    assert cursor.fetchall() == [
        (1, Decimal("1.5"), "x", datetime.date(2024, 1, 1), None, [1]),
        (2, Decimal("2.5"), "y", datetime.date(2024, 1, 1), None, [1]),
    ]
    cursor.execute("select n from unnest(sequence(1, 3000)) as x (n) order by n")
    assert [row[0] for row in cursor] == list(range(1, 3001))
    cursor.execute("select a from t where p = %(p)s", {"p": "y"})
    assert cursor.fetchone() == (2,)
    cursor.execute("select a from t where p = ?", ["'x'"], paramstyle="qmark")
    assert cursor.fetchone() == (1,)
    cursor.execute("show columns in t")
    assert cursor.description == [("field", "string", None, None, 0, 0, "UNKNOWN")]
    assert cursor.fetchall() == [(f"{name:<20}",) for name in "adp"]
    cursor.execute("show partitions t")
    assert cursor.fetchall() == [("p=x",), ("p=y",)]
    cursor.execute("drop table t")
    assert cursor.fetchall() == []
    assert cursor.data_scanned_in_bytes == 0


def test_pyathenas_errors(connection):
    from pyathena.error import DatabaseError, OperationalError

    cursor = connection.cursor()
    with pytest.raises(OperationalError, match="TABLE_NOT_FOUND"):
        cursor.execute("select * from nowhere")
    with pytest.raises(DatabaseError, match="mismatched input"):
        cursor.execute("selekt 1")


def test_the_statements_of_dbt_one_after_another(warehouse, fails):
    """The shapes of dbt-athena 1.11, comments, blank lines and semicolons included."""
    d, b = f'"awsdatacatalog"."{warehouse.database}"', warehouse.database
    run = warehouse.run
    comment = '-- /* {"app": "dbt", "node_id": "x"} */\n'
    assert warehouse.query("select 1 as id") == [("1",)]
    run(f"{comment}create schema if not exists `{b}`")
    run(f"{comment}create external table `{b}`.`s_ins` (`id` int, `name` string)\n location 's3://{{bucket}}/s_ins'\n")
    run(f"insert into {d}.\"s_ins\" (\"id\", \"name\") values\n      (DECIMAL '1','a'),(DECIMAL '2','b')\n")
    assert warehouse.query("select * from s_ins order by id") == [("1", "a"), ("2", "b")]
    warehouse.put("s_up__dbt_tmp/1/s_up.csv", 'id,name,ts\n1,"a, b",2024-01-01 10:00:00\n2,,\n')
    run(
        f"""{comment}create external table `{b}`.`s_up__dbt_tmp` (`id` string, `name` string, `ts` string)
    row format serde 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
    location 's3://{{bucket}}/s_up__dbt_tmp/1'
    tblproperties (
      'skip.header.line.count'='1'
    )
"""
    )
    with_properties = """
    with (
      table_type='hive',
      is_external=true,external_location='s3://{bucket}/%s',%s
      format='parquet'
    )
    as
      """

    def ctas(name, select, partitioned=""):
        run(f'{comment}create table {d}."{name}"{with_properties % (name, partitioned)}{select}')

    ctas(
        "s_up",
        f"""
    select
              cast(nullif("id", '') as integer) as "id"
            , cast(nullif("name", '') as varchar) as "name"
            , coalesce(
        try(date_parse("ts", '%Y-%m-%d %H:%i:%s')),
        try(date_parse("ts", '%Y-%m-%dT%H:%i:%s.%fZ'))
    ) as "ts"
    from
        {d}."s_up__dbt_tmp"
""",
    )
    assert warehouse.query("select * from s_up order by id") == [
        ("1", "a, b", "2024-01-01 10:00:00.000"),
        ("2", None, None),
    ]
    run(f"alter table `{b}`.`s_up` set tblproperties ('classification' = 'parquet')")
    rowcount = '{"rowcount":2,"data_scanned_in_bytes":1}'
    assert json.loads(warehouse.query(f"{comment}SELECT '{rowcount}';")[0][0])["rowcount"] == 2
    run(f"{comment}create or replace view\n    {d}.\"v\"\n  as\n    \n\n\nselect 1 as id, 'a' as name\n")
    assert (
        warehouse.query(
            f'{comment}select * from (\n  select id, name from {d}."v"\n ) as __dbt_sbq\n where false\n limit 0'
        )
        == []
    )
    ctas("inc", "\nselect 1 as id, '2024-01' as ym union all select 2, '2024-02'\n", "partitioned_by=ARRAY['ym'],")
    ctas("inc__dbt_tmp", "\nselect 3 as id, '2024-02' as ym\n")
    assert warehouse.query(f'{comment}select distinct ym from {d}."inc__dbt_tmp";') == [("2024-02",)]
    assert warehouse.query(f'{comment}select distinct ym from ({d}."inc") order by ym;') == [("2024-01",), ("2024-02",)]
    insert = (
        'insert into {t} ("id", "ym")\n ( select "id", "ym"\n from {s}\n where ym=\'2024-01\' or ym=\'2024-02\'\n );'
    )
    run(comment + insert.format(t=f'{d}."inc"', s=f'{d}."inc__dbt_tmp"'))
    assert warehouse.query("select ym, count(*) from inc group by ym order by ym") == [
        ("2024-01", "1"),
        ("2024-02", "2"),
    ]
    run(f"alter table `{b}`.`inc`\n          add columns (`extra` int)")
    assert warehouse.query("select id, extra, ym from inc where id = 1") == [("1", None, "2024-01")]
    run(f"alter table `{b}`.`inc`\n          replace columns (`id` int)")
    test = f"""{comment}select
      count(*) as failures,
      count(*) != 0 as should_warn,
      count(*) != 0 as should_error
    from (

with child as (
    select id as from_field
    from {d}."inc"
    where id is not null
),

parent as (
    select id as to_field
    from {d}."v"
)

select
    from_field

from child
left join parent
    on child.from_field = parent.to_field

where parent.to_field is null



    ) dbt_internal_test"""
    assert warehouse.query(test) == [("2", "true", "true")]
    unit = """with __dbt__cte__v as (
-- Fixture for v
select try_cast(1 as int) as "id", try_cast('a' as varchar) as "name"
) select id, name, '2024-01' as ym from __dbt__cte__v"""
    assert warehouse.query(f"{comment}{unit}") == [("1", "a", "2024-01")]
    assert warehouse.query(
        f"""select
      max(cast(ts as timestamp)) as max_loaded_at,
      cast(now() as timestamp) >= timestamp '2024-01-01 00:00:00' as snapshotted_at
    from {d}."s_up"

    where ts > cast('2020-01-01' as date)"""
    ) == [("2024-01-01 10:00:00.000", "true")]
    assert "Table not found" in fails(f"msck repair table {b}.nothing")
    assert "not supported by the local AWS yet" in fails(
        f"create table {d}.\"ice\" with (table_type='iceberg', is_external=false, location='s3://b/ice',"
        " partitioning=ARRAY['month(d)'], format='parquet', vacuum_max_snapshot_age_seconds=86400) as select 1 as id"
    )
    assert "not supported by the local AWS yet" in fails(
        f"optimize awsdatacatalog.{b}.ice_t rewrite data using bin_pack"
    )
    run(f"drop table if exists `{b}`.`inc`")
    run(f'drop view if exists {d}."v"')
