"""CREATE TABLE AS with every property, INSERT INTO, UNLOAD, views: their objects in S3 and in the Glue Data Catalog."""

from __future__ import annotations

import base64
import gzip
import io
import json

import pytest

ROWS = "(values (1, 'a', '2024-01'), (2, 'b', '2024-02'), (3, null, '2024-02')) as v (id, name, ym)"


def files(warehouse, prefix):
    """Return key -> (columns, rows) of the Parquet objects below a prefix."""
    import pyarrow.parquet as pq

    found = {}
    for key in warehouse.objects(prefix):
        table = pq.read_table(io.BytesIO(warehouse.read(f"s3://{warehouse.bucket}/{key}")), partitioning=None)
        found[key] = (table.column_names, table.num_rows)
    return found


def test_create_table_as_as_dbt_writes_it(warehouse):
    execution = warehouse.run(
        f"""-- /* {{"app": "dbt"}} */
        create table "awsdatacatalog"."{warehouse.database}"."t"
        with (
          table_type='hive',
          is_external=true,external_location='s3://{{bucket}}/data/t/1234',
          partitioned_by=ARRAY['ym'],
          format='parquet', write_compression='snappy'
        )
        as
        with x as (select * from {ROWS}) select * from x"""
    )
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DDL", "CREATE_TABLE_AS_SELECT")
    assert warehouse.results(execution)["UpdateCount"] == 3
    table = warehouse.table("t")
    assert table["TableType"] == "EXTERNAL_TABLE"
    assert table["StorageDescriptor"]["Location"] == f"s3://{warehouse.bucket}/data/t/1234"
    assert [(c["Name"], c["Type"]) for c in table["StorageDescriptor"]["Columns"]] == [
        ("id", "int"),
        ("name", "varchar(1)"),
    ]
    assert [(c["Name"], c["Type"]) for c in table["PartitionKeys"]] == [("ym", "varchar(7)")]
    assert warehouse.partitions("t") == [("2024-01",), ("2024-02",)]
    written = files(warehouse, "data/t/1234/")
    assert sorted((key.split("/")[3], *rest) for key, rest in written.items()) == [
        ("ym=2024-01", ["id", "name"], 1),
        ("ym=2024-02", ["id", "name"], 2),
    ]
    assert warehouse.query("select * from t order by id") == [
        ("1", "a", "2024-01"),
        ("2", "b", "2024-02"),
        ("3", None, "2024-02"),
    ]
    manifest = warehouse.read(execution["Statistics"]["DataManifestLocation"]).decode().split()
    assert sorted(manifest) == [f"s3://{warehouse.bucket}/{key}" for key in sorted(written)]


@pytest.mark.parametrize(
    ("properties", "serde", "extension"),
    [
        ("format = 'PARQUET', write_compression = 'ZSTD'", "ParquetHiveSerDe", ""),
        ("format = 'PARQUET', parquet_compression = 'GZIP'", "ParquetHiveSerDe", ""),
        ("format = 'TEXTFILE'", "LazySimpleSerDe", ".gz"),
        ("format = 'TEXTFILE', field_delimiter = '#', write_compression = 'NONE'", "LazySimpleSerDe", ""),
        ("format = 'JSON'", "JsonSerDe", ".gz"),
        ("format = 'JSON', write_compression = 'ZSTD'", "JsonSerDe", ".zst"),
        ("bucketed_by = ARRAY['id'], bucket_count = 3", "ParquetHiveSerDe", ""),
        (
            "format = 'TEXTFILE', partitioned_by = ARRAY['p'], bucketed_by = ARRAY['s', 'id'], bucket_count = 2",
            "Lazy",
            ".gz",
        ),
    ],
)
def test_create_table_as_reads_back_as_it_was(warehouse, properties, serde, extension):
    query = """select 1 as id, 'x, "y" | z' as s, cast(1.50 as decimal(5,2)) as d, true as b, date '2024-01-02' as day,
        timestamp '2024-01-02 03:04:05.678' as at, 1e10 as f, array['q', null] as l, map(array['k'], array[1.5e0]) as m,
        cast(row(7, 'w') as row(x integer, y varchar)) as r, 'one' as p
        union all select 2, '', null, null, null, null, null, null, null, null, 'two'"""
    expected = warehouse.query(f"select * from ({query}) order by id")
    warehouse.run(f"create table t with ({properties}) as {query}")
    table = warehouse.table("t")
    assert serde in table["StorageDescriptor"]["SerdeInfo"]["SerializationLibrary"]
    got = warehouse.query("select id, s, d, b, day, at, f, l, m, r, p from t order by id")
    assert got == expected
    keys = warehouse.objects(table["StorageDescriptor"]["Location"].removeprefix(f"s3://{warehouse.bucket}/"))
    assert keys
    assert all(key.endswith(extension) for key in keys)
    if "bucket_count" in properties:
        assert table["StorageDescriptor"]["BucketColumns"]
        buckets = {key.rpartition("/")[2].split("_")[0] for key in keys}
        assert buckets <= {"00000", "00001", "00002"}


