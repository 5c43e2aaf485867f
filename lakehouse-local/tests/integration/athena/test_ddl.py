"""Hive's DDL and the utility statements: their effect on the Glue Data Catalog, and their results."""

from __future__ import annotations

import uuid

import pytest
from botocore.exceptions import ClientError

ICEBERG = "is for Iceberg tables, which are not supported by the local AWS yet"
PARQUET = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"


@pytest.fixture
def name():
    return f"made_{uuid.uuid4().hex[:10]}"


def test_databases(warehouse, fails, name):
    warehouse.run(f"create database {name} comment 'ours' location 's3://b/x/' with dbproperties ('k' = 'v')")
    made = warehouse.glue.get_database(Name=name)["Database"]
    assert (made["Description"], made["LocationUri"], made["Parameters"]) == ("ours", "s3://b/x/", {"k": "v"})
    warehouse.run(f"create schema if not exists `{name}`")
    assert fails(f"CREATE SCHEMA {name.upper()}").endswith(f"Database {name} already exists")
    warehouse.run(f"alter database {name} set dbproperties ('k2' = 'v2')")
    assert warehouse.glue.get_database(Name=name)["Database"]["Parameters"] == {"k": "v", "k2": "v2"}
    assert warehouse.lines(f"show databases like '{name[:12]}*'") == [name]
    assert name in warehouse.lines("show schemas")
    warehouse.run(f"create external table {name}.t (a int) location 's3://b/x/t/'")
    assert "is not empty" in fails(f"drop database {name}")
    warehouse.run(f"drop schema {name} cascade")
    warehouse.run(f"drop database if exists {name}")
    assert fails(f"drop database {name}") == f"FAILED: SemanticException [Error 10072]: Database does not exist: {name}"


