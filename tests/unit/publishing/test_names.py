"""Names of units, audit schemas and places."""

from __future__ import annotations

import pytest

from airflow_lakehouse_provider.publishing.names import (
    Places,
    PublishingError,
    TableName,
    check_audit,
    check_unit,
    new_audit,
)


@pytest.mark.parametrize("unit", ["2024-05", "dt=2024-05-01", "reference", "a" * 100])
def test_units(unit):
    assert check_unit(unit) == unit


@pytest.mark.parametrize("unit", ["", "None/1", "a/b", "..", "a..b", "-a", " a", "a" * 101, None, 5])
def test_what_is_no_unit(unit):
    with pytest.raises(PublishingError, match=r"unit is .*; it must be 1 to 100 letters"):
        check_unit(unit)


def test_audit_schemas_are_new_each_time_and_name_their_schema():
    first, second = new_audit("marts"), new_audit("marts")
    assert first != second
    assert check_audit(first).startswith("marts__audit_")
    with pytest.raises(PublishingError, match="'marts' is no audit schema"):
        check_audit("marts")


def test_places():
    places = Places("s3://b/data/")
    uri = f"{places.attempt('m__audit_0123456789ab')}/attempt.json"
    assert uri == "s3://b/data/attempts/m__audit_0123456789ab/attempt.json"
    assert Places.of_attempt(uri) == places
    assert Places.of_attempt("s3://b/attempts/x/attempt.json") == Places("s3://b")
    assert places.new_root() != places.new_root()


@pytest.mark.parametrize("uri", ["", "None", None, "s3://b/x/attempt.json", "s3://b/attempts/x/other.json"])
def test_what_is_no_attempt(uri):
    with pytest.raises(PublishingError, match=r"attempt is .*; it must be the address that a build"):
        Places.of_attempt(uri)


def test_a_table():
    assert TableName.parse("a.b.c") == TableName("a", "b.c")
    assert str(TableName("a", "b")) == "a.b"