def test_text_files_are_hives_own(warehouse):
    warehouse.run(
        "create table t with (format = 'TEXTFILE', field_delimiter = ',', write_compression = 'NONE',"
        " external_location = 's3://{bucket}/t/') as select 1 as a, cast(null as varchar) as b, array[1, 2] as c"
    )
    (key,) = warehouse.objects("t/")
    assert warehouse.read(f"s3://{warehouse.bucket}/{key}") == b"1,\\N,1\x022\n"
    warehouse.run("create table c with (format = 'CSV', external_location = 's3://{bucket}/c/') as"
                  " select cast('a,\"b\"' as varchar) as a, cast(null as varchar) as b")  # fmt: skip
    (key,) = warehouse.objects("c/")
    assert gzip.decompress(warehouse.read(f"s3://{warehouse.bucket}/{key}")) == b'"a,""b""",\n'
    assert warehouse.query("select * from c") == [('a,"b"', "")]


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("create table t as select 1", "MISSING_COLUMN_NAME: line 1:1: Column name not specified at position 1"),
        ("create table t as select null as a", "COLUMN_TYPE_UNKNOWN"),
        ("create table t as select 1 as a, 2 as A", "DUPLICATE_COLUMN_NAME"),
        ("create table t (x) as select 1 as a, 2 as b", "Column alias list has 1 entries but relation has 2 columns"),
        (
            "create table t with (format = 'ORC') as select 1 as a",
            "NOT_SUPPORTED: ORC, which Athena has, is not supported by the local AWS",
        ),
        ("create table t with (format = 'AVRO') as select 1 as a", "NOT_SUPPORTED: AVRO"),
        (
            "create table t with (format = 'XML') as select 1 as a",
            "INVALID_TABLE_PROPERTY: format must be one of PARQUET",
        ),
        ("create table t with (colour = 'red') as select 1 as a", "table property 'colour' does not exist"),
        (
            "create table t with (bucket_count = '3') as select 1 as a",
            "Invalid value for catalog 'awsdatacatalog' table",
        ),
        ("create table t with (format = 'JSON', format = 'JSON') as select 1 as a", "DUPLICATE_PROPERTY"),
        ("create table t with (table_type = 'delta') as select 1 as a", "table_type must be 'HIVE' or 'ICEBERG'"),
        ("create table t with (bucket_count = 3) as select 1 as a", "must be specified together"),
        ("create table t with (bucketed_by = array['z'], bucket_count = 3) as select 1 as a", "not present in schema"),
        ("create table t with (partitioned_by = array['a']) as select 1 as a, 2 as b", "HIVE_COLUMN_ORDER_MISMATCH"),
        ("create table t with (partitioned_by = array['a']) as select 1 as a", "only partition columns"),
        ("create table t with (partitioned_by = array['z']) as select 1 as a", "['z'] not present in schema"),
        (
            "create table t with (write_compression = 'BZIP2') as select 1 as a",
            "compression BZIP2 of PARQUET is not supported by the local AWS",
        ),
        ("create table t with (field_delimiter = ',') as select 1 as a", "Cannot specify field_delimiter"),
        ("create table t with (external_location = '/tmp/x') as select 1 as a", "must be s3://bucket/folder/"),
        ("create table t with (external_location = 's3://not-there-0/x') as select 1 as a", "bucket does not exist"),
        (
            "create table t with (external_location = 's3://{bucket}/full/') as select 1 as a",
            "HIVE_PATH_ALREADY_EXISTS",
        ),
        ("create table t with (format = 'CSV') as select 1 as a", "only supports VARCHAR"),
        ("create table t as select interval '1' day as a", "NOT_SUPPORTED: Unsupported Hive type"),
        ("create table t as select x from nowhere", "TABLE_NOT_FOUND"),
        ("create table t as select 1 / (id - 1) as a from (values 1) v (id)", "DIVISION_BY_ZERO: Division by zero"),
        ("create table nowhere.t as select 1 as a", "SCHEMA_NOT_FOUND"),
        ("create table other.t.t as select 1 as a", "CATALOG_NOT_FOUND"),
    ],
)
def test_a_refused_create_table_as_leaves_nothing(warehouse, fails, sql, message):
    warehouse.put("full/x", "x")
    assert message in fails(sql)
    assert warehouse.lines("show tables") == []
    assert [key for key in warehouse.objects() if not key.startswith("results/")] == ["full/x"]
    assert not [key for key in warehouse.objects() if "/tables/" in key]