def test_an_external_table_in_the_data_catalog(warehouse, fails):
    warehouse.run(
        """-- a comment first
        CREATE EXTERNAL TABLE IF NOT EXISTS `T` (
            `Id` int COMMENT 'the key',
            names array<string>,
            n struct<a:int,b:map<string,double>>,
            price decimal(10,2), code varchar(3)
        ) COMMENT 'it''s a table'
        PARTITIONED BY (year string, `month` int COMMENT '1 to 12')
        CLUSTERED BY (id) INTO 4 BUCKETS
        STORED AS PARQUET
        LOCATION 's3://{bucket}/t/'
        TBLPROPERTIES ('parquet.compression' = 'SNAPPY', 'classification' = 'parquet');"""
    )
    table = warehouse.table("t")
    storage = table["StorageDescriptor"]
    assert [(each["Name"], each["Type"]) for each in storage["Columns"]] == [
        ("id", "int"),
        ("names", "array<string>"),
        ("n", "struct<a:int,b:map<string,double>>"),
        ("price", "decimal(10,2)"),
        ("code", "varchar(3)"),
    ]
    assert storage["Columns"][0]["Comment"] == "the key"
    assert [(each["Name"], each["Type"]) for each in table["PartitionKeys"]] == [("year", "string"), ("month", "int")]
    assert (table["TableType"], table["Description"]) == ("EXTERNAL_TABLE", "it's a table")
    assert (storage["Location"], storage["SerdeInfo"]["SerializationLibrary"]) == (
        f"s3://{warehouse.bucket}/t/",
        PARQUET,
    )
    assert (storage["BucketColumns"], storage["NumberOfBuckets"]) == (["id"], 4)
    expected = {"EXTERNAL": "TRUE", "parquet.compression": "SNAPPY", "classification": "parquet"}
    assert table["Parameters"] == expected
    warehouse.run("create external table if not exists t (x int) location 's3://{bucket}/other/'")
    assert warehouse.table("t")["VersionId"] == "0"
    assert "Table t already exists" in fails("create external table t (x int) location 's3://{bucket}/other/'")


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("create external table t (a int, A string) location 's3://b/'", "Duplicate column name: a"),
        ("create external table t (a int) partitioned by (a int) location 's3://b/'", "partitioning columns: a"),
        ("create external table t (a int)", "needs LOCATION 's3://bucket/folder/'"),
        ("create external table nowhere.t (a int) location 's3://b/'", "Database does not exist: nowhere"),
        ("create table t (a int) location 's3://b/'", "CREATE TABLE needs EXTERNAL"),
        (
            "create table t (a int) location 's3://b/' tblproperties ('table_type' = 'ICEBERG')",
            f"NOT_SUPPORTED: CREATE TABLE without EXTERNAL {ICEBERG}",
        ),
        ("drop table t", "FAILED: SemanticException [Error 10001]: Table not found"),
        ("drop view t", "Table not found"),
        ("msck repair table t", "Table not found"),
        ("describe t", "Table not found"),
        ("show partitions t", "Table not found"),
        ("show tables in nowhere", "SCHEMA_NOT_FOUND: Schema 'nowhere' does not exist"),
        ("alter table t rename to u", "Table not found"),
        ("select * from t", "TABLE_NOT_FOUND: line 1:15: Table 'awsdatacatalog."),
        ("select * from nowhere.t", "SCHEMA_NOT_FOUND"),
        ("select * from other.x.t", "CATALOG_NOT_FOUND"),
    ],
)
def test_create_table_refused_by_the_catalog(warehouse, fails, sql, message):
    assert message in fails(sql)
    assert warehouse.lines("show tables") == []


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("create external table t (a int", "line 1:31: mismatched input '<EOF>'. Expecting: )"),
        ("create external table t (a int) location s3", "Expecting: a string in single quotes"),
        (
            "create external table t (a nothing) location 's3://b/'",
            "line 1:28: mismatched input 'nothing'. Expecting: a type",
        ),
        ("create external table t (a varchar) location 's3://b/'", "Expecting: a type"),
        (
            "create external table t (date int) location 's3://b/'",
            "date is a keyword: write `date` to use it as a name",
        ),
        ("create external table t (\"a\" int) location 's3://b/'", "Expecting: a name in backticks"),
        ("create external table a.b.c.t (a int) location 's3://b/'", "is not a table name: write database.table"),
        ("alter table t add", "Expecting: PARTITION"),
        ("alter table t set location 'file:///x'", "a location must be s3://bucket/folder/, not 'file:///x'"),
        ("alter table t explode", "Expecting: ADD, DROP, REPLACE, CHANGE, RENAME or SET"),
        ("alter table t add partition (a)", "Expecting: ="),
        ("msck repair t", "mismatched input 'msck'"),
        ("drop table t cascade", "Expecting: the end of the statement"),
        ("show tbls", "mismatched input 'tbls'"),
        ("show columns t", "Expecting: FROM"),
        ("unload (select 1) to 's3://b/x/'", "Expecting: WITH"),
        ("select from", "line 1:8: mismatched input 'from'"),
        ("select 1; select 2", "mismatched input ';'"),
        ("select `a` from t", "backquoted identifiers are not supported"),
        ("", "mismatched input '<EOF>'"),
        ("-- only a comment", "mismatched input '<EOF>'"),
        ("grant select on t to u", "GRANT is not a statement of Athena"),
        ("use somewhere", "USE is not a statement of Athena"),
        ("drop database", "Expecting: a name"),
    ],
)
def test_a_syntax_error_is_refused_when_the_query_starts(warehouse, sql, message):
    with pytest.raises(ClientError) as raised:
        warehouse.start(sql) if sql else warehouse.start(" ")
    error = raised.value.response
    assert error["Error"]["Code"] == "InvalidRequestException"
    assert error["AthenaErrorCode"] == "MALFORMED_QUERY"
    assert message in error["Error"]["Message"]


