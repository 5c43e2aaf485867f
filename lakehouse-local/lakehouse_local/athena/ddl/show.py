"""SHOW and DESCRIBE: the Data Catalog as lines of text, in Athena's forms.

Source: https://docs.aws.amazon.com/athena/latest/ug/show-create-table.html and its neighbours
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from lakehouse_local.athena import views
from lakehouse_local.athena.binding import Binding
from lakehouse_local.athena.ddl.partitions import partition_name
from lakehouse_local.athena.ddl.syntax import Columns, Command, Table, found, partition_spec, semantic, table_name
from lakehouse_local.athena.ddl.tokens import Reader
from lakehouse_local.athena.files import formats
from lakehouse_local.athena.results.outcome import Outcome, lines
from lakehouse_local.athena.sql import SqlError

_WIDTH = 20  # characters to which Hive pads a cell


def _utility(subtype: str, columns: tuple[str, ...], texts: Callable[[Binding], Iterable[str]]) -> Command:
    return Command("UTILITY", subtype, lambda binding: lines(texts(binding), *columns))


def _pattern(reader: Reader) -> re.Pattern[str]:
    """Read [LIKE] 'pattern': a regular expression in which a lone * matches anything and | separates alternatives."""
    reader.take("LIKE")
    text = "*" if reader.done else reader.string()
    return re.compile("|".join(re.sub(r"(?<![.\])])\*", ".*", part) for part in text.split("|")), re.IGNORECASE)


def _database(reader: Reader) -> str | None:
    return reader.identifier() if reader.take_any("IN", "FROM") else None


def databases(reader: Reader) -> Command:
    wanted = _pattern(reader)
    reader.end()

    def texts(binding: Binding) -> Iterable[str]:
        return (each["Name"] for each in binding.catalog.get_databases() if wanted.fullmatch(each["Name"]))

    return _utility("SHOW_DATABASES", ("database_name",), texts)


def tables(reader: Reader) -> Command:
    return _named(reader, "SHOW_TABLES", "tab_name", lambda table: True)


def show_views(reader: Reader) -> Command:
    return _named(reader, "SHOW_VIEWS", "views", lambda table: table.get("TableType") == "VIRTUAL_VIEW")


def _named(reader: Reader, subtype: str, column: str, shown: Callable[[Table], bool]) -> Command:
    database = _database(reader)
    wanted = _pattern(reader)
    reader.end()

    def texts(binding: Binding) -> Iterable[str]:
        owner = binding.require_database(database or binding.database)["Name"]
        return [
            each["Name"] for each in binding.catalog.get_tables(owner) if shown(each) and wanted.fullmatch(each["Name"])
        ]

    return _utility(subtype, (column,), texts)


def columns(reader: Reader) -> Command:
    if not reader.take("IN"):
        reader.need("FROM")
    database, name = table_name(reader, trino='"' in reader.text)
    database = _database(reader) or database
    reader.end()

    def texts(binding: Binding) -> Iterable[str]:
        table = found(binding, (database, name))
        return [f"{each['Name']:<{_WIDTH}}" for each in _all_columns(table)]

    return _utility("SHOW_COLUMNS", ("field",), texts)


def partitions(reader: Reader) -> Command:
    name = table_name(reader)
    reader.end()

    def texts(binding: Binding) -> Iterable[str]:
        table = found(binding, name)
        if not table.get("PartitionKeys"):
            raise semantic(10241, f"Table {table['DatabaseName']}.{table['Name']} is not a partitioned table")
        found_partitions = binding.catalog.get_partitions(table["DatabaseName"], table["Name"])
        return [partition_name(table, each["Values"]) for each in found_partitions]

    return _utility("SHOW_PARTITIONS", ("partition",), texts)


def properties(reader: Reader) -> Command:
    name = table_name(reader)
    key: str | None = None
    if reader.take("("):
        key = reader.string()
        reader.need(")")
    reader.end()

    def texts(binding: Binding) -> Iterable[str]:
        table = found(binding, name)
        parameters = table.get("Parameters", {})
        if key is None:
            return [f"{each}\t{value}" for each, value in sorted(parameters.items())]
        missing = f"Table {table['DatabaseName']}.{table['Name']} does not have property: {key}"
        return [f"{key}\t{parameters.get(key, missing)}"]

    return _utility("SHOW_TBLPROPERTIES", ("prpt_name", "prpt_value"), texts)


def create_view(reader: Reader) -> Command:
    name = table_name(reader, trino='"' in reader.text)
    reader.end()

    def texts(binding: Binding) -> Iterable[str]:
        view = found(binding, name)
        label = f"{view['DatabaseName']}.{view['Name']}"
        if view.get("TableType") != "VIRTUAL_VIEW":
            raise SqlError("NOT_SUPPORTED", f"Relation '{label}' is a table, not a view: use SHOW CREATE TABLE")
        return f"CREATE VIEW {label} AS\n{views.definition(view)['originalSql']}".split("\n")

    return _utility("SHOW_CREATE_VIEW", ("Create View",), texts)


def create_table(reader: Reader) -> Command:
    name = table_name(reader)
    reader.end()

    def texts(binding: Binding) -> Iterable[str]:
        table = found(binding, name)
        if table.get("TableType") == "VIRTUAL_VIEW":
            label = f"{table['DatabaseName']}.{table['Name']}"
            raise semantic(10132, f"{label} is a view: use SHOW CREATE VIEW")
        return _create_table(table)

    return _utility("SHOW_CREATE_TABLE", ("createtab_stmt",), texts)


def _create_table(table: Table) -> list[str]:
    storage = table["StorageDescriptor"]
    text = [f"CREATE EXTERNAL TABLE `{table['DatabaseName']}.{table['Name']}`(", *_listed(storage["Columns"])]
    if comment := table.get("Description"):
        text += ["COMMENT ", f"  {formats.literal(comment)}"]
    if keys := table.get("PartitionKeys"):
        text += ["PARTITIONED BY ( ", *_listed(keys)]
    if buckets := storage.get("BucketColumns"):
        text += ["CLUSTERED BY ( ", f"  {', '.join(buckets)}) ", f"INTO {storage['NumberOfBuckets']} BUCKETS"]
    serde = storage.get("SerdeInfo", {})
    text += ["ROW FORMAT SERDE ", f"  '{serde.get('SerializationLibrary', '')}' "]
    if parameters := serde.get("Parameters"):
        text += ["WITH SERDEPROPERTIES ( ", *_pairs(parameters)]
    text += ["STORED AS INPUTFORMAT ", f"  '{storage.get('InputFormat', '')}' "]
    text += ["OUTPUTFORMAT ", f"  '{storage.get('OutputFormat', '')}'"]
    text += ["LOCATION", f"  '{storage.get('Location', '')}'"]
    if shown := {key: value for key, value in table.get("Parameters", {}).items() if key != "EXTERNAL"}:
        text += ["TBLPROPERTIES (", *_pairs(shown)]
    return text


def _listed(columns: Columns) -> list[str]:
    shown = [f"  `{each['Name']}` {each['Type']}" + _comment(each) for each in columns]
    return [f"{line}, " for line in shown[:-1]] + [f"{line})" for line in shown[-1:]]


def _comment(column: dict[str, str]) -> str:
    return f" COMMENT {formats.literal(column['Comment'])}" if column.get("Comment") else ""


def _pairs(parameters: dict[str, str]) -> list[str]:
    shown = [f"  {formats.literal(key)}={_java(str(value))}" for key, value in sorted(parameters.items())]
    return [f"{line}, " for line in shown[:-1]] + [f"{line}) " for line in shown[-1:]]


def _java(value: str) -> str:
    """Return a value with its unprintable characters escaped, as Hive prints a delimiter."""
    return formats.literal("".join(each if each.isprintable() else f"\\u{ord(each):04X}" for each in value))


def describe(reader: Reader) -> Command:
    """DESCRIBE [EXTENDED | FORMATTED] table [PARTITION (...)] [column]"""
    extended = reader.take_any("EXTENDED", "FORMATTED") is not None
    name = table_name(reader, trino='"' in reader.text)
    if reader.take("PARTITION"):
        partition_spec(reader)
    column = None if reader.done else reader.identifier()
    reader.end()

    def run(binding: Binding) -> Outcome:
        table = found(binding, name)
        if column is not None:
            shown = [each for each in _all_columns(table) if each["Name"] == column]
            if not shown:
                raise semantic(10002, f"Invalid column reference {column}")
            return lines((_line(each) for each in shown), "col_name", "data_type", "comment")
        return lines(_description(table, extended), "col_name", "data_type", "comment")

    return Command("UTILITY", "DESCRIBE_TABLE", run)


def _description(table: Table, extended: bool) -> list[str]:
    text = [_line(each) for each in _all_columns(table)]
    blank = _cells("", "", "")
    if keys := table.get("PartitionKeys"):
        text += [blank, _cells("# Partition Information", "", ""), _cells("# col_name", "data_type", "comment"), blank]
        text += [_line(each) for each in keys]
    if extended:
        storage = table.get("StorageDescriptor", {})
        text += [blank, _cells("# Detailed Table Information", "", "")]
        text += [
            _cells(f"{label}:", str(value or ""), "")
            for label, value in (
                ("Database", table["DatabaseName"]),
                ("Table Type", table.get("TableType")),
                ("Location", storage.get("Location")),
                ("SerDe Library", storage.get("SerdeInfo", {}).get("SerializationLibrary")),
                ("InputFormat", storage.get("InputFormat")),
                ("OutputFormat", storage.get("OutputFormat")),
            )
        ]
    return text


def _line(column: dict[str, str]) -> str:
    return _cells(column["Name"], column["Type"], column.get("Comment", ""))


def _cells(*cells: str) -> str:
    return "\t".join(f"{cell:<{_WIDTH}}" for cell in cells)


def _all_columns(table: Table) -> Columns:
    return [*table.get("StorageDescriptor", {}).get("Columns", []), *table.get("PartitionKeys", [])]