def test_a_table_that_exists(warehouse, fails):
    warehouse.run("create table t as select 1 as a")
    assert fails("create table t as select 2 as a").startswith("ALREADY_EXISTS: line 1:1: Table 'awsdatacatalog.")
    warehouse.run("create table if not exists t as select 2 as a")
    warehouse.run("create table empty as select * from t with no data")
    assert warehouse.query("select * from t union all select * from empty") == [("1",)]
    warehouse.run("create table named (x, y) as select 1, 'q'")
    assert warehouse.query("select x, y from named") == [("1", "q")]


def test_no_more_than_a_hundred_partitions_at_once(warehouse, fails):
    query = "select 1 as a, cast(p as varchar) as p from unnest(sequence(1, {})) as x (p)"
    reason = fails(f"create table t with (partitioned_by = array['p']) as {query.format(101)}")
    assert reason.startswith("HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of 100 open writers for partitions/buckets")
    assert "TOO_MANY_OPEN_PARTITIONS" in reason
    assert not [key for key in warehouse.objects() if "/tables/" in key]
    warehouse.run(f"create table t with (partitioned_by = array['p']) as {query.format(100)}")
    assert len(warehouse.partitions("t")) == 100
    bucketed = "partitioned_by = array['p'], bucketed_by = array['a'], bucket_count = 60"
    many = "select n as a, cast(n % 2 as varchar) as p from unnest(sequence(1, 3000)) as x (n)"
    assert "TOO_MANY_OPEN_PARTITIONS" in fails(f"create table u with ({bucketed}) as {many}")