def test_partitions_by_alter_table(warehouse, fails):
    warehouse.create("t", "a int", "partitioned by (year string, month int) stored as parquet")
    warehouse.run(
        "alter table t add partition (year = '2024', month = 1) partition (year='2024', month='2') location 's3://{bucket}/x/'"
    )
    assert warehouse.partitions("t") == [("2024", "1"), ("2024", "2")]
    first = warehouse.glue.get_partition(DatabaseName=warehouse.database, TableName="t", PartitionValues=["2024", "1"])
    assert first["Partition"]["StorageDescriptor"]["Location"] == f"s3://{warehouse.bucket}/t/year=2024/month=1"
    again = "partition (year = '2024', month = 1) partition (year = '2024', month = 3)"
    assert "Partition already exists: ['2024', '1']" in fails(f"alter table t add {again}")
    assert len(warehouse.partitions("t")) == 2  # all of them or none
    warehouse.run(f"alter table t add if not exists {again}")
    assert warehouse.lines("show partitions t") == ["year=2024/month=1", "year=2024/month=2", "year=2024/month=3"]
    warehouse.run("alter table t partition (year = '2024', month = 3) rename to partition (year = '2023', month = 12)")
    warehouse.run("alter table t partition (year='2023', month=12) set location 's3://{bucket}/y/'")
    assert warehouse.query('select * from "t$partitions" order by month') == [
        ("2024", "1"),
        ("2024", "2"),
        ("2023", "12"),
    ]
    warehouse.run("alter table t drop partition (year = '2024', month = 1), partition (year = '2023')")
    assert warehouse.partitions("t") == [("2024", "2")]
    assert "Partition not found {'month': '9'}" in fails("alter table t drop partition (month = 9)")
    warehouse.run("alter table t drop if exists partition (month = 9)")
    assert "does not name the partition keys" in fails("alter table t add partition (day = 1)")
    assert "does not name the partition keys" in fails("alter table t add partition (year = '2024')")
    assert "Partition not found" in fails("alter table t partition (year='1', month=1) set location 's3://b/'")


def test_columns_properties_and_location_by_alter_table(warehouse, fails):
    warehouse.create("t", "a int", "partitioned by (p string) stored as parquet")
    warehouse.run("alter table t add columns (b string comment 'second', c array<int>)")
    warehouse.run("alter table t change column b bb bigint comment 'renamed'")
    columns = [(each["Name"], each["Type"]) for each in warehouse.table("t")["StorageDescriptor"]["Columns"]]
    assert columns == [("a", "int"), ("bb", "bigint"), ("c", "array<int>")]
    warehouse.run("alter table t replace columns (`a` int, z date)")
    warehouse.run("alter table t set tblproperties ('classification' = 'parquet')")
    warehouse.run("alter table t set location 's3://{bucket}/moved/'")
    table = warehouse.table("t")
    assert [each["Name"] for each in table["StorageDescriptor"]["Columns"]] == ["a", "z"]
    assert table["Parameters"]["classification"] == "parquet"
    assert table["StorageDescriptor"]["Location"] == f"s3://{warehouse.bucket}/moved/"
    for sql, message in (
        ("add columns (a int)", "Duplicate column name: a"),
        ("add columns (p int)", "Column repeated in partitioning columns: p"),
        ("change nothing x int", "Invalid column reference nothing"),
        (
            "drop column a",
            f"NOT_SUPPORTED: ALTER TABLE ... DROP COLUMN {ICEBERG}",
        ),
        (
            "rename to u",
            f"NOT_SUPPORTED: ALTER TABLE ... RENAME TO {ICEBERG}",
        ),
    ):
        assert message in fails(f"alter table t {sql}")


def test_msck_adds_the_folders_that_hold_objects(warehouse):
    warehouse.create("t", "a int", "partitioned by (year string, month int) row format delimited")
    for folder in (
        "year=2024/month=1",
        "year=2024/month=2",
        "Year=2023/MONTH=12",
        "year=a%2Fb/month=3",
        "other/month=4",
        "year=2024",
    ):
        warehouse.put(f"t/{folder}/part-0", "1\n")
    warehouse.run("alter table t add partition (year = '2024', month = 1)")
    printed = warehouse.lines("msck repair table t")
    assert printed[1:] == [
        f"Repair: Added partition to metastore t:{each}"
        for each in ("year=2023/month=12", "year=2024/month=2", "year=a%2Fb/month=3")
    ]
    assert warehouse.partitions("t") == [("2023", "12"), ("2024", "1"), ("2024", "2"), ("a/b", "3")]
    assert warehouse.lines("msck repair table t") == []
    assert warehouse.query("select count(*) from t where year = 'a/b'") == [("1",)]


