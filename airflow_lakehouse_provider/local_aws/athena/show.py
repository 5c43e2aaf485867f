"""SHOW and DESCRIBE: the catalogue as lines of text, in the forms that Athena gives them."""

from __future__ import annotations

import re
from typing import Any

from airflow_lakehouse_provider.local_aws.athena import formats, views
from airflow_lakehouse_provider.local_aws.athena.binding import Binding
from airflow_lakehouse_provider.local_aws.athena.hive_ddl import existing, semantic
from airflow_lakehouse_provider.local_aws.athena.outcome import Outcome, utility
from airflow_lakehouse_provider.local_aws.athena.sql import Column, SqlError
from airflow_lakehouse_provider.local_aws.athena.tokens import Reader


def _pattern(reader: Reader) -> re.Pattern[str]:
    """[LIKE] 'pattern': Hive's, where * is anything and | separates alternatives."""
    reader.take("LIKE")
    if reader.done:
        return re.compile(".*")
    text = reader.string().strip("'")
    parts = (re.escape(part).replace(r"\*", ".*").replace(r"\.", ".").replace("..*", ".*") for part in text.split("|"))
    return re.compile("|".join(parts), re.IGNORECASE)


def _database(reader: Reader, binding: Binding) -> str:
    name = reader.name()[-1] if reader.take("IN") or reader.take("FROM") else binding.database
    binding.require_database(name)
    return name


def databases(reader: Reader, binding: Binding) -> Outcome:
    wanted = _pattern(reader)
    reader.end()
    names = (each["Name"] for each in binding.catalog.get_databases())
    return utility("SHOW_DATABASES", [name for name in names if wanted.fullmatch(name)], column="database_name")


def tables(reader: Reader, binding: Binding) -> Outcome:
    return _named(reader, binding, "SHOW_TABLES", "tab_name", views_only=False)


def show_views(reader: Reader, binding: Binding) -> Outcome:
    return _named(reader, binding, "SHOW_VIEWS", "views", views_only=True)


def _named(reader: Reader, binding: Binding, subkind: str, column: str, *, views_only: bool) -> Outcome:
    found = binding.catalog.get_tables(_database(reader, binding))
    wanted = _pattern(reader)
    reader.end()
    names = [
        each["Name"]
        for each in found
        if wanted.fullmatch(each["Name"]) and (not views_only or each.get("TableType") == "VIRTUAL_VIEW")
    ]
    return utility(subkind, names, column=column)


def columns(reader: Reader, binding: Binding) -> Outcome:
    reader.take("IN") or reader.need("FROM")
    parts = reader.name()
    name, database = parts[-1], parts[-2] if len(parts) > 1 else binding.database
    if reader.take("IN") or reader.take("FROM"):
        database = reader.identifier()
    reader.end()
    table = binding.table(database, name)
    return utility("SHOW_COLUMNS", [each["Name"] for each in _all_columns(table)], column="field")


def partitions(reader: Reader, binding: Binding) -> Outcome:
    table = existing(reader, binding)
    reader.end()
    keys = [each["Name"] for each in table.get("PartitionKeys", [])]
    if not keys:
        raise semantic(10241, f"Table {table['DatabaseName']}.{table['Name']} is not a partitioned table")
    found = binding.catalog.get_partitions(table["DatabaseName"], table["Name"])
    lines = ["/".join(f"{k}={v}" for k, v in zip(keys, each["Values"], strict=True)) for each in found]
    return utility("SHOW_PARTITIONS", lines, column="partition")


def properties(reader: Reader, binding: Binding) -> Outcome:
    table = existing(reader, binding)
    parameters = {"EXTERNAL": "TRUE", **table.get("Parameters", {})}
    if reader.take("("):
        key = reader.string()
        reader.need(")")
        missing = f"Table {table['DatabaseName']}.{table['Name']} does not have property: {key}"
        parameters = {key: parameters.get(key, missing)}
    reader.end()
    return utility("SHOW_TBLPROPERTIES", [f"{key}\t{value}" for key, value in sorted(parameters.items())])