def test_insert_into_a_partitioned_table(warehouse):
    warehouse.create(
        "t", "id int, name string, d decimal(5,2)", "partitioned by (year string, month int) stored as parquet"
    )
    warehouse.run("alter table t add partition (year = '2024', month = 1) location 's3://{bucket}/elsewhere/'")
    execution = warehouse.run(
        "insert into t values (1, 'a', 1.5, '2024', 1), (2, 'b', 2, '2024', 2), (3, null, null, 'x/y', 3)"
    )
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DML", "INSERT")
    response = warehouse.results(execution)
    assert response["UpdateCount"] == 3
    assert response["ResultSet"]["Rows"] == []
    assert [column["Name"] for column in response["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]] == ["rows"]
    assert warehouse.partitions("t") == [("2024", "1"), ("2024", "2"), ("x/y", "3")]
    assert len(warehouse.objects("elsewhere/")) == 1  # the partition's own location
    assert len(warehouse.objects("t/year=2024/month=2/")) == len(warehouse.objects("t/year=x%2Fy/month=3/")) == 1
    warehouse.run(f'insert into "{warehouse.database}"."t" ("month", "id", "year") ( select 2, 4, \'2024\' );')
    warehouse.run("insert into t select id + 10, name, d, year, month from t where month = 2")
    warehouse.run("insert into t (id, name) select 9, 'no partition'")
    assert warehouse.query("select * from t order by id") == [
        ("1", "a", "1.50", "2024", "1"),
        ("2", "b", "2.00", "2024", "2"),
        ("3", None, None, "x/y", "3"),
        ("4", None, None, "2024", "2"),
        ("9", "no partition", None, None, None),
        ("12", "b", "2.00", "2024", "2"),
        ("14", None, None, "2024", "2"),
    ]
    assert ("__HIVE_DEFAULT_PARTITION__",) * 2 in warehouse.partitions("t")
    manifest = warehouse.read(execution["Statistics"]["DataManifestLocation"]).decode().split()
    assert len(manifest) == 3


def test_insert_turns_values_into_the_columns_types_as_trino_does(warehouse):
    warehouse.create("t", "i int, d decimal(5,1), f double, at timestamp, s string")
    warehouse.run("insert into t values (2.5, 1.25, 3, timestamp '2024-01-02 03:04:05 +02:00', 'x')")
    warehouse.run("insert into t select bigint '7', 8, 9.5, date '2024-01-02', cast('y' as varchar(9))")
    assert warehouse.query("select * from t order by s") == [
        ("3", "1.3", "3.0", "2024-01-02 03:04:05.000", "x"),
        ("7", "8.0", "9.5", "2024-01-02 00:00:00.000", "y"),
    ]


@pytest.mark.parametrize(
    "row_format",
    [
        "row format delimited fields terminated by '\\t'",
        "row format serde 'org.apache.hadoop.hive.serde2.OpenCSVSerde'",
        "row format serde 'org.openx.data.jsonserde.JsonSerDe'",
        "stored as parquet",
    ],
)
def test_insert_into_every_format(warehouse, row_format):
    warehouse.create("t", "a string, b string", row_format)
    warehouse.run("insert into t values ('1', 'x, \"y\" \\ z')")
    warehouse.run("insert into t (b) values (cast(2 as varchar))")
    text = row_format.endswith("OpenCSVSerde'")
    assert (
        warehouse.query("select * from t order by b")
        == [
            ("1", 'x, "y" \\ z' if not text else 'x, "y"  z'),
            ("" if text else None, "2"),
        ][::-1]
    )


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        (
            "insert into t values ('x', 'a')",
            "TYPE_MISMATCH: line 1:1: Insert query has mismatched column types: Table: [integer",
        ),
        ("insert into t select 1", "Insert query has mismatched column types"),
        (
            "insert into t (id, z) values (1, 2)",
            "COLUMN_NOT_FOUND: line 1:1: Insert column name does not exist in target",
        ),
        ("insert into t (id, ID) values (1, 2)", "Insert column name is specified more than once: id"),
        (
            "insert into t values (1, 'abcd')",
            "Cannot truncate non-space characters when casting from varchar(4) to varchar(3)",
        ),
        ("insert into t values (3000000000, 'a')", "out of range"),
        ("insert into v values (1, 'a')", "Inserting into views is not supported"),
        ("insert into b values (1)", "INSERT INTO is not supported on bucketed tables"),
        ("insert into nowhere values (1)", "TABLE_NOT_FOUND"),
    ],
)
def test_a_refused_insert_writes_nothing(warehouse, fails, sql, message):
    warehouse.create("t", "id int, name varchar(3)")
    warehouse.run("create view v as select * from t")
    warehouse.run("create table b with (bucketed_by = array['id'], bucket_count = 2) as select 1 as id")
    before = warehouse.objects("t/")
    assert message.lower() in fails(sql).lower()
    assert warehouse.objects("t/") == before == []


def test_unload(warehouse, fails):
    execution = warehouse.run(
        f"unload (select id, ym from {ROWS}) to 's3://{{bucket}}/out/'"
        " with (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['ym'])"
    )
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DML", "UNLOAD")
    assert sorted(key.split("/")[1] for key in warehouse.objects("out/")) == ["ym=2024-01", "ym=2024-02"]
    manifest = warehouse.read(execution["Statistics"]["DataManifestLocation"]).decode().split()
    assert sorted(manifest) == [f"s3://{warehouse.bucket}/{key}" for key in sorted(warehouse.objects("out/"))]
    assert fails("unload (select 1) to 's3://{bucket}/out/' with (format = 'JSON')").startswith(
        "HIVE_PATH_ALREADY_EXISTS"
    )
    warehouse.run(
        "unload (select 1 as a, 'x' as b) to 's3://{bucket}/text/' with (format = 'TEXTFILE', field_delimiter = ',')"
    )
    (key,) = warehouse.objects("text/")
    assert gzip.decompress(warehouse.read(f"s3://{warehouse.bucket}/{key}")) == b"1,x\n"
    warehouse.run(
        "unload (select 1 as a, 'x' as b) to 's3://{bucket}/json/' with (format = 'json', compression = 'none')"
    )
    (key,) = warehouse.objects("json/")
    assert json.loads(warehouse.read(f"s3://{warehouse.bucket}/{key}")) == {"a": 1, "b": "x"}
    assert "UNLOAD needs WITH (format" in fails("unload (select 1) to 's3://{bucket}/n/' with (compression = 'none')")
    assert "UNLOAD property 'colour' does not exist" in fails(
        "unload (select 1) to 's3://{bucket}/n/' with (colour = 'x')"
    )
    assert "not supported by the local AWS" in fails("unload (select 1) to 's3://{bucket}/n/' with (format = 'ORC')")
    assert warehouse.objects("n/") == []


