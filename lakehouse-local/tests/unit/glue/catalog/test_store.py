"""The Data Catalog on sqlite."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("moto", reason="needs the extra 'local'")

from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.http.wire import AwsError

COLUMNS = [{"Name": "a", "Type": "int"}]
KEYS = [{"Name": "year", "Type": "string"}, {"Name": "month", "Type": "string"}]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(tmp_path / "catalog.sqlite")
    opened.create_database({"Name": "DB"})
    yield opened
    opened.close()


def table(name: str = "T", **more: Any) -> dict[str, Any]:
    return {
        "Name": name,
        "StorageDescriptor": {"Columns": COLUMNS, "Location": "s3://b/t"},
        "PartitionKeys": KEYS,
        **more,
    }


def refused(code: str, message: str = "") -> Any:
    return pytest.raises(AwsError, match=f"{code}.*{message}")


def test_names_are_lower_case_and_found_in_any(catalog: Catalog) -> None:
    catalog.create_table("Db", table("MyTable"))
    assert catalog.get_database("dB")["Name"] == "db"
    found = catalog.get_table("DB", "mytABLE")
    assert (found["DatabaseName"], found["Name"], found["VersionId"]) == ("db", "mytable", "0")
    assert [entry["Name"] for entry in catalog.get_tables("DB")] == ["mytable"]
    with refused("AlreadyExistsException"):
        catalog.create_table("db", table("MYTABLE"))
    with refused("AlreadyExistsException"):
        catalog.create_database({"Name": "db"})


def test_the_input_is_left_as_it_was(catalog: Catalog) -> None:
    given = table()
    before = repr(given)
    catalog.create_table("db", given)
    catalog.update_table("db", given)
    assert repr(given) == before


def test_missing_things(catalog: Catalog) -> None:
    for call, message in [
        (lambda: catalog.get_database("none"), "Database none not found"),
        (lambda: catalog.delete_database("none"), "Database none not found"),
        (lambda: catalog.create_table("none", table()), "Database none not found"),
        (lambda: catalog.get_tables("none"), "Database none not found"),
        (lambda: catalog.get_table("none", "t"), "Database none not found"),
        (lambda: catalog.get_table("db", "none"), "Table db.none not found"),
        (lambda: catalog.update_table("db", table("none")), "Table db.none not found"),
        (lambda: catalog.delete_table("db", "none"), "Table db.none not found"),
        (lambda: catalog.get_partitions("db", "none"), "Table db.none not found"),
        (lambda: catalog.create_partitions("db", "none", []), "Table db.none not found"),
    ]:
        with refused("EntityNotFoundException", message):
            call()


def test_versions(catalog: Catalog) -> None:
    catalog.create_table("db", table(Description="0"))
    for number in (1, 2):
        catalog.update_table("db", table(Description=str(number)))
    catalog.update_table("db", table(Description="3"), skip_archive=True)
    versions = [(entry["VersionId"], entry["Description"]) for entry in catalog.get_table_versions("db", "t")]
    assert versions == [("3", "3"), ("1", "1"), ("0", "0")]
    with refused("ConcurrentModificationException", "at version 3, not 2"):
        catalog.update_table("db", table(), version_id="2")
    catalog.update_table("db", table(Description="4"), version_id="3")
    catalog.delete_table_version("db", "t", "0")
    with refused("EntityNotFoundException", "Version 0"):
        catalog.delete_table_version("db", "t", "0")
    with refused("EntityNotFoundException", "Version x"):
        catalog.delete_table_version("db", "t", "x")
    with refused("InvalidInputException", "current"):
        catalog.delete_table_version("db", "t", "4")


def test_an_update_replaces_but_keeps_when_the_table_was_made(catalog: Catalog) -> None:
    catalog.create_table("db", table(Description="old", Owner="me"))
    made = catalog.get_table("db", "t")["CreateTime"]
    catalog.update_table("db", {"Name": "t"})
    after = catalog.get_table("db", "t")
    assert after["CreateTime"] == made
    assert "Owner" not in after
    assert (after["PartitionKeys"], after["Parameters"]) == ([], {})


def test_partitions(catalog: Catalog) -> None:
    catalog.create_table("db", table())
    inputs = [{"Values": ["2024", f"{month:02}"], "StorageDescriptor": {"Location": "s3://b"}} for month in (2, 1)]
    assert catalog.create_partitions("db", "t", inputs) == []
    errors = catalog.create_partitions("DB", "T", [inputs[0], {"Values": ["2024"]}, {"Values": ["2023", "12"]}])
    assert [error["ErrorDetail"]["ErrorCode"] for error in errors] == [
        "AlreadyExistsException",
        "InvalidInputException",
    ]
    assert errors[0]["PartitionValues"] == ["2024", "02"]
    listed = [entry["Values"] for entry in catalog.get_partitions("db", "t")]
    assert listed == [["2023", "12"], ["2024", "01"], ["2024", "02"]]
    chosen = catalog.get_partitions("db", "t", "YEAR = '2024' AND NOT (month = '01')")
    assert [entry["Values"] for entry in chosen] == [["2024", "02"]]
    assert chosen[0]["StorageDescriptor"]["Location"] == "s3://b"

    catalog.update_partition("db", "t", ["2024", "02"], {"Values": ["2024", "03"], "Parameters": {"rows": "1"}})
    assert catalog.get_partition("db", "t", ["2024", "03"])["Parameters"] == {"rows": "1"}
    with refused("AlreadyExistsException"):
        catalog.update_partition("db", "t", ["2024", "03"], {"Values": ["2024", "01"]})
    with refused("EntityNotFoundException"):
        catalog.update_partition("db", "t", ["2024", "02"], {"Values": ["2024", "02"]})

    errors = catalog.delete_partitions("db", "t", [["2024", "01"], ["1999", "01"]])
    assert [error["PartitionValues"] for error in errors] == [["1999", "01"]]
    with refused("EntityNotFoundException", "2024"):
        catalog.get_partition("db", "t", ["2024", "01"])


def test_a_deleted_table_takes_its_partitions_and_versions_along(catalog: Catalog) -> None:
    catalog.create_table("db", table())
    catalog.create_partitions("db", "t", [{"Values": ["2024", "01"]}])
    catalog.update_table("db", table())
    catalog.put_extra("db", "t", "index", (), "i", {})
    catalog.delete_table("db", "t")
    catalog.create_table("db", table())
    assert catalog.get_partitions("db", "t") == []
    assert len(catalog.get_table_versions("db", "t")) == 1
    assert catalog.extras("db", "t", "index") == {}


def test_a_deleted_database_takes_its_tables_along(catalog: Catalog) -> None:
    catalog.create_table("db", table())
    catalog.delete_database("Db")
    catalog.create_database({"Name": "db"})
    assert catalog.get_tables("db") == []


def test_a_change_is_whole_or_not_at_all(catalog: Catalog) -> None:
    def half() -> None:
        with catalog.change():
            catalog.create_table("db", table())
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert catalog.get_tables("db") == []


def test_databases_are_not_renamed(catalog: Catalog) -> None:
    catalog.update_database("DB", {"Name": "Db", "Description": "new"})
    assert catalog.get_database("db")["Description"] == "new"
    with refused("InvalidInputException", "renamed"):
        catalog.update_database("db", {"Name": "other"})


def test_many_threads_and_two_openings(catalog: Catalog, tmp_path: Path) -> None:
    other = Catalog(tmp_path / "catalog.sqlite")
    catalog.create_table("db", table())

    def add(number: int) -> None:
        chosen = catalog if number % 2 else other
        chosen.create_partitions("db", "t", [{"Values": ["2024", str(number)]}])
        chosen.update_table("db", table())

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert len(other.get_partitions("db", "t")) == 40
    assert catalog.get_table("db", "t")["VersionId"] == "40"
    other.close()
