"""Parts that DDL statements share: names, column lists, partition specifications, Hive's errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lakehouse_local.athena.binding import CATALOG, Binding
from lakehouse_local.athena.ddl.tokens import Reader
from lakehouse_local.athena.results.outcome import Outcome
from lakehouse_local.athena.sql import SqlError, trino_type
from lakehouse_local.http.wire import AwsError

Columns = list[dict[str, str]]
Table = dict[str, Any]
Name = tuple[str | None, str]  # database (None: the query's own), table


@dataclass(frozen=True)
class Command:
    """A statement that was read: StatementType, SubstatementType, and the function that carries it out.

    :ivar run: raises SqlError when the execution FAILED
    """

    type: str
    subtype: str
    run: Callable[[Binding], Outcome]


Parser = Callable[[Reader], Command]


def ddl(subtype: str, run: Callable[[Binding], None]) -> Command:
    """Return a statement that changes the Data Catalog and has no result."""

    def run_without_result(binding: Binding) -> Outcome:
        run(binding)
        return Outcome()

    return Command("DDL", subtype, run_without_result)


def semantic(code: int, message: str) -> SqlError:
    """Return an error in the form of Hive's analyser."""
    return SqlError("FAILED", f"SemanticException [Error {code}]: {message}")


def execution_error(message: str) -> SqlError:
    """Return an error in the form of Hive's DDL task."""
    return SqlError("FAILED", f"Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. {message}")


def iceberg_only(label: str) -> SqlError:
    """Return the error for a statement or a table that only Iceberg has."""
    return SqlError("NOT_SUPPORTED", f"{label} is for Iceberg tables, which are not supported by the local AWS yet")


def table_name(reader: Reader, *, trino: bool = False) -> Name:
    """Read database and table; the data catalog's name may stand before them."""
    parts = reader.name(trino=trino)
    if len(parts) == 3 and parts[0] == CATALOG:
        parts = parts[1:]
    if len(parts) > 2:
        raise SqlError("SYNTAX_ERROR", f"line 1:1: '{'.'.join(parts)}' is not a table name: write database.table")
    return (parts[0], parts[1]) if len(parts) == 2 else (None, parts[0])


def found(binding: Binding, name: Name) -> Table:
    """Return the table of this name, which must exist."""
    database, table = name[0] or binding.database, name[1]
    try:
        return binding.catalog.get_table(database, table)
    except AwsError:
        raise semantic(10001, f"Table not found {database}.{table}") from None


def hive_type(reader: Reader) -> str:
    """Read a column's type, up to the comma or bracket that ends it."""
    depth, text = 0, ""
    error = reader.unexpected("a type")  # at the position where it begins
    while (token := reader.next) is not None:
        if depth == 0 and (token.text in (",", ")") or reader.sees("COMMENT")):
            break
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(token.text, 0)
        text += reader.pop().text
    try:
        if text.lower() in ("varchar", "char", "integer", "long", "short", "byte"):
            raise ValueError  # types of the Data Catalog and of Trino that Athena's DDL does not have
        trino_type(text.lower())
    except ValueError:
        raise error from None
    return text.lower()


def column_list(reader: Reader) -> Columns:
    """Read ( `name` type [COMMENT 'text'], ... )."""
    reader.need("(")
    columns: Columns = []
    while True:
        column = {"Name": reader.identifier(), "Type": hive_type(reader)}
        if reader.take("COMMENT"):
            column["Comment"] = reader.string()
        columns.append(column)
        if not reader.take(","):
            break
    reader.need(")")
    return columns


def require_distinct(*groups: Columns) -> None:
    """Refuse a name that stands twice among columns, or among columns and partition keys."""
    seen: set[str] = set()
    for group in groups:
        names = [column["Name"] for column in group]
        for name in names:
            if names.count(name) > 1:
                raise semantic(10036, f"Duplicate column name: {name}")
            if name in seen:
                raise semantic(10035, f"Column repeated in partitioning columns: {name}")
        seen.update(names)


def partition_spec(reader: Reader) -> dict[str, str]:
    """Read (key = 'value', ...)."""
    reader.need("(")
    spec: dict[str, str] = {}
    while True:
        key = reader.identifier()
        reader.need("=")
        token = reader.next
        if token is None or token.kind not in ("string", "word"):
            raise reader.unexpected("a value")
        spec[key] = reader.pop().value
        if not reader.take(","):
            break
    reader.need(")")
    return spec


def check_spec(table: Table, spec: dict[str, str], *, whole: bool = True) -> None:
    """Refuse a specification that names keys which the table lacks, or, if `whole`, not all of its keys."""
    keys = [each["Name"] for each in table.get("PartitionKeys", [])]
    if set(spec) - set(keys) or (whole and set(spec) != set(keys)):
        raise semantic(10098, f"Partition spec {spec} does not name the partition keys {keys}")


def spec_values(table: Table, spec: dict[str, str]) -> list[str]:
    """Return the values of a whole specification, in the order of the table's keys."""
    check_spec(table, spec)
    return [spec[each["Name"]] for each in table["PartitionKeys"]]


def s3_location(reader: Reader) -> str:
    """Read a string that is an S3 folder."""
    location = reader.string()
    if not location.startswith("s3://"):
        raise SqlError("FAILED", f"SemanticException: a location must be s3://bucket/folder/, not '{location}'")
    return location


def update(binding: Binding, table: Table, **changed: Any) -> None:
    """Write a table back with some of its members changed."""
    members = ("Name", "Description", "Owner", "Retention", "StorageDescriptor", "PartitionKeys", "ViewOriginalText",
               "ViewExpandedText", "TableType", "Parameters")  # fmt: skip
    kept = {name: table[name] for name in members if name in table}
    binding.catalog.update_table(table["DatabaseName"], {**kept, **changed})


def require_table(table: Table) -> None:
    """Refuse a view and an Iceberg table where a statement is for Hive tables alone."""
    if table.get("TableType") == "VIRTUAL_VIEW":
        raise semantic(10132, f"{table['DatabaseName']}.{table['Name']} is a view: this statement is for tables")
    if str(table.get("Parameters", {}).get("table_type", "")).upper() == "ICEBERG":
        raise iceberg_only(f"{table['DatabaseName']}.{table['Name']}")
