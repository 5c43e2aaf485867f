"""Work groups, their tags and limits; data catalogs and named queries."""

from __future__ import annotations

import os
import uuid

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def group(warehouse):
    name = f"group-{uuid.uuid4().hex[:8]}"
    warehouse.athena.create_work_group(
        Name=name,
        Description="ours",
        Tags=[{"Key": "team", "Value": "data"}],
        Configuration={
            "ResultConfiguration": {"OutputLocation": f"s3://{warehouse.bucket}/enforced/"},
            "EnforceWorkGroupConfiguration": True,
        },
    )
    return name


def refused(call, code="InvalidRequestException"):
    with pytest.raises(ClientError) as raised:
        call()
    assert raised.value.response["Error"]["Code"] == code
    return raised.value.response["Error"]["Message"]


def arn(local_aws, name):
    return f"arn:aws:athena:{local_aws.region}:{local_aws.account_id}:workgroup/{name}"


def test_a_work_group_as_terraform_makes_it(warehouse, group, local_aws):
    athena = warehouse.athena
    found = athena.get_work_group(WorkGroup=group)["WorkGroup"]
    assert (found["Name"], found["State"], found["Description"]) == (group, "ENABLED", "ours")
    configuration = found["Configuration"]
    assert configuration["EnforceWorkGroupConfiguration"] is True
    assert configuration["PublishCloudWatchMetricsEnabled"] is True
    assert configuration["EngineVersion"]["SelectedEngineVersion"] == "AUTO"
    assert group in [each["Name"] for each in athena.list_work_groups()["WorkGroups"]]
    assert athena.list_tags_for_resource(ResourceARN=arn(local_aws, group))["Tags"] == [
        {"Key": "team", "Value": "data"}
    ]
    assert athena.list_tags_for_resource(ResourceARN=arn(local_aws, "primary"))["Tags"] == []
    athena.tag_resource(ResourceARN=arn(local_aws, group), Tags=[{"Key": "a", "Value": "b"}])
    athena.untag_resource(ResourceARN=arn(local_aws, group), TagKeys=["team"])
    assert athena.list_tags_for_resource(ResourceARN=arn(local_aws, group))["Tags"] == [{"Key": "a", "Value": "b"}]
    missing = arn(local_aws, "nowhere")
    assert missing in refused(lambda: athena.list_tags_for_resource(ResourceARN=missing), "ResourceNotFoundException")
    assert athena.list_engine_versions()["EngineVersions"]


def test_an_enforced_work_group_says_where_results_go(warehouse, group, fails):
    execution = warehouse.run("select 1", WorkGroup=group)
    location = execution["ResultConfiguration"]["OutputLocation"]
    assert location.startswith(f"s3://{warehouse.bucket}/enforced/")
    reason = fails("create table t with (external_location = 's3://{bucket}/t/') as select 1 as a", WorkGroup=group)
    assert "enforces a centralized output location for all queries" in reason
    warehouse.run("create table t as select 1 as a", WorkGroup=group)
    assert warehouse.table("t")["StorageDescriptor"]["Location"].startswith(f"s3://{warehouse.bucket}/enforced/tables/")
    warehouse.run("unload (select 1 as a) to 's3://{bucket}/unloaded/' with (format = 'json')", WorkGroup=group)
    assert warehouse.objects("unloaded/")


def test_updating_disabling_and_deleting(warehouse, group):
    athena = warehouse.athena
    updates = {
        "EnforceWorkGroupConfiguration": False,
        "BytesScannedCutoffPerQuery": 10_000_000,
        "ResultConfigurationUpdates": {"RemoveOutputLocation": True},
    }
    athena.update_work_group(WorkGroup=group, Description="changed", ConfigurationUpdates=updates)
    found = athena.get_work_group(WorkGroup=group)["WorkGroup"]
    assert found["Description"] == "changed"
    assert found["Configuration"]["BytesScannedCutoffPerQuery"] == 10_000_000
    assert "OutputLocation" not in found["Configuration"]["ResultConfiguration"]
    athena.update_work_group(WorkGroup=group, ConfigurationUpdates={"RemoveBytesScannedCutoffPerQuery": True})
    assert "BytesScannedCutoffPerQuery" not in athena.get_work_group(WorkGroup=group)["WorkGroup"]["Configuration"]
    athena.update_work_group(WorkGroup=group, State="DISABLED")
    assert refused(lambda: warehouse.start("select 1", WorkGroup=group)) == f"WorkGroup {group} is disabled."
    athena.create_named_query(Name="q", Database="d", QueryString="select 1", WorkGroup=group)
    assert refused(lambda: athena.delete_work_group(WorkGroup=group)) == f"WorkGroup {group} is not empty"
    athena.delete_work_group(WorkGroup=group, RecursiveDeleteOption=True)
    assert refused(lambda: athena.get_work_group(WorkGroup=group)) == f"WorkGroup {group} is not found."


