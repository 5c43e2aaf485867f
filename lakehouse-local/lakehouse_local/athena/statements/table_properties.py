"""The properties of CREATE TABLE AS and UNLOAD: read, checked, and made into a target for writing.

Source: https://docs.aws.amazon.com/athena/latest/ug/create-table-as.html,
https://docs.aws.amazon.com/athena/latest/ug/unload.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from lakehouse_local.athena.ddl.tokens import Reader, tokens
from lakehouse_local.athena.files import formats
from lakehouse_local.athena.sql import Column, SqlError
from lakehouse_local.athena.sql.compile.tree import name_of, shown
from lakehouse_local.athena.statements.statement import StatementContext
from lakehouse_local.athena.writing import Target

Properties = dict[str, Any]

# The properties that Athena documents for Hive tables -> the type of their value
_TABLE = {
    "table_type": str, "is_external": bool, "external_location": str, "format": str, "partitioned_by": list,
    "bucketed_by": list, "bucket_count": int, "field_delimiter": str, "write_compression": str,
    "parquet_compression": str, "orc_compression": str,
}  # fmt: skip
_UNLOAD = {
    "format": str, "compression": str, "compression_level": int, "field_delimiter": str, "partitioned_by": list,
}  # fmt: skip
_ENFORCED = (
    "The Create Table As Select query failed because it was submitted with an 'external_location' property to an "
    "Athena Workgroup that enforces a centralized output location for all queries. Please remove the "
    "'external_location' property and resubmit the query."
)


def refused(message: str) -> SqlError:
    """Return the error INVALID_TABLE_PROPERTY."""
    return SqlError("INVALID_TABLE_PROPERTY", message)


def of_table(tree: Any) -> Properties:
    """Return the properties of a CREATE TABLE AS.

    :raises SqlError: for those that Hive tables do not have
    """
    node = tree.properties()
    pairs = (
        (name_of(each.identifier()), shown(each.propertyValue()))
        for each in (node.propertyAssignments().property_() if node else ())
    )
    found = _read(pairs)
    table_type = str(found.get("table_type", "HIVE")).upper()
    if table_type == "ICEBERG":
        raise SqlError(
            "NOT_SUPPORTED", "Iceberg tables are not supported by the local AWS yet: use table_type = 'HIVE'"
        )
    if table_type != "HIVE":
        raise refused(f"table_type must be 'HIVE' or 'ICEBERG', not '{found['table_type']}'")
    return _checked(found, _TABLE, "table property")


def of_unload(reader: Reader) -> Properties:
    """Read WITH (...) of an UNLOAD, whose opening bracket has been read."""
    pairs = []
    while True:
        name = reader.pop().value
        reader.need("=")
        value = [reader.pop().text]
        if value[0].upper() == "ARRAY":
            while value[-1] != "]":
                value.append(reader.pop().text)
        pairs.append((name, "".join(value)))
        if not reader.take(","):
            break
    reader.need(")")
    found = _checked(_read(pairs), _UNLOAD, "UNLOAD property")
    if "format" not in found:
        raise refused("UNLOAD needs WITH (format = '...'): " + ", ".join(each.name for each in formats.SUPPORTED))
    if "compression" in found:
        found["write_compression"] = found.pop("compression")
    return found


def _read(pairs: Iterable[tuple[str, str]]) -> Properties:
    found: Properties = {}
    for name, written in pairs:
        if name.lower() in found:
            raise SqlError("DUPLICATE_PROPERTY", f"Table property '{name.lower()}' specified more than once")
        found[name.lower()] = _value(written)
    return found


def _value(written: str) -> Any:
    if match := re.fullmatch(r"ARRAY\s*\[(.*)\]", written, re.IGNORECASE | re.DOTALL):
        return [token.value for token in tokens(match[1]) if token.kind == "string"]
    if written.startswith("'"):
        return written[1:-1].replace("''", "'")
    if written.lower() in ("true", "false"):
        return written.lower() == "true"
    return int(written) if re.fullmatch(r"-?\d+", written) else written


def _checked(found: Properties, known: dict[str, type], label: str) -> Properties:
    for name, value in found.items():
        if name not in known:
            raise refused(f"line 1:1: Catalog 'awsdatacatalog' {label} '{name}' does not exist; use {', '.join(known)}")
        if type(value) is not known[name]:
            raise refused(f"Invalid value for catalog 'awsdatacatalog' {label} '{name}': [{value}]")
    return found


def target(properties: Properties, columns: tuple[Column, ...], context: StatementContext, label: str) -> Target:
    """Return the place and the form in which the rows of a new table are written.

    :raises SqlError: INVALID_TABLE_PROPERTY, NOT_SUPPORTED for a format that is not supported by the local AWS
    """
    format = _format(properties)
    keys = [key.lower() for key in properties.get("partitioned_by", [])]
    names = [column.name.lower() for column in columns]
    if unknown := [key for key in keys if key not in names]:
        raise refused(f"Partition columns {unknown} not present in schema")
    if keys and names[-len(keys) :] != keys:
        raise SqlError(
            "HIVE_COLUMN_ORDER_MISMATCH",
            "Partition keys must be the last columns in the table and in the same order as the table properties: "
            f"[{', '.join(keys)}]",
        )
    if len(keys) == len(columns):
        raise refused(f"{label} contains only partition columns")
    cut = len(columns) - len(keys)
    return Target(
        _location(properties, context),
        format,
        columns[:cut],
        columns[cut:],
        compression=formats.compression(format, _compression(properties, format)),
        serde=_serde(properties, format),
        buckets=_buckets(properties, names[:cut]),
    )


def _location(properties: Properties, context: StatementContext) -> str:
    location = properties.get("external_location")
    if location is None:
        return f"{context.output}tables/{context.execution_id}"
    if context.enforced:
        raise refused(_ENFORCED)
    if not location.startswith("s3://"):
        raise refused(f"external_location must be s3://bucket/folder/, not '{location}'")
    return str(location).rstrip("/")


def _format(properties: Properties) -> formats.Format:
    name = str(properties.get("format", "PARQUET")).upper()
    if name not in formats.BY_NAME:
        raise refused(f"format must be one of {', '.join(formats.BY_NAME)}, not '{name}'")
    return formats.supported(formats.BY_NAME[name])


def _compression(properties: Properties, format: formats.Format) -> str | None:
    name = properties.get("write_compression") or properties.get(f"{format.name.lower()}_compression")
    return None if name is None else str(name)


def _serde(properties: Properties, format: formats.Format) -> dict[str, str]:
    delimiter = properties.get("field_delimiter")
    if format is not formats.TEXTFILE:
        if delimiter is not None:
            raise refused(f"Cannot specify field_delimiter for storage format: {format.name}")
        return {}
    delimiter = "\1" if delimiter is None else str(delimiter)
    if len(delimiter) != 1:
        raise refused(f"field_delimiter must be one character, not '{delimiter}'")
    return {"field.delim": delimiter, "serialization.format": delimiter}


def _buckets(properties: Properties, names: list[str]) -> tuple[tuple[str, ...], int]:
    by, count = [column.lower() for column in properties.get("bucketed_by", [])], properties.get("bucket_count", 0)
    if not by and not count:
        return (), 1
    if not by or not count:
        raise refused("bucketed_by and bucket_count must be specified together")
    if count < 0:
        raise refused("bucket_count must be greater than zero")
    if unknown := [column for column in by if column not in names]:
        raise refused(f"Bucketing columns {unknown} not present in schema")
    return tuple(by), count
