"""CREATE EXTERNAL TABLE, DROP TABLE, DROP VIEW.

Source: https://docs.aws.amazon.com/athena/latest/ug/create-table.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lakehouse_local.athena.binding import Binding
from lakehouse_local.athena.ddl.syntax import (
    Columns,
    Command,
    column_list,
    ddl,
    execution_error,
    iceberg_only,
    require_distinct,
    s3_location,
    semantic,
    table_name,
)
from lakehouse_local.athena.ddl.tokens import Reader
from lakehouse_local.athena.files import formats
from lakehouse_local.athena.sql import SqlError
from lakehouse_local.http.wire import AwsError

_DELIMITERS = {
    "FIELDS": "field.delim", "COLLECTION": "collection.delim", "MAP": "mapkey.delim", "LINES": "line.delim",
}  # fmt: skip


@dataclass
class _Clauses:
    """The clauses that may follow the columns, in any order."""

    keys: Columns = field(default_factory=list)
    comment: str | None = None
    serde: str | None = None
    serde_parameters: dict[str, str] = field(default_factory=dict)
    stored_as: str | None = None
    input_output: tuple[str, str] | None = None
    location: str | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    buckets: list[str] = field(default_factory=list)
    bucket_count: int = -1


def create(reader: Reader) -> Command:
    """Read CREATE [EXTERNAL] TABLE; in Athena a table that is not EXTERNAL is an Iceberg table."""
    external = reader.take("EXTERNAL")
    reader.need("TABLE")
    if_not_exists = reader.take("IF", "NOT", "EXISTS")
    database, name = table_name(reader)
    columns = column_list(reader)
    clauses = _clauses(reader)

    def run(binding: Binding) -> None:
        if not external:
            if clauses.parameters.get("table_type", "").upper() == "ICEBERG":
                raise iceberg_only("CREATE TABLE without EXTERNAL")
            raise semantic(10000, "CREATE TABLE needs EXTERNAL, or TBLPROPERTIES ('table_type' = 'ICEBERG')")
        if not clauses.location:
            raise semantic(10000, "an external table needs LOCATION 's3://bucket/folder/'")
        require_distinct(columns, clauses.keys)
        into = database or binding.database
        try:
            binding.catalog.create_table(into, _table_input(name, columns, clauses, clauses.location))
        except AwsError as error:
            if error.code != "AlreadyExistsException":
                raise semantic(10072, f"Database does not exist: {into}") from None
            if not if_not_exists:
                raise execution_error(f"AlreadyExistsException(message:Table {name} already exists)") from None

    return ddl("CREATE_TABLE", run)


def _clauses(reader: Reader) -> _Clauses:
    clauses = _Clauses()
    while not reader.done:
        if reader.take("COMMENT"):
            clauses.comment = reader.string()
        elif reader.take("PARTITIONED", "BY"):
            clauses.keys = column_list(reader)
        elif reader.take("CLUSTERED", "BY"):
            reader.need("(")
            clauses.buckets = [part.strip(" `\n\t").lower() for part in reader.until_closing().split(",")]
            reader.need("INTO")
            clauses.bucket_count = reader.number()
            reader.need("BUCKETS")
        elif reader.take("ROW", "FORMAT", "SERDE"):
            clauses.serde = reader.string()
        elif reader.take("WITH", "SERDEPROPERTIES"):
            clauses.serde_parameters |= reader.string_map()
        elif reader.take("ROW", "FORMAT", "DELIMITED"):
            clauses.serde_parameters |= _delimited(reader)
        elif reader.take("STORED", "AS", "INPUTFORMAT"):
            into = reader.string()
            reader.need("OUTPUTFORMAT")
            clauses.input_output = (into, reader.string())
        elif reader.take("STORED", "AS"):
            clauses.stored_as = reader.pop().value.upper()
        elif reader.take("LOCATION"):
            clauses.location = s3_location(reader)
        elif reader.take("TBLPROPERTIES"):
            clauses.parameters |= reader.string_map()
        else:
            raise reader.unexpected("a clause of CREATE TABLE")
    return clauses


def _delimited(reader: Reader) -> dict[str, str]:
    parameters: dict[str, str] = {}
    while word := reader.take_any(*_DELIMITERS, "ESCAPED", "NULL"):
        if word == "NULL":
            reader.need("DEFINED", "AS")
            parameters["serialization.null.format"] = reader.string()
        elif word == "ESCAPED":
            reader.need("BY")
            parameters["escape.delim"] = reader.string()
        else:
            reader.take_any("ITEMS", "KEYS")
            reader.need("TERMINATED", "BY")
            parameters[_DELIMITERS[word]] = reader.string()
            if word == "FIELDS":
                parameters["serialization.format"] = parameters["field.delim"]
    return parameters


def _table_input(name: str, columns: Columns, clauses: _Clauses, location: str) -> dict[str, Any]:
    if clauses.serde is not None:
        format = formats.of_serde(clauses.serde, "the table")
    elif clauses.stored_as is not None and clauses.stored_as not in formats.BY_NAME:
        known = ", ".join(formats.BY_NAME)
        raise SqlError("FAILED", f"SemanticException: STORED AS '{clauses.stored_as}' is not one of {known}")
    else:
        format = formats.supported(formats.BY_NAME[clauses.stored_as or "TEXTFILE"])
    storage = formats.storage(format, columns, location, **clauses.serde_parameters)
    if clauses.input_output is not None:
        storage["InputFormat"], storage["OutputFormat"] = clauses.input_output
    if clauses.buckets:
        storage |= {"BucketColumns": clauses.buckets, "NumberOfBuckets": clauses.bucket_count}
    table = {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": clauses.keys,
        "StorageDescriptor": storage,
        "Parameters": {"EXTERNAL": "TRUE", **clauses.parameters},
    }
    return table if clauses.comment is None else {**table, "Description": clauses.comment}


def drop_table(reader: Reader) -> Command:
    return _drop(reader, view=False)


def drop_view(reader: Reader) -> Command:
    return _drop(reader, view=True)


def _drop(reader: Reader, *, view: bool) -> Command:
    if_exists = reader.take("IF", "EXISTS")
    database, name = table_name(reader, trino=view and '"' in reader.text)
    reader.end()
    own, other = ("VIEW", "TABLE") if view else ("TABLE", "VIEW")

    def run(binding: Binding) -> None:
        owner = database or binding.database
        try:
            table = binding.catalog.get_table(owner, name)
        except AwsError:
            if not if_exists:
                raise semantic(10001, f"Table not found {owner}.{name}") from None
            return
        if (table.get("TableType") == "VIRTUAL_VIEW") != view:
            raise semantic(10131, f"{owner}.{name} is a {other.lower()}: use DROP {other}")
        binding.catalog.delete_table(owner, name)

    return ddl(f"DROP_{own}", run)