def test_show_and_describe(warehouse, fails):
    warehouse.create("trips", "a int comment 'first', b string", "partitioned by (p string) stored as parquet")
    warehouse.create("trips_audit", "x double", "row format delimited fields terminated by '\\t'")
    warehouse.run("create view busy as select a from trips")
    assert warehouse.lines("show tables") == ["busy", "trips", "trips_audit"]
    assert warehouse.lines(f"show tables in {warehouse.database} 'trips*'") == ["trips", "trips_audit"]
    assert warehouse.lines("show tables '.*_audit|busy'") == ["busy", "trips_audit"]
    assert warehouse.lines("show views") == ["busy"]
    assert warehouse.lines(f"show views in {warehouse.database} like 'x*'") == []
    assert warehouse.lines("show columns in trips") == [f"{each:<20}" for each in ("a", "b", "p")]
    assert warehouse.lines(f"show columns from trips in {warehouse.database}") == [f"{each:<20}" for each in "abp"]
    assert warehouse.lines("describe trips")[:2] == [
        "a                   \tint                 \tfirst               ",
        "b                   \tstring              \t                    ",
    ]
    assert any(line.startswith("# Partition Information") for line in warehouse.lines("desc trips"))
    assert any(
        line.startswith("Location:") and "/trips/" in line for line in warehouse.lines("describe formatted trips")
    )
    assert warehouse.lines("describe trips b") == ["b                   \tstring              \t                    "]
    assert "Invalid column reference z" in fails("describe trips z")
    assert warehouse.lines("show tblproperties trips") == ["EXTERNAL\tTRUE"]
    assert warehouse.lines("show tblproperties trips('EXTERNAL')") == ["EXTERNAL\tTRUE"]
    assert "does not have property: x" in warehouse.lines("show tblproperties trips('x')")[0]
    assert "is not a partitioned table" in fails("show partitions trips_audit")
    assert "use SHOW CREATE VIEW" in fails("show create table busy")
    assert "use SHOW CREATE TABLE" in fails("show create view trips")
    assert warehouse.lines("show create view busy") == [
        f"CREATE VIEW {warehouse.database}.busy AS",
        "select a from trips",
    ]
    text = "\n".join(warehouse.lines("show create table trips"))
    assert text.startswith(
        f"CREATE EXTERNAL TABLE `{warehouse.database}.trips`(\n  `a` int COMMENT 'first', \n  `b` string)"
    )
    warehouse.run("drop table trips")
    warehouse.run(text.replace(f"`{warehouse.database}.trips`", "trips"))  # what it shows can be run
    assert "\n".join(warehouse.lines("show create table trips")) == text


def test_the_columns_of_utility_statements(warehouse):
    warehouse.create("t", "a int")
    execution = warehouse.run("show columns in t")
    assert (execution["StatementType"], execution["SubstatementType"]) == ("UTILITY", "SHOW_COLUMNS")
    (column,) = warehouse.results(execution)["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
    assert (column["Name"], column["Type"], column["Precision"]) == ("field", "string", 0)
    assert warehouse.read(execution["ResultConfiguration"]["OutputLocation"]) == b"a                   \n"
    execution = warehouse.run("alter table t set tblproperties ('a' = 'b')")
    assert (execution["StatementType"], execution["SubstatementType"]) == ("DDL", "ALTER_TABLE_SET_TBLPROPERTIES")
    assert warehouse.results(execution)["ResultSet"] == {"Rows": [], "ResultSetMetadata": {"ColumnInfo": []}}
    assert execution["ResultConfiguration"]["OutputLocation"].endswith(".txt")


def test_dropping_leaves_the_data(warehouse, fails):
    warehouse.create("t", "a string", "")
    warehouse.put("t/a.txt", "1\n")
    warehouse.run("create view v as select * from t")
    assert "use DROP VIEW" in fails("drop table v")
    assert "use DROP TABLE" in fails("drop view t")
    warehouse.run(f'drop view if exists "{warehouse.database}"."v"')
    warehouse.run(f"drop table if exists `{warehouse.database}`.`t`")
    warehouse.run("drop table if exists t")
    warehouse.run("drop view if exists v")
    assert warehouse.lines("show tables") == []
    assert warehouse.objects("t/") == ["t/a.txt"]


@pytest.mark.parametrize(
    "sql",
    [
        "merge into t using t s on t.a = s.a when matched then delete",
        "update t set a = 1",
        "delete from t where a = 1",
        "optimize t rewrite data using bin_pack",
        "vacuum t",
        "create table u with (table_type = 'iceberg', is_external = false, location = 's3://b/') as select 1 a",
    ],
)
def test_iceberg_is_refused_by_a_sentence(warehouse, fails, sql):
    warehouse.create("t", "a int")
    reason = fails(sql)
    assert reason.startswith("NOT_SUPPORTED: ")
    assert "not supported by the local AWS yet" in reason