def test_views_are_kept_as_athena_keeps_them(warehouse, fails):
    warehouse.create("t", "id int, name string")
    warehouse.run(
        f'create or replace view\n    "awsdatacatalog"."{warehouse.database}"."v"\n  as\n \nselect id, name as n from t'
    )
    view = warehouse.table("v")
    assert view["TableType"] == "VIRTUAL_VIEW"
    assert view["Parameters"]["presto_view"] == "true"
    assert view["ViewExpandedText"] == "/* Presto View */"
    assert [(c["Name"], c["Type"]) for c in view["StorageDescriptor"]["Columns"]] == [("id", "int"), ("n", "string")]
    text = view["ViewOriginalText"]
    assert text.startswith("/* Presto View: ")
    assert text.endswith(" */")
    kept = json.loads(base64.b64decode(text.removeprefix("/* Presto View: ").removesuffix(" */")))
    assert kept == {
        "originalSql": "select id, name as n from t",
        "catalog": "awsdatacatalog",
        "schema": warehouse.database,
        "columns": [{"name": "id", "type": "integer"}, {"name": "n", "type": "varchar"}],
    }
    warehouse.run("insert into t values (1, 'x')")
    assert warehouse.query(f"select * from {warehouse.database}.v", QueryExecutionContext={"Database": "default"}) == [
        ("1", "x")
    ]
    assert "View already exists" in fails("create view v as select 1 as a")
    assert "Table already exists" in fails("create or replace view t as select 1 as a")
    assert "MISSING_COLUMN_NAME" in fails("create view w as select 1")
    assert "TABLE_NOT_FOUND" in fails("create view w as select * from nowhere")
    warehouse.run("create or replace view v as select id from t")
    warehouse.run("create view w as select max(id) as top from v")
    assert warehouse.query("select * from w") == [("1",)]
    assert warehouse.glue.get_table_versions(DatabaseName=warehouse.database, TableName="v")["TableVersions"]
    warehouse.run("drop table t")
    assert "awsdatacatalog" in fails("select * from v")


def test_a_view_of_anothers_making(warehouse, fails):
    made = {"Name": "v", "TableType": "VIRTUAL_VIEW", "ViewOriginalText": "select 1",
            "StorageDescriptor": {"Columns": [{"Name": "a", "Type": "int"}]}}  # fmt: skip
    warehouse.glue.create_table(DatabaseName=warehouse.database, TableInput=made)
    assert "INVALID_VIEW" in fails("select * from v")


def test_tables_are_the_same_from_every_client(warehouse):
    """CTAS, then Glue's API, then SQL again: one Data Catalog."""
    warehouse.run("create table t as select 1 as a")
    table = warehouse.table("T")
    storage = table["StorageDescriptor"]
    warehouse.glue.create_table(
        DatabaseName=warehouse.database,
        TableInput={"Name": "copy", "TableType": "EXTERNAL_TABLE", "Parameters": {}, "StorageDescriptor": storage},
    )
    warehouse.run("insert into copy values 2")
    assert warehouse.query("select a from t order by a") == [("1",), ("2",)]
    assert warehouse.query("select a from Copy order by a") == [("1",), ("2",)]
    warehouse.glue.delete_table(DatabaseName=warehouse.database, Name="t")
    assert warehouse.lines("show tables") == ["copy"]
    columns = "select table_name, column_name, data_type from information_schema.columns"
    assert warehouse.query(f"{columns} where table_schema = '{warehouse.database}'") == [("copy", "a", "integer")]
