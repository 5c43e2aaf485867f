"""ALTER TABLE ADD, DROP and RENAME PARTITION, ALTER TABLE ... PARTITION ... SET LOCATION, MSCK REPAIR TABLE.

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
    spec_values,
    table_name,
)
from lakehouse_local.athena.ddl.tokens import Reader
from lakehouse_local.athena.results.outcome import Outcome, lines
from lakehouse_local.athena.writing import partition_folder
from lakehouse_local.http.wire import AwsError


def add(reader: Reader, name: Name) -> Command:
    if_not_exists = reader.take("IF", "NOT", "EXISTS")
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
            values = spec_values(table, spec)
            storage = {**table["StorageDescriptor"], "Location": location or _folder(table, values)}
            inputs.append({"Values": values, "StorageDescriptor": storage})
        with binding.catalog.change():  # all of them or none
            errors = binding.catalog.create_partitions(table["DatabaseName"], table["Name"], inputs)
            if errors and not if_not_exists:
                existing = errors[0]["PartitionValues"]
                raise execution_error(f"AlreadyExistsException(message:Partition already exists: {existing})")

    return ddl("ALTER_TABLE_ADD_PARTITION", run)


def drop(reader: Reader, name: Name) -> Command:
    if_exists = reader.take("IF", "EXISTS")
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
        existing = [each["Values"] for each in binding.catalog.get_partitions(table["DatabaseName"], table["Name"])]
        dropped: list[list[str]] = []
        for spec in specs:
            check_spec(table, spec, whole=False)
            matching = [
                values for values in existing if all(values[keys.index(key)] == value for key, value in spec.items())
            ]
            if not matching and not if_exists:
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
        after, subtype = partition_spec(reader), "ALTER_TABLE_RENAME_PARTITION"
    else:
        reader.need("SET", "LOCATION")
        location, subtype = s3_location(reader), "ALTER_TABLE_SET_LOCATION"
    reader.end()

    def run(binding: Binding) -> None:
        table = found(binding, name)
        require_table(table)
        before = spec_values(table, spec)
        try:
            partition = binding.catalog.get_partition(table["DatabaseName"], table["Name"], before)
        except AwsError:
            raise semantic(10006, f"Partition not found {spec}") from None
        storage = partition["StorageDescriptor"]
        changed = {
            "Values": before if after is None else spec_values(table, after),
            "StorageDescriptor": {**storage, "Location": location or storage["Location"]},
        }
        try:
            binding.catalog.update_partition(table["DatabaseName"], table["Name"], before, changed)
        except AwsError as error:
            raise execution_error(f"{error.code}(message:{error.message})") from None

    return ddl(subtype, run)


def repair(reader: Reader) -> Command:
    """MSCK REPAIR TABLE: add the partitions whose key=value folders hold objects."""
    name = table_name(reader)
    reader.end()

    def run(binding: Binding) -> Outcome:
        table = found(binding, name)
        require_table(table)
        new = _unknown_partitions(binding, table)
        inputs = [
            {"Values": list(values), "StorageDescriptor": {**table["StorageDescriptor"], "Location": location}}
            for values, location in new.items()
        ]
        binding.catalog.create_partitions(table["DatabaseName"], table["Name"], inputs)
        shown = [f"{table['Name']}:{partition_name(table, values)}" for values in new]
        missing = ["Partitions not in metastore:\t" + "\t".join(shown)] if shown else []
        return lines([*missing, *(f"Repair: Added partition to metastore {each}" for each in shown)])

    return Command("DDL", "MSCK_REPAIR_TABLE", run)


def _unknown_partitions(binding: Binding, table: Table) -> dict[tuple[str, ...], str]:
    keys = [each["Name"] for each in table.get("PartitionKeys", [])]
    root = table["StorageDescriptor"]["Location"].rstrip("/") + "/"
    existing = {tuple(each["Values"]) for each in binding.catalog.get_partitions(table["DatabaseName"], table["Name"])}
    new: dict[tuple[str, ...], str] = {}
    for uri in binding.uris(root) if keys else []:
        folders = uri.removeprefix(root).split("/")[:-1][: len(keys)]
        pairs = [folder.partition("=") for folder in folders]
        if [key.lower() for key, _, _ in pairs] != keys:
            continue
        values = tuple(unquote(value) for _, _, value in pairs)
        if values not in existing:
            new[values] = root + "/".join(folders)
    return new


def partition_name(table: Table, values: list[str] | tuple[str, ...]) -> str:
    """Return a partition's name as SHOW PARTITIONS prints it."""
    return partition_folder([each["Name"] for each in table["PartitionKeys"]], values)


def _folder(table: Table, values: list[str]) -> str:
    return f"{table['StorageDescriptor']['Location'].rstrip('/')}/{partition_name(table, values)}"