def create_view(reader: Reader, binding: Binding) -> Outcome:
    table = existing(reader, binding)
    reader.end()
    if table.get("TableType") != "VIRTUAL_VIEW":
        raise SqlError("NOT_SUPPORTED", f"Relation '{table['DatabaseName']}.{table['Name']}' is a table, not a view")
    name = f"{table['DatabaseName']}.{table['Name']}"
    text = f"CREATE VIEW {name} AS\n{views.definition(table)['originalSql']}"
    return utility("SHOW_CREATE_VIEW", text.split("\n"), column="Create View")


def create_table(reader: Reader, binding: Binding) -> Outcome:
    table = existing(reader, binding)
    reader.end()
    if table.get("TableType") == "VIRTUAL_VIEW":
        raise semantic(10132, f"{table['DatabaseName']}.{table['Name']} is a view: use SHOW CREATE VIEW")
    storage = table["StorageDescriptor"]
    lines = [f"CREATE EXTERNAL TABLE `{table['DatabaseName']}.{table['Name']}`(", *_listed(storage["Columns"])]
    if keys := table.get("PartitionKeys"):
        lines += ["PARTITIONED BY ( ", *_listed(keys)]
    serde = storage.get("SerdeInfo", {})
    lines += ["ROW FORMAT SERDE ", f"  '{serde.get('SerializationLibrary', '')}' "]
    if parameters := serde.get("Parameters"):
        lines += ["WITH SERDEPROPERTIES ( ", *_pairs(parameters)]
    lines += ["STORED AS INPUTFORMAT ", f"  '{storage.get('InputFormat', '')}' ", "OUTPUTFORMAT "]
    lines += [f"  '{storage.get('OutputFormat', '')}'", "LOCATION", f"  '{storage.get('Location', '')}'"]
    shown = {key: value for key, value in table.get("Parameters", {}).items() if key != "EXTERNAL"}
    if shown:
        lines += ["TBLPROPERTIES (", *_pairs(shown)]
    return utility("SHOW_CREATE_TABLE", lines, column="createtab_stmt")


def _listed(columns: list[dict[str, str]]) -> list[str]:
    shown = [
        f"  `{each['Name']}` {each['Type']}" + (f" COMMENT {formats.literal(each['Comment'])}" if each.get("Comment") else "")
        for each in columns
    ]
    return [f"{line}, " for line in shown[:-1]] + [f"{shown[-1]})"]


def _pairs(values: dict[str, str]) -> list[str]:
    shown = [f"  {formats.literal(key)}={formats.literal(str(value))}" for key, value in sorted(values.items())]
    return [f"{line}, " for line in shown[:-1]] + [f"{shown[-1]}) "]


def describe(reader: Reader, binding: Binding) -> Outcome:
    extended = reader.take("EXTENDED") or reader.take("FORMATTED")
    table = existing(reader, binding)
    reader.end()
    lines = [_line(each) for each in _all_columns(table)]
    if keys := table.get("PartitionKeys"):
        lines += ["\t \t ", "# Partition Information\t \t ", "# col_name            \tdata_type           \tcomment             "]
        lines += ["\t \t ", *(_line(each) for each in keys)]
    if extended:
        storage = table.get("StorageDescriptor", {})
        details = {
            "Database:": table["DatabaseName"],
            "Table Type:": table.get("TableType", ""),
            "Location:": storage.get("Location", ""),
            "SerDe Library:": storage.get("SerdeInfo", {}).get("SerializationLibrary", ""),
            "InputFormat:": storage.get("InputFormat", ""),
            "OutputFormat:": storage.get("OutputFormat", ""),
        }
        lines += ["\t \t ", "# Detailed Table Information\t \t ", *(_line_of(*pair) for pair in details.items())]
    return Outcome(
        "UTILITY", "DESCRIBE_TABLE",
        (Column("col_name", "varchar"), Column("data_type", "varchar"), Column("comment", "varchar")),
        [[[*line.split("\t"), "", ""][:3] for line in lines]],
    )  # fmt: skip


def _line(column: dict[str, str]) -> str:
    return _line_of(column["Name"], column["Type"], column.get("Comment", ""))


def _line_of(*parts: str) -> str:
    return "\t".join(f"{part:<20}" for part in (*parts, "")[:3])


def _all_columns(table: dict[str, Any]) -> list[dict[str, str]]:
    return [*table.get("StorageDescriptor", {}).get("Columns", []), *table.get("PartitionKeys", [])]
