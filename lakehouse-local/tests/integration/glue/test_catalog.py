"""The operations of the Data Catalog through boto3, as dbt-athena, awswrangler and Terraform call them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

KEYS = [{"Name": "year", "Type": "string"}, {"Name": "month", "Type": "string"}]
STORAGE = {
    "Columns": [{"Name": "fare", "Type": "double", "Comment": "in dollars"}],
    "Location": "s3://bucket/t/",
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}


@pytest.fixture
def glue(boto: Callable[..., Any]) -> Any:
    return boto("glue")


@pytest.fixture
def table(glue: Any, database: str) -> dict[str, str]:
    glue.create_table(
        DatabaseName=database,
        TableInput={
            "Name": "Trips", "TableType": "EXTERNAL_TABLE", "StorageDescriptor": STORAGE, "PartitionKeys": KEYS,
            "Parameters": {"classification": "parquet"},
        },
    )  # fmt: skip
    return {"DatabaseName": database, "TableName": "trips"}


def code(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


def partition(year: str, month: str, **more: Any) -> dict[str, Any]:
    return {"Values": [year, month], "StorageDescriptor": STORAGE, **more}


def test_a_table_has_what_dbt_and_terraform_read(glue: Any, table: dict[str, str]) -> None:
    found = glue.get_table(DatabaseName=table["DatabaseName"].upper(), Name="TRIPS")["Table"]
    assert found["CatalogId"] == "123456789012"
    assert found["TableType"] == "EXTERNAL_TABLE"
    assert found["VersionId"] == "0"
    assert found["StorageDescriptor"]["NumberOfBuckets"] == 0
    assert found["StorageDescriptor"]["Location"] == "s3://bucket/t/"
    assert found["PartitionKeys"] == KEYS
    assert found["CreateTime"].year >= 2024
    assert glue.get_partition_indexes(**table)["PartitionIndexDescriptorList"] == []


def test_databases_page(glue: Any, boto: Callable[..., Any]) -> None:
    names = {f"paging_{number:02}" for number in range(7)}
    for name in names:
        glue.create_database(DatabaseInput={"Name": name.upper(), "LocationUri": "s3://b/"})
    pages = list(glue.get_paginator("get_databases").paginate(PaginationConfig={"PageSize": 3}))
    assert all(len(page["DatabaseList"]) <= 3 for page in pages)
    listed = [item["Name"] for page in pages for item in page["DatabaseList"]]
    assert names <= set(listed)
    assert listed == sorted(set(listed))
    for name in names:
        glue.delete_database(Name=name)
    assert code(lambda: glue.get_database(Name="paging_01")) == "EntityNotFoundException"


def test_a_database_is_updated_and_tagged(glue: Any, database: str) -> None:
    arn = f"arn:aws:glue:us-east-1:123456789012:database/{database}"
    assert glue.get_tags(ResourceArn=arn)["Tags"] == {}
    glue.tag_resource(ResourceArn=arn, TagsToAdd={"a": "1", "b": "2"})
    glue.untag_resource(ResourceArn=arn, TagsToRemove=["a"])
    assert glue.get_tags(ResourceArn=arn)["Tags"] == {"b": "2"}
    glue.update_database(Name=database, DatabaseInput={"Name": database, "Parameters": {"p": "1"}})
    assert glue.get_database(Name=database)["Database"]["Parameters"] == {"p": "1"}
    glue.delete_database(Name=database)
    glue.create_database(DatabaseInput={"Name": database}, Tags={"c": "3"})
    assert glue.get_tags(ResourceArn=arn)["Tags"] == {"c": "3"}


def test_not_more_than_fifty_tags(glue: Any, database: str) -> None:
    arn = f"arn:aws:glue:us-east-1:123456789012:database/{database}"
    glue.tag_resource(ResourceArn=arn, TagsToAdd={str(number): "" for number in range(50)})
    assert code(lambda: glue.tag_resource(ResourceArn=arn, TagsToAdd={"one more": ""})) == "InvalidInputException"
    assert code(lambda: glue.get_tags(ResourceArn="arn:aws:s3:::bucket")) == "InvalidInputException"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("stg_*", ["stg_a", "stg_b"]),  # awswrangler's prefix
        ("*_a", ["dim_a", "stg_a"]),
        ("stg_.*", ["stg_a", "stg_b"]),
        ("STG_A|dim_a", ["dim_a", "stg_a"]),
        ("stg", []),
        ("", ["dim_a", "stg_a", "stg_b"]),
    ],
)
def test_tables_by_expression(glue: Any, database: str, expression: str, expected: list[str]) -> None:
    for name in ("stg_b", "stg_a", "dim_a"):
        glue.create_table(DatabaseName=database, TableInput={"Name": name})
    found = glue.get_tables(DatabaseName=database, Expression=expression)["TableList"]
    assert [item["Name"] for item in found] == expected


def test_a_malformed_pattern(glue: Any, database: str) -> None:
    assert code(lambda: glue.get_tables(DatabaseName=database, Expression="(")) == "InvalidInputException"


def test_tables_page(glue: Any, database: str) -> None:
    for number in range(12):
        glue.create_table(DatabaseName=database, TableInput={"Name": f"t{number:02}"})
    first = glue.get_tables(DatabaseName=database, MaxResults=5)
    assert len(first["TableList"]) == 5
    pages = glue.get_paginator("get_tables").paginate(DatabaseName=database, PaginationConfig={"PageSize": 5})
    assert [item["Name"] for page in pages for item in page["TableList"]] == [f"t{number:02}" for number in range(12)]
    only_names = glue.get_tables(DatabaseName=database, AttributesToGet=["NAME"], MaxResults=1)["TableList"]
    assert set(only_names[0]) == {"Name", "DatabaseName", "CatalogId"}


def test_update_and_versions(glue: Any, table: dict[str, str]) -> None:
    database = table["DatabaseName"]
    for number in range(4):
        glue.update_table(
            DatabaseName=database, TableInput={"Name": "TRIPS", "Description": str(number)}, SkipArchive=number == 3
        )
    versions = glue.get_table_versions(**table)["TableVersions"]
    assert [version["VersionId"] for version in versions] == ["4", "2", "1", "0"]
    assert versions[1]["Table"]["Description"] == "1"
    assert glue.get_table_version(**table, VersionId="0")["TableVersion"]["Table"]["PartitionKeys"] == KEYS
    assert glue.get_table_version(**table)["TableVersion"]["VersionId"] == "4"
    glue.delete_table_version(**table, VersionId="0")
    errors = glue.batch_delete_table_version(**table, VersionIds=["1", "99"])["Errors"]
    assert [(error["VersionId"], error["ErrorDetail"]["ErrorCode"]) for error in errors] == [
        ("99", "EntityNotFoundException")
    ]
    assert [version["VersionId"] for version in glue.get_table_versions(**table)["TableVersions"]] == ["4", "2"]
    assert code(lambda: glue.get_table_version(**table, VersionId="0")) == "EntityNotFoundException"
    stale = {"DatabaseName": database, "TableInput": {"Name": "trips"}, "VersionId": "2"}
    assert code(lambda: glue.update_table(**stale)) == "ConcurrentModificationException"


def test_deleting_tables(glue: Any, table: dict[str, str]) -> None:
    database = table["DatabaseName"]
    glue.create_table(DatabaseName=database, TableInput={"Name": "other"})
    errors = glue.batch_delete_table(DatabaseName=database, TablesToDelete=["Trips", "none"])["Errors"]
    assert [error["TableName"] for error in errors] == ["none"]
    glue.delete_table(DatabaseName=database, Name="Other")
    assert code(lambda: glue.delete_table(DatabaseName=database, Name="other")) == "EntityNotFoundException"


class TestPartitions:
    @pytest.fixture(autouse=True)
    def a_year(self, glue: Any, table: dict[str, str]) -> None:
        months = [partition("2024", f"{month:02}") for month in range(1, 13)]
        assert glue.batch_create_partition(**table, PartitionInputList=months)["Errors"] == []

    def values(self, glue: Any, table: dict[str, str], **arguments: Any) -> list[str]:
        pages = glue.get_paginator("get_partitions").paginate(**table, **arguments, PaginationConfig={"PageSize": 5})
        return ["-".join(item["Values"]) for page in pages for item in page["Partitions"]]

    def test_all_of_them_over_pages(self, glue: Any, table: dict[str, str]) -> None:
        assert self.values(glue, table) == [f"2024-{month:02}" for month in range(1, 13)]

    @pytest.mark.parametrize(
        ("expression", "months"),
        [
            ("(year='2024' and month='01') or (year='2024' and month='02')", [1, 2]),  # as dbt-athena writes it
            ("YEAR = 2024 AND NOT (month <= '10')", [11, 12]),
            ("month in ('03', '05') and year <> '2023'", [3, 5]),
            ("month between '04' and '06'", [4, 5, 6]),
            ("month like '1%'", [10, 11, 12]),
            ("year is null", []),
        ],
    )
    def test_expressions(self, glue: Any, table: dict[str, str], expression: str, months: list[int]) -> None:
        assert self.values(glue, table, Expression=expression) == [f"2024-{month:02}" for month in months]

    def test_a_bad_expression(self, glue: Any, table: dict[str, str]) -> None:
        assert code(lambda: glue.get_partitions(**table, Expression="day = '1'")) == "InvalidInputException"

    def test_segments_share_the_partitions_out(self, glue: Any, table: dict[str, str]) -> None:
        parts = [self.values(glue, table, Segment={"SegmentNumber": number, "TotalSegments": 3}) for number in range(3)]
        assert sorted(value for part in parts for value in part) == self.values(glue, table)
        beyond = {"SegmentNumber": 3, "TotalSegments": 3}
        assert code(lambda: glue.get_partitions(**table, Segment=beyond)) == "InvalidInputException"

    def test_without_the_columns(self, glue: Any, table: dict[str, str]) -> None:
        found = glue.get_partitions(**table, ExcludeColumnSchema=True)["Partitions"]
        assert all("Columns" not in item["StorageDescriptor"] for item in found)
        assert found[0]["Parameters"] == {}

    def test_one_and_a_batch(self, glue: Any, table: dict[str, str]) -> None:
        assert glue.get_partition(**table, PartitionValues=["2024", "05"])["Partition"]["TableName"] == "trips"
        keys = [{"Values": ["2024", "01"]}, {"Values": ["1999", "01"]}]
        answer = glue.batch_get_partition(**table, PartitionsToGet=keys)
        assert [item["Values"] for item in answer["Partitions"]] == [["2024", "01"]]
        assert answer["UnprocessedKeys"] == [{"Values": ["1999", "01"]}]
        assert code(lambda: glue.get_partition(**table, PartitionValues=["2024"])) == "InvalidInputException"

    def test_creating_what_is_there(self, glue: Any, table: dict[str, str]) -> None:
        again = partition("2024", "01")
        assert code(lambda: glue.create_partition(**table, PartitionInput=again)) == "AlreadyExistsException"
        inputs = [again, partition("2025", "01"), {"Values": ["x"]}]
        errors = glue.batch_create_partition(**table, PartitionInputList=inputs)["Errors"]
        assert [(error["PartitionValues"], error["ErrorDetail"]["ErrorCode"]) for error in errors] == [
            (["2024", "01"], "AlreadyExistsException"),
            (["x"], "InvalidInputException"),
        ]
        assert glue.get_partition(**table, PartitionValues=["2025", "01"])

    def test_updating(self, glue: Any, table: dict[str, str]) -> None:
        moved = partition("2024", "01", Parameters={"rows": "1"})
        glue.update_partition(**table, PartitionValueList=["2024", "01"], PartitionInput=moved)
        assert glue.get_partition(**table, PartitionValues=["2024", "01"])["Partition"]["Parameters"] == {"rows": "1"}
        entries = [
            {"PartitionValueList": ["2024", "02"], "PartitionInput": partition("2024", "02", Parameters={"rows": "2"})},
            {"PartitionValueList": ["1999", "02"], "PartitionInput": partition("1999", "02")},
        ]
        errors = glue.batch_update_partition(**table, Entries=entries)["Errors"]
        assert [error["PartitionValueList"] for error in errors] == [["1999", "02"]]
        assert glue.get_partition(**table, PartitionValues=["2024", "02"])["Partition"]["Parameters"] == {"rows": "2"}

    def test_deleting(self, glue: Any, table: dict[str, str]) -> None:
        glue.delete_partition(**table, PartitionValues=["2024", "12"])
        assert code(lambda: glue.delete_partition(**table, PartitionValues=["2024", "12"])) == "EntityNotFoundException"
        values = [{"Values": ["2024", f"{month:02}"]} for month in range(1, 13)]
        errors = glue.batch_delete_partition(**table, PartitionsToDelete=values)["Errors"]
        assert [error["PartitionValues"] for error in errors] == [["2024", "12"]]
        assert self.values(glue, table) == []

    def test_limits_of_a_batch(self, glue: Any, table: dict[str, str]) -> None:
        many = [partition("2000", str(number)) for number in range(101)]
        assert code(lambda: glue.batch_create_partition(**table, PartitionInputList=many)) == "ValidationException"
        few = [{"Values": ["2024", str(number)]} for number in range(26)]
        assert code(lambda: glue.batch_delete_partition(**table, PartitionsToDelete=few)) == "ValidationException"
        assert len(self.values(glue, table)) == 12


def test_search(glue: Any, table: dict[str, str]) -> None:
    database = table["DatabaseName"]
    glue.create_table(DatabaseName=database, TableInput={"Name": "zones", "Description": "of the city"})
    mine = [{"Key": "DatabaseName", "Value": database}]

    def names(**arguments: Any) -> list[str]:
        found = glue.search_tables(**{"Filters": mine, **arguments})["TableList"]
        return [item["Name"] for item in found]

    assert names() == ["trips", "zones"]
    assert names(SearchText="CITY") == ["zones"]
    assert names(SearchText="fare") == ["trips"]
    assert names(SearchText='"trip"') == []
    assert names(SearchText='"trips"') == ["trips"]
    assert names(SortCriteria=[{"FieldName": "Name", "Sort": "DESC"}]) == ["zones", "trips"]
    parquet = [*mine, {"Key": "classification", "Value": "parquet", "Comparator": "EQUALS"}]
    assert names(Filters=parquet) == ["trips"]
    assert names(Filters=[*mine, {"Key": "VersionId", "Value": "0", "Comparator": "GREATER_THAN"}]) == []
    bad = [{"FieldName": "Colour", "Sort": "ASC"}]
    assert code(lambda: glue.search_tables(SortCriteria=bad)) == "InvalidInputException"


def test_statistics_of_columns(glue: Any, table: dict[str, str]) -> None:
    statistics = {
        "ColumnType": "double",
        "AnalyzedTime": 1704067200,
        "StatisticsData": {
            "Type": "DOUBLE",
            "DoubleColumnStatisticsData": {"NumberOfNulls": 1, "NumberOfDistinctValues": 2},
        },
    }
    known, unknown = {"ColumnName": "fare", **statistics}, {"ColumnName": "none", **statistics}
    answer = glue.update_column_statistics_for_table(**table, ColumnStatisticsList=[known, unknown])
    assert [error["ColumnStatistics"]["ColumnName"] for error in answer["Errors"]] == ["none"]
    found = glue.get_column_statistics_for_table(**table, ColumnNames=["fare", "year"])
    assert found["ColumnStatisticsList"][0]["StatisticsData"] == statistics["StatisticsData"]
    assert [error["ColumnName"] for error in found["Errors"]] == ["year"]
    glue.delete_column_statistics_for_table(**table, ColumnName="fare")
    again = {**table, "ColumnName": "fare"}
    assert code(lambda: glue.delete_column_statistics_for_table(**again)) == "EntityNotFoundException"

    glue.create_partition(**table, PartitionInput=partition("2024", "01"))
    of_part = {**table, "PartitionValues": ["2024", "01"]}
    glue.update_column_statistics_for_partition(**of_part, ColumnStatisticsList=[known])
    assert len(glue.get_column_statistics_for_partition(**of_part, ColumnNames=["fare"])["ColumnStatisticsList"]) == 1
    assert glue.get_column_statistics_for_table(**table, ColumnNames=["fare"])["ColumnStatisticsList"] == []


def test_partition_indexes(glue: Any, table: dict[str, str]) -> None:
    glue.create_partition_index(**table, PartitionIndex={"IndexName": "by_year", "Keys": ["year"]})
    found = glue.get_partition_indexes(**table)["PartitionIndexDescriptorList"]
    assert found == [{"IndexName": "by_year", "Keys": [{"Name": "year", "Type": "string"}], "IndexStatus": "ACTIVE"}]
    for index, expected in [
        ({"IndexName": "by_year", "Keys": ["month"]}, "AlreadyExistsException"),
        ({"IndexName": "by_fare", "Keys": ["fare"]}, "InvalidInputException"),
    ]:
        assert code(lambda index=index: glue.create_partition_index(**table, PartitionIndex=index)) == expected
    glue.delete_partition_index(**table, IndexName="by_year")
    assert code(lambda: glue.delete_partition_index(**table, IndexName="by_year")) == "EntityNotFoundException"


def test_functions(glue: Any, database: str) -> None:
    glue.create_user_defined_function(DatabaseName=database, FunctionInput={"FunctionName": "MyFn", "ClassName": "a.B"})
    again = {"DatabaseName": database, "FunctionInput": {"FunctionName": "myfn"}}
    assert code(lambda: glue.create_user_defined_function(**again)) == "AlreadyExistsException"
    function = {"DatabaseName": database, "FunctionName": "MYFN"}
    glue.update_user_defined_function(**function, FunctionInput={"FunctionName": "myfn", "ClassName": "a.C"})
    assert glue.get_user_defined_function(**function)["UserDefinedFunction"]["ClassName"] == "a.C"
    listed = glue.get_user_defined_functions(DatabaseName=database, Pattern="*")["UserDefinedFunctions"]
    assert [item["FunctionName"] for item in listed] == ["myfn"]
    glue.delete_user_defined_function(**function)
    assert glue.get_user_defined_functions(DatabaseName=database, Pattern=".*")["UserDefinedFunctions"] == []
    assert code(lambda: glue.get_user_defined_function(**function)) == "EntityNotFoundException"


def test_settings_of_the_account(glue: Any) -> None:
    assert glue.get_catalog_import_status()["ImportStatus"]["ImportCompleted"] is True
    encryption = glue.get_data_catalog_encryption_settings()["DataCatalogEncryptionSettings"]
    assert encryption["EncryptionAtRest"]["CatalogEncryptionMode"] == "DISABLED"
    changed = {"EncryptionAtRest": {"CatalogEncryptionMode": "SSE-KMS", "SseAwsKmsKeyId": "k"}}
    glue.put_data_catalog_encryption_settings(DataCatalogEncryptionSettings=changed)
    encryption = glue.get_data_catalog_encryption_settings()["DataCatalogEncryptionSettings"]
    assert encryption["EncryptionAtRest"]["SseAwsKmsKeyId"] == "k"

    assert code(glue.get_resource_policy) == "EntityNotFoundException"
    digest = glue.put_resource_policy(PolicyInJson="{}")["PolicyHash"]
    assert glue.get_resource_policy()["PolicyInJson"] == "{}"
    stale = {"PolicyInJson": "{}", "PolicyHashCondition": "other"}
    assert code(lambda: glue.put_resource_policy(**stale)) == "ConditionCheckFailureException"
    glue.delete_resource_policy(PolicyHashCondition=digest)
    assert glue.get_resource_policies()["GetResourcePoliciesResponseList"] == []


def test_iceberg_is_refused_in_a_sentence(glue: Any, database: str) -> None:
    with pytest.raises(ClientError, match="Iceberg tables are not supported by the local AWS"):
        glue.create_table(
            DatabaseName=database,
            TableInput={"Name": "t"},
            OpenTableFormatInput={"IcebergInput": {"MetadataOperation": "CREATE"}},
        )
