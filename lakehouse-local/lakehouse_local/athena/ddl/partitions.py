"""Partitions by statement: ALTER TABLE ADD, DROP, RENAME PARTITION and PARTITION ... SET LOCATION, MSCK REPAIR TABLE.

Source: https://docs.aws.amazon.com/athena/latest/ug/alter-table-add-partition.html,
https://docs.aws.amazon.com/athena/latest/ug/msck-repair-table.html
"""

from __future__ import annotations

from urllib.parse import unquote

from lakehouse_local.athena.binding import Binding
from lakehouse_local.athena.ddl.syntax import (
    Command,
    Name,
    Table,
    check_spec,
    ddl,
    execution_error,
    found,
    partition_spec,
    require_table,
    s3_location,
    semantic,
    table_name,
    values,
)
from lakehouse_local.athena.results.outcome import Outcome, lines
from lakehouse_local.athena.ddl.tokens import Reader
from lakehouse_local.athena.writing import partition_folder
from lakehouse_local.http.wire import AwsError


def add(reader: Reader, name: Name) -> Command:
    absent = reader.take("IF", "NOT", "EXISTS")
    wanted: list[tuple[dict[str, str], str | None]] = []
    reader.need("PARTITION")
    while True:
        spec = partition_spec(reader)
        wanted.append((spec, s3_location(reader) if reader.take("LOCATION") else None))
        if not reader.take("PARTITION"):
            break
    reader.end()

    def run(binding: Binding) -> None:
        table = found(binding, name)
        require_table(table)
        inputs = []
        for spec, location in wanted:
            of = values(table, spec)
            storage = {**table["StorageDescriptor"], "Location": location or _folder(table, of)}
            inputs.append({"Values": of, "StorageDescriptor": storage})
        with binding.catalog.change():  # all of them or none
            errors = binding.catalog.create_partitions(table["DatabaseName"], table["Name"], inputs)
            if errors and not absent:
                there = errors[0]["PartitionValues"]
                raise execution_error(f"AlreadyExistsException(message:Partition already exists: {there})")

    return ddl("ALTER_TABLE_ADD_PARTITION", run)


def drop(reader: Reader, name: Name) -> Command:
    absent = reader.take("IF", "EXISTS")
    specs = []
    reader.need("PARTITION")
    while True:
        specs.append(partition_spec(reader))
        if not reader.take(","):
            break
        reader.need("PARTITION")
    reader.end()

    def run(binding: Binding) -> None:
        table = found(binding, name)
        require_table(table)
        keys = [each["Name"] for each in table.get("PartitionKeys", [])]
        there = [each["Values"] for each in binding.catalog.get_partitions(table["DatabaseName"], table["Name"])]
        dropped: list[list[str]] = []
        for spec in specs:
            check_spec(table, spec, whole=False)
            matching = [of for of in there if all(of[keys.index(key)] == value for key, value in spec.items())]
            if not matching and not absent:
                raise semantic(10006, f"Partition not found {spec}")
            dropped += matching
        binding.catalog.delete_partitions(table["DatabaseName"], table["Name"], dropped)

    return ddl("ALTER_TABLE_DROP_PARTITION", run)


def change(reader: Reader, name: Name) -> Command:
    """PARTITION (...) SET LOCATION '...' and PARTITION (...) RENAME TO PARTITION (...)"""
    spec = partition_spec(reader)
    after: dict[str, str] | None = None
    location: str | None = None
    if reader.take("RENAME", "TO", "PARTITION"):
        after, subkind = partition_spec(reader), "ALTER_TABLE_RENAME_PARTITION"
    else:
        reader.need("SET", "LOCATION")
        location, subkind = s3_location(reader), "ALTER_TABLE_SET_LOCATION"
    reader.end()

    def run(binding: Binding) -> None:
        table = found(binding, name)
        require_table(table)
        before = values(table, spec)
        try:
            partition = binding.catalog.get_partition(table["DatabaseName"], table["Name"], before)
        except AwsError:
            raise semantic(10006, f"Partition not found {spec}") from None
        storage = partition["StorageDescriptor"]
        changed = {
            "Values": before if after is None else values(table, after),
            "StorageDescriptor": {**storage, "Location": location or storage["Location"]},
        }
        try:
            binding.catalog.update_partition(table["DatabaseName"], table["Name"], before, changed)
        except AwsError as error:
            raise execution_error(f"{error.code}(message:{error.message})") from None

    return ddl(subkind, run)


def repair(reader: Reader) -> Command:
    """MSCK REPAIR TABLE: add the partitions whose key=value folders hold objects."""
    name = table_name(reader)
    reader.end()

    def run(binding: Binding) -> Outcome:
        table = found(binding, name)
        require_table(table)
        new = _unknown_partitions(binding, table)
        inputs = [
            {"Values": list(of), "StorageDescriptor": {**table["StorageDescriptor"], "Location": location}}
            for of, location in new.items()
        ]
        binding.catalog.create_partitions(table["DatabaseName"], table["Name"], inputs)
        shown = [f"{table['Name']}:{partition_name(table, of)}" for of in new]
        missing = ["Partitions not in metastore:\t" + "\t".join(shown)] if shown else []
        return lines([*missing, *(f"Repair: Added partition to metastore {each}" for each in shown)])

    return Command("DDL", "MSCK_REPAIR_TABLE", run)


def _unknown_partitions(binding: Binding, table: Table) -> dict[tuple[str, ...], str]:
    keys = [each["Name"] for each in table.get("PartitionKeys", [])]
    root = table["StorageDescriptor"]["Location"].rstrip("/") + "/"
    there = {tuple(each["Values"]) for each in binding.catalog.get_partitions(table["DatabaseName"], table["Name"])}
    new: dict[tuple[str, ...], str] = {}
    for uri in binding.uris(root) if keys else []:
        folders = uri.removeprefix(root).split("/")[:-1][: len(keys)]
        pairs = [folder.partition("=") for folder in folders]
        if [key.lower() for key, _, _ in pairs] != keys:
            continue
        of = tuple(unquote(value) for _, _, value in pairs)
        if of not in there:
            new[of] = root + "/".join(folders)
    return new


def partition_name(table: Table, of: list[str] | tuple[str, ...]) -> str:
    """A partition as SHOW PARTITIONS names it."""
    return partition_folder([each["Name"] for each in table["PartitionKeys"]], of)


def _folder(table: Table, of: list[str]) -> str:
    return f"{table['StorageDescriptor']['Location'].rstrip('/')}/{partition_name(table, of)}"