def test_refused_work_groups(warehouse, group, boto):
    athena = warehouse.athena
    assert "already created" in refused(lambda: athena.create_work_group(Name=group))
    assert "must be 1 to 128 letters" in refused(lambda: athena.create_work_group(Name="a b"))
    assert "cannot be deleted" in refused(lambda: athena.delete_work_group(WorkGroup="primary"))
    limits = {"BytesScannedCutoffPerQuery": 9_999_999}
    raw = boto("athena", parameter_validation=False)
    message = refused(lambda: raw.create_work_group(Name=f"{group}-2", Configuration=limits))
    assert "10000000" in message


def test_bytes_scanned_are_cut_off(warehouse, group, fails):
    import pyarrow as pa

    limits = {"BytesScannedCutoffPerQuery": 10_000_000}
    warehouse.athena.update_work_group(WorkGroup=group, ConfigurationUpdates=limits)
    rows = [{"a": i, "b": os.urandom(640).hex()} for i in range(10_000)]
    warehouse.put_parquet("t/a.parquet", rows, a=pa.int64(), b=pa.string())
    warehouse.create("t", "a bigint, b string")
    assert warehouse.query("select max(a) + 0 * count(a) from t", WorkGroup=group) == [("9999",)]
    for sql in ("select sum(length(b)) from t", "create table u as select * from t"):
        execution = warehouse.wait(warehouse.start(sql, WorkGroup=group))
        assert execution["Status"]["State"] == "CANCELLED"
        reason = execution["Status"]["StateChangeReason"]
        assert reason == "Query cancelled! : Bytes scanned limit was exceeded: 10000000 bytes"
        assert execution["Statistics"]["DataScannedInBytes"] > 10_000_000
    assert warehouse.lines("show tables") == ["t"]
    assert not [key for key in warehouse.objects() if "/tables/" in key]


def test_the_one_data_catalog(warehouse, local_aws):
    athena, name = warehouse.athena, "AwsDataCatalog"
    found = athena.get_data_catalog(Name="awsdatacatalog")["DataCatalog"]
    assert (found["Name"], found["Type"]) == (name, "GLUE")
    assert found["Parameters"] == {"catalog-id": local_aws.account_id}
    assert athena.list_data_catalogs()["DataCatalogsSummary"] == [{"CatalogName": name, "Type": "GLUE"}]
    warehouse.create("t", "a int comment 'x'", "partitioned by (p string) stored as parquet")
    warehouse.create("u", "a int")
    assert (
        athena.get_database(CatalogName=name, DatabaseName=warehouse.database)["Database"]["Name"] == warehouse.database
    )
    names = [each["Name"] for each in athena.list_databases(CatalogName=name)["DatabaseList"]]
    assert names
    here = {"CatalogName": name, "DatabaseName": warehouse.database}
    table = athena.get_table_metadata(**here, TableName="t")["TableMetadata"]
    assert table["Columns"] == [{"Name": "a", "Type": "int", "Comment": "x"}]
    assert table["PartitionKeys"] == [{"Name": "p", "Type": "string"}]
    assert [each["Name"] for each in athena.list_table_metadata(**here)["TableMetadataList"]] == ["t", "u"]
    assert [each["Name"] for each in athena.list_table_metadata(**here, Expression="u*")["TableMetadataList"]] == ["u"]
    assert "the local AWS has only AwsDataCatalog" in refused(lambda: athena.get_data_catalog(Name="other"))
    gone = lambda: athena.get_table_metadata(**here, TableName="gone")  # noqa: E731
    assert refused(gone, "MetadataException").startswith("EntityNotFoundException: ")


def test_named_queries(warehouse, group):
    athena = warehouse.athena
    members = {"Name": "q", "Database": "d", "QueryString": "select 1", "WorkGroup": group}
    query_id = athena.create_named_query(**members)["NamedQueryId"]
    assert athena.get_named_query(NamedQueryId=query_id)["NamedQuery"] == {**members, "NamedQueryId": query_id}
    athena.update_named_query(NamedQueryId=query_id, Name="r", QueryString="select 2")
    response = athena.batch_get_named_query(NamedQueryIds=[query_id, "gone"])
    assert [each["QueryString"] for each in response["NamedQueries"]] == ["select 2"]
    assert [each["NamedQueryId"] for each in response["UnprocessedNamedQueryIds"]] == ["gone"]
    assert athena.list_named_queries(WorkGroup=group)["NamedQueryIds"] == [query_id]
    athena.delete_named_query(NamedQueryId=query_id)
    assert query_id in refused(lambda: athena.get_named_query(NamedQueryId=query_id))
