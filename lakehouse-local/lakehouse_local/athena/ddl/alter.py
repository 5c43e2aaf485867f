"""ALTER TABLE: columns, properties, location. Its statements on partitions are in partitions.py.

Source: https://docs.aws.amazon.com/athena/latest/ug/alter-table-add-columns.html and its neighbours
"""

from __future__ import annotations

from collections.abc import Callable

from lakehouse_local.athena.binding import Binding
from lakehouse_local.athena.ddl import partitions
from lakehouse_local.athena.ddl.syntax import (
    Columns,
    Command,
    Name,
    Table,
    column_list,
    ddl,
    execution_error,
    found,
    hive_type,
    iceberg_only,
    require_distinct,
    require_table,
    s3_location,
    table_name,
    update,
)
from lakehouse_local.athena.ddl.tokens import Reader


def alter(reader: Reader) -> Command:
    name = table_name(reader)
    for words, parser in _CHANGES:
        if reader.take(*words):
            return parser(reader, name)
    raise reader.unexpected("ADD, DROP, REPLACE, CHANGE, RENAME or SET")


def _columns(subtype: str, name: Name, changed: Callable[[Table], Columns]) -> Command:
    def run(binding: Binding) -> None:
        table = found(binding, name)
        require_table(table)
        columns = changed(table)
        require_distinct(columns, table.get("PartitionKeys", []))
        update(binding, table, StorageDescriptor={**table["StorageDescriptor"], "Columns": columns})

    return ddl(subtype, run)


def _add_columns(reader: Reader, name: Name) -> Command:
    added = column_list(reader)
    reader.end()
    return _columns("ALTER_TABLE_ADD_COLUMNS", name, lambda table: [*table["StorageDescriptor"]["Columns"], *added])


def _replace_columns(reader: Reader, name: Name) -> Command:
    columns = column_list(reader)
    reader.end()
    return _columns("ALTER_TABLE_REPLACE_COLUMNS", name, lambda table: columns)


def _change_column(reader: Reader, name: Name) -> Command:
    reader.take("COLUMN")
    before, after = reader.identifier(), {"Name": reader.identifier(), "Type": hive_type(reader)}
    if reader.take("COMMENT"):
        after["Comment"] = reader.string()
    reader.end()

    def changed(table: Table) -> Columns:
        columns: Columns = table["StorageDescriptor"]["Columns"]
        if before not in [each["Name"] for each in columns]:
            raise execution_error(f"Invalid column reference {before}")
        return [after if each["Name"] == before else each for each in columns]

    return _columns("ALTER_TABLE_CHANGE_COLUMN", name, changed)


def _set_properties(reader: Reader, name: Name) -> Command:
    properties = reader.string_map()
    reader.end()

    def run(binding: Binding) -> None:
        table = found(binding, name)
        update(binding, table, Parameters={**table.get("Parameters", {}), **properties})

    return ddl("ALTER_TABLE_SET_TBLPROPERTIES", run)


def _set_location(reader: Reader, name: Name) -> Command:
    location = s3_location(reader)
    reader.end()

    def run(binding: Binding) -> None:
        table = found(binding, name)
        require_table(table)
        update(binding, table, StorageDescriptor={**table["StorageDescriptor"], "Location": location})

    return ddl("ALTER_TABLE_SET_LOCATION", run)


def _rename(reader: Reader, name: Name) -> Command:
    reader.need("TO")
    table_name(reader)
    reader.end()
    return _refused("ALTER_TABLE_RENAME", name, "ALTER TABLE ... RENAME TO")


def _drop_column(reader: Reader, name: Name) -> Command:
    reader.identifier()
    reader.end()
    return _refused("ALTER_TABLE_DROP_COLUMN", name, "ALTER TABLE ... DROP COLUMN")


def _refused(subtype: str, name: Name, label: str) -> Command:
    def run(binding: Binding) -> None:
        found(binding, name)
        raise iceberg_only(label)

    return ddl(subtype, run)


_CHANGES: tuple[tuple[tuple[str, ...], Callable[[Reader, Name], Command]], ...] = (
    (("ADD", "COLUMNS"), _add_columns),
    (("REPLACE", "COLUMNS"), _replace_columns),
    (("CHANGE",), _change_column),
    (("SET", "TBLPROPERTIES"), _set_properties),
    (("SET", "LOCATION"), _set_location),
    (("RENAME",), _rename),
    (("DROP", "COLUMN"), _drop_column),
    (("DROP",), partitions.drop),
    (("ADD",), partitions.add),
    (("PARTITION",), partitions.change),
)
