"""AWS JSON: validation against botocore's model, paging, encoding."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pytest

pytest.importorskip("moto", reason="needs the extra 'local'")
from hypothesis import given
from hypothesis import strategies as st

from lakehouse_local.http import wire
from lakehouse_local.http.wire import AwsError, Caller


@pytest.mark.parametrize(
    ("operation", "parameters", "code", "part"),
    [
        ("GetTable", {}, "ValidationException", "2 validation errors detected: Value null at 'databaseName'"),
        ("GetTable", {"DatabaseName": "d", "Name": None}, "ValidationException", "Value null at 'name'"),
        (
            "GetTable",
            {"DatabaseName": ["d"], "Name": "t"},
            "SerializationException",
            "databaseName must be of type string",
        ),
        ("GetTables", {"DatabaseName": "d", "MaxResults": 101}, "ValidationException", "less than or equal to 100"),
        ("GetTables", {"DatabaseName": "d", "MaxResults": True}, "SerializationException", "integer"),
        ("CreateTable", {"DatabaseName": "d", "TableInput": {}}, "ValidationException", "'tableInput.name'"),
        (
            "BatchCreatePartition",
            {"DatabaseName": "d", "TableName": "t", "PartitionInputList": [{}] * 101},
            "ValidationException",
            "Member must have length less than or equal to 100",
        ),
        (
            "BatchDeletePartition",
            {"DatabaseName": "d", "TableName": "t", "PartitionsToDelete": [{"Values": ["1"]}, {}]},
            "ValidationException",
            "'partitionsToDelete.2.member.values'",
        ),
        (
            "CreateJob",
            {"Name": "j", "Role": "r", "Command": {}, "WorkerType": "G.7X"},
            "ValidationException",
            "Value 'G.7X' at 'workerType' failed to satisfy constraint: Member must satisfy enum value set: [Standard",
        ),
        (
            "CreateJob",
            {"Name": "j" * 300, "Role": "r", "Command": {}},
            "ValidationException",
            f"Value '{'j' * 200}...'",
        ),
    ],
)
def test_what_the_model_forbids(operation: str, parameters: dict[str, Any], code: str, part: str) -> None:
    with pytest.raises(AwsError) as error:
        wire.validate("AWSGlue", operation, parameters)
    assert error.value.code == code
    assert part in error.value.message


def test_athena_has_a_code_of_its_own() -> None:
    with pytest.raises(
        AwsError, match="InvalidRequestException: 1 validation error detected: Value null at 'queryString'"
    ):
        wire.validate("AmazonAthena", "StartQueryExecution", {})


def test_valid_and_unknown_members_pass() -> None:
    wire.validate("AWSGlue", "GetTable", {"DatabaseName": "d", "Name": "t", "FromTheFuture": 1, "CatalogId": None})


@given(st.lists(st.integers(), max_size=30), st.integers(1, 12), st.integers(1, 10))
def test_pages_give_everything_once(items: list[int], size: int, limit: int) -> None:
    seen: list[int] = []
    request: dict[str, Any] = {"MaxResults": size}
    while True:
        found, more = wire.page(items, request, limit=limit)
        assert len(found) <= min(size, limit)
        seen += found
        if not more:
            break
        request = {**request, **more}
    assert seen == items


@pytest.mark.parametrize("token", ["x", "-1", "1.5", "²"])
def test_a_token_that_nobody_gave(token: str) -> None:
    with pytest.raises(AwsError, match="NextToken"):
        wire.page([1], {"NextToken": token}, limit=5)


def test_encoding() -> None:
    moment = datetime(2024, 1, 1, 12, 0, 0, 123456, tzinfo=timezone.utc)
    answer = {
        "a": moment,
        "b": moment.replace(tzinfo=None),
        "c": date(2024, 1, 1),
        "d": Decimal("1.5"),
        "e": Decimal(2),
    }
    assert json.loads(wire.encode(answer)) == {
        "a": 1704110400.123, "b": 1704110400.123, "c": 1704067200, "d": 1.5, "e": 2,
    }  # fmt: skip
    with pytest.raises(TypeError, match="set cannot be part"):
        wire.encode({"a": {1}})


def test_errors_carry_code_message_and_more() -> None:
    encoded = json.loads(wire.encode_error(AwsError("X", "why", AthenaErrorCode="Y")))
    assert encoded == {"__type": "X", "message": "why", "Message": "why", "AthenaErrorCode": "Y"}


def test_arns() -> None:
    assert Caller(region="eu-west-1", account_id="1").arn("glue", "job/j") == "arn:aws:glue:eu-west-1:1:job/j"
