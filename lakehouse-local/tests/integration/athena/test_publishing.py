"""The catalogue and the statements that publishing by pointer needs: partitions, their locations, versions, views."""

from __future__ import annotations

import base64
import json

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def trips(warehouse):
    """The external table `trips`, partitioned by month (int) and service (string), with two partitions."""
    warehouse.create("trips", "id bigint", "partitioned by (month int, service string) stored as parquet")
    warehouse.run("insert into trips values (bigint '1', 1, 'green'), (2, 1, 'yellow'), (3, 2, 'yellow')")
    return warehouse


def entry(warehouse, values, location):
    storage = warehouse.table("trips")["StorageDescriptor"]
    return {"Values": values, "StorageDescriptor": {**storage, "Location": location}}


def location(warehouse, *values):
    found = warehouse.glue.get_partition(
        DatabaseName=warehouse.database, TableName="trips", PartitionValues=list(values)
    )
    return found["Partition"]["StorageDescriptor"]["Location"]


def code(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return caught.value.response["Error"]["Code"]


def table_input(table):
    kept = ("Name", "TableType", "Parameters", "PartitionKeys", "StorageDescriptor")
    return {name: table[name] for name in kept}


def test_dropping_partitions_forgets_them_and_leaves_their_files(trips):
    before = trips.objects("trips/")
    trips.run(
        "alter table trips drop if exists partition (month = 1, service = 'green'), "
        "partition (month=2,service='yellow'), partition (month = 9, service = 'none')"
    )
    assert trips.partitions("trips") == [("1", "yellow")]
    assert trips.query("select id from trips") == [("2",)]
    assert trips.objects("trips/") == before


def test_dropping_a_partition_that_matches_nothing(trips, fails):
    trips.run("alter table trips drop if exists partition (month = 9, service = 'none')")
    trips.run("alter table trips drop if exists partition (month = 1, service = null_text)".replace("null_text", "''"))
    assert len(trips.partitions("trips")) == 3
    assert "Partition not found" in fails("alter table trips drop partition (month = 9, service = 'none')")


def test_the_list_of_partitions_is_a_table(trips):
    rows = 'select month, service from "trips$partitions" order by 1, 2'
    assert trips.query(rows) == [("1", "green"), ("1", "yellow"), ("2", "yellow")]
    joined = (
        'select count(*) from "trips$partitions" p join (values {values}) as n (month, service) '
        "on p.month is not distinct from n.month and p.service is not distinct from n.service"
    )
    assert trips.query(joined.replace("{values}", "(1, 'green'), (3, 'green'), (null, null)")) == [("1",)]
    assert trips.query(joined.replace("{values}", "(cast(null as integer), 'green')")) == [("0",)]
    trips.run("insert into trips select 5, cast(null as integer), 'green'")
    assert trips.query(joined.replace("{values}", "(cast(null as integer), 'green')")) == [("1",)]


def test_an_insert_follows_a_partitions_location_and_makes_new_ones_under_the_tables(trips):
    elsewhere = f"s3://{trips.bucket}/generations/a/1"
    trips.glue.update_partition(
        DatabaseName=trips.database,
        TableName="trips",
        PartitionValueList=["1", "green"],
        PartitionInput=entry(trips, ["1", "green"], elsewhere),
    )
    root = f"s3://{trips.bucket}/roots/fresh/"
    table = table_input(trips.table("trips"))
    table["StorageDescriptor"]["Location"] = root
    trips.glue.update_table(DatabaseName=trips.database, TableInput=table)
    assert trips.query("select count(*) from trips") == [("2",)], "the partition is empty where it now lies"
    trips.run("insert into trips values (bigint '7', 1, 'green'), (8, 1, 'yellow'), (9, 3, 'green')")
    assert len(trips.objects("generations/a/1/")) == 1
    assert len(trips.objects("trips/month=1/service=yellow/")) == 2
    assert len(trips.objects("roots/fresh/month=3/service=green/")) == 1
    assert location(trips, "1", "green") == elsewhere
    assert location(trips, "1", "yellow").startswith(f"s3://{trips.bucket}/trips/"), "the table's move leaves it"
    assert location(trips, "3", "green").rstrip("/") == f"{root}month=3/service=green"
    assert trips.query("select sum(id) from trips") == [("29",)]


def test_many_partitions_at_once_answer_200_with_errors(trips):
    glue, place = trips.glue, {"DatabaseName": trips.database, "TableName": "trips"}
    new = [entry(trips, [str(month), "green"], "s3://x/") for month in (1, 5)]
    (failed,) = glue.batch_create_partition(**place, PartitionInputList=new)["Errors"]
    assert failed["PartitionValues"] == ["1", "green"]
    assert failed["ErrorDetail"]["ErrorCode"] == "AlreadyExistsException"
    assert location(trips, "5", "green") == "s3://x/"

    moved = [
        {"PartitionValueList": [month, "green"], "PartitionInput": entry(trips, [month, "green"], "s3://y/")}
        for month in ("5", "6")
    ]
    (failed,) = glue.batch_update_partition(**place, Entries=moved)["Errors"]
    assert failed["PartitionValueList"] == ["6", "green"]
    assert failed["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"
    assert location(trips, "5", "green") == "s3://y/"

    gone = [{"Values": [month, "green"]} for month in ("5", "6")]
    (failed,) = glue.batch_delete_partition(**place, PartitionsToDelete=gone)["Errors"]
    assert (failed["PartitionValues"], failed["ErrorDetail"]["ErrorCode"]) == (
        ["6", "green"],
        "EntityNotFoundException",
    )
    assert ("5", "green") not in trips.partitions("trips")


def test_longer_lists_are_refused_and_nothing_is_done(trips, boto):
    glue, place = trips.glue, {"DatabaseName": trips.database, "TableName": "trips"}
    inputs = [entry(trips, [str(month), "x"], "s3://x/") for month in range(101)]
    updates = [{"PartitionValueList": each["Values"], "PartitionInput": each} for each in inputs]
    assert code(glue.batch_create_partition, **place, PartitionInputList=inputs) == "ValidationException"
    assert code(glue.batch_update_partition, **place, Entries=updates) == "ValidationException"
    gone = [{"Values": ["1", "green"]}] * 26
    assert code(glue.batch_delete_partition, **place, PartitionsToDelete=gone) == "ValidationException"
    assert len(trips.partitions("trips")) == 3
    assert glue.batch_create_partition(**place, PartitionInputList=inputs[:100])["Errors"] == []
    assert glue.batch_update_partition(**place, Entries=updates[:100])["Errors"] == []
    values = [{"Values": each["Values"]} for each in inputs[:25]]
    assert glue.batch_delete_partition(**place, PartitionsToDelete=values)["Errors"] == []


def test_a_partition_that_is_not_there_is_not_updated(trips):
    call, new = trips.glue.update_partition, entry(trips, ["8", "green"], "s3://x/")
    place = {"DatabaseName": trips.database, "TableName": "trips", "PartitionValueList": ["8", "green"]}
    assert code(call, **place, PartitionInput=new) == "EntityNotFoundException"


def test_parameters_travel_with_a_partitions_location(trips):
    moved = {**entry(trips, ["1", "green"], "s3://x/"), "Parameters": {"lakehouse_generation": "2024-05/3"}}
    place = {"DatabaseName": trips.database, "TableName": "trips"}
    trips.glue.update_partition(**place, PartitionValueList=["1", "green"], PartitionInput=moved)
    found = trips.glue.get_partition(**place, PartitionValues=["1", "green"])["Partition"]
    assert (found["Parameters"], found["StorageDescriptor"]["Location"]) == (
        {"lakehouse_generation": "2024-05/3"},
        "s3://x/",
    )


def test_a_table_that_somebody_else_changed_is_not_updated(trips):
    glue, read = trips.glue, trips.table("trips")
    mine = table_input(read)
    mine["StorageDescriptor"]["Location"] = "s3://mine/"
    call = {"DatabaseName": trips.database, "TableInput": mine}
    glue.update_table(**{**call, "TableInput": table_input(read)}, VersionId=read["VersionId"])
    assert code(glue.update_table, **call, VersionId=read["VersionId"]) == "ConcurrentModificationException"
    assert trips.table("trips")["StorageDescriptor"]["Location"] == read["StorageDescriptor"]["Location"]
    glue.update_table(**call, VersionId=trips.table("trips")["VersionId"])
    assert trips.table("trips")["StorageDescriptor"]["Location"] == "s3://mine/"


def view(name, sql, schema, columns):
    """Return a TableInput as a client of Glue's makes a view of Athena's."""
    text = {"originalSql": sql, "catalog": "awsdatacatalog", "schema": schema, "columns": columns}
    encoded = base64.b64encode(json.dumps(text).encode()).decode()
    return {
        "Name": name,
        "TableType": "VIRTUAL_VIEW",
        "Parameters": {"presto_view": "true"},
        "ViewOriginalText": f"/* Presto View: {encoded} */",
        "ViewExpandedText": "/* Presto View */",
        "StorageDescriptor": {
            "Columns": [{"Name": each["name"], "Type": each["type"]} for each in columns],
            "SerdeInfo": {},
        },
    }


def test_views_made_by_a_client_read_the_schema_that_they_name(trips, boto):
    other = f"{trips.database}_other"
    trips.glue.create_database(DatabaseInput={"Name": other})
    ids = [{"name": "id", "type": "bigint"}]
    made = view("v", "select id from trips where month = 1", trips.database, ids)
    trips.glue.create_table(DatabaseName=other, TableInput=made)
    assert trips.query(f"select id from {other}.v order by 1") == [("1",), ("2",)]
    replaced = view(
        "v", f'select id, month from "{trips.database}".trips', other, [*ids, {"name": "month", "type": "integer"}]
    )
    trips.glue.update_table(DatabaseName=other, TableInput=replaced)
    assert trips.query(f"select sum(month) from {other}.v") == [("4",)]
    stale = view("v", "select * from trips", trips.database, ids)
    trips.glue.update_table(DatabaseName=other, TableInput=stale)
    with pytest.raises(Exception, match="VIEW_IS_STALE"):
        trips.query(f"select * from {other}.v")
