"""Names bound to files: a table's name in a query becomes a DuckDB query over the objects of its Glue table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lakehouse_local.athena import information_schema, views
from lakehouse_local.athena.engine import Cursor
from lakehouse_local.athena.files import formats, scanning
from lakehouse_local.athena.sql import Column, Relation, SqlError, trino_type
from lakehouse_local.athena.sql.types import coerces, duckdb_type, parse_type
from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.http.wire import AwsError
from lakehouse_local.s3.store import ObjectStore, StoredObject

CATALOG = "awsdatacatalog"
# Hive's directory name and Glue's value for a partition whose key is NULL.
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"

Table = dict[str, Any]
Partition = tuple[list[str], dict[str, Any]]  # values, storage descriptor


class Binding:
    """The Data Catalog for one query: with the query's default database, on the query's cursor.

    :param reads: False for a query that is only checked: its tables have columns and no rows
    :raises SqlError: from every method, TABLE_NOT_FOUND, SCHEMA_NOT_FOUND, CATALOG_NOT_FOUND with Trino's messages
    """

    def __init__(
        self, catalog: Catalog, store: ObjectStore, cursor: Cursor, database: str, *, reads: bool = True
    ) -> None:
        self.catalog = catalog
        self.store = store
        self.database = database
        self._reads = reads
        self.cursor = cursor

    def without_files(self) -> Binding:
        """Return a binding for a query that is only checked: its tables have columns and no rows, no file is opened."""
        return Binding(self.catalog, self.store, self.cursor, self.database, reads=False)

    def name(self, catalog: str | None, schema: str | None, table: str) -> tuple[str, str]:
        """Return database and table in lower case."""
        if catalog is not None and catalog.lower() not in (CATALOG, "hive"):
            raise SqlError("CATALOG_NOT_FOUND", f"Catalog '{catalog.lower()}' not found")
        return (schema or self.database).lower(), table.lower()

    def table(self, database: str, name: str) -> Table:
        """Return the Glue table."""
        try:
            return self.catalog.get_table(database, name)
        except AwsError:
            self.require_database(database)
            raise SqlError("TABLE_NOT_FOUND", f"Table '{CATALOG}.{database}.{name}' does not exist") from None

    def find(self, database: str, name: str) -> Table | None:
        """Return the Glue table or None; a missing database is refused."""
        try:
            return self.table(database, name)
        except SqlError as error:
            if error.name != "TABLE_NOT_FOUND":
                raise
            return None

    def require_database(self, database: str) -> dict[str, Any]:
        """Return the Glue database."""
        try:
            return self.catalog.get_database(database)
        except AwsError:
            raise SqlError("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist") from None

    def relation(self, catalog: str | None, schema: str | None, table: str) -> Relation:
        """Return the table or view of this name, for the compiler of queries."""
        database, name = self.name(catalog, schema, table)
        if database == information_schema.NAME:
            return replace(information_schema.relation(self.catalog, name), name=(database, name))
        if name.endswith("$partitions"):
            listed = self._partitions(self.table(database, name.removesuffix("$partitions")))
            return replace(listed, name=(database, name))
        found = self.table(database, name)
        if found.get("TableType") == "VIRTUAL_VIEW":
            view = views.definition(found)
            return Relation(
                tuple(Column(each["name"], each["type"]) for each in view["columns"]),
                view_sql=view["originalSql"],
                view_catalog=view.get("catalog"),
                view_schema=view.get("schema"),
            )
        require_supported(found)
        columns, keys = columns_of(found), keys_of(found)
        return Relation(
            columns + keys,
            tuple(key.name for key in keys),
            source=lambda where: f"({self._rows(found, columns, keys, where)})",
            name=(database, name),
        )

    def _rows(self, table: Table, columns: Sequence[Column], keys: Sequence[Column], where: str | None) -> str:
        parsed = [(column.name, parse_type(column.type)) for column in columns]
        every = [*parsed, *((key.name, parse_type(key.type)) for key in keys)]
        if not self._reads:
            return scanning.nothing(every)
        if not keys:
            return self._scan(table, table["StorageDescriptor"], parsed)
        scans = []
        for values, storage in self.partitions(table, keys, where):
            _check_partition(table, columns, keys, values, storage)
            literals = "".join(
                f", {_value(value, key)} AS {formats.identifier(key.name)}"
                for value, key in zip(values, keys, strict=True)
            )
            scans.append(f"SELECT *{literals} FROM ({self._scan(table, storage, parsed)})")
        return " UNION ALL ".join(scans) or scanning.nothing(every)

    def partitions(self, table: Table, keys: Sequence[Column], where: str | None = None) -> list[Partition]:
        """Return values and storage descriptor of each partition that can satisfy `where`, all of them for None."""
        found = [
            (partition["Values"], partition.get("StorageDescriptor") or table["StorageDescriptor"])
            for partition in self.catalog.get_partitions(table["DatabaseName"], table["Name"])
        ]
        if where is None or not found:
            return found
        names = ", ".join(["ordinal", *(formats.identifier(key.name) for key in keys)])
        rows = ", ".join(
            f"({i}, {', '.join(_value(v, k) for v, k in zip(values, keys, strict=True))})"
            for i, (values, _) in enumerate(found)
        )
        try:
            kept = self.cursor.all(f"SELECT ordinal FROM (VALUES {rows}) t({names}) WHERE {where}")
        except SqlError:
            return found  # to leave partitions out only saves reading: the query itself still has the condition
        return [found[ordinal] for (ordinal,) in kept]

    def key_values(self, keys: Sequence[Column], partitions: Sequence[Partition]) -> list[tuple[Any, ...]]:
        """Return the values of partitions' keys in the keys' types; a value that is NULL or of no such type is None."""
        rows = ", ".join(
            "(" + ", ".join(_value(v, k, "TRY_CAST") for v, k in zip(values, keys, strict=True)) + ")"
            for values, _ in partitions
        )
        return self.cursor.all(f"SELECT * FROM (VALUES {rows}) t") if rows else []

    def _scan(self, table: Table, storage: dict[str, Any], columns: scanning.Columns) -> str:
        format = formats.of_storage(storage, f"{table['DatabaseName']}.{table['Name']}")
        parameters = {**table.get("Parameters", {}), **storage.get("SerdeInfo", {}).get("Parameters", {})}
        files = list(self.store.opened(self.files(storage.get("Location", ""))))
        return scanning.scan(format, parameters, files, columns, self.cursor.by_schema)

    def files(self, location: str) -> list[StoredObject]:
        """Return a location's data files: as in Hive without empty files and names that begin with _ or a dot."""
        prefix = location if location.endswith("/") else f"{location}/"
        return [
            each
            for each in self._objects(prefix)
            if each.size and not any(part[:1] in ("_", ".") for part in each.uri.removeprefix(prefix).split("/"))
        ]

    def uris(self, prefix: str) -> list[str]:
        """Return the URIs of the objects below a folder."""
        return [each.uri for each in self._objects(prefix)]

    def _objects(self, prefix: str) -> list[StoredObject]:
        try:
            return self.store.objects(prefix)
        except (AwsError, ValueError) as error:
            reason = error.message if isinstance(error, AwsError) else str(error)
            raise SqlError("HIVE_FILESYSTEM_ERROR", f"Error listing {prefix}: {reason}") from None

    def _partitions(self, table: Table) -> Relation:
        """Return the table that lists a table's partitions: "t$partitions"."""
        keys = keys_of(table)
        if not keys:
            label = f"{CATALOG}.{table['DatabaseName']}.{table['Name']}$partitions"
            raise SqlError("TABLE_NOT_FOUND", f"Table '{label}' does not exist: the table has no partition keys")
        rows = ", ".join(
            "(" + ", ".join(_value(v, k) for v, k in zip(values, keys, strict=True)) + ")"
            for values, _ in self.partitions(table, keys)
        )
        names = ", ".join(formats.identifier(key.name) for key in keys)
        nothing = scanning.nothing([(key.name, parse_type(key.type)) for key in keys])
        text = f"SELECT * FROM (VALUES {rows}) t({names})" if rows else nothing
        return Relation(tuple(keys), source=lambda where: f"({text})")


def require_supported(table: Table) -> None:
    """Refuse tables that Athena reads and the local AWS does not.

    :raises SqlError: NOT_SUPPORTED
    """
    label, parameters = f"{table['DatabaseName']}.{table['Name']}", table.get("Parameters", {})
    if str(parameters.get("table_type", "")).upper() == "ICEBERG":
        raise SqlError("NOT_SUPPORTED", f"{label} is an Iceberg table: these are not supported by the local AWS yet")
    if str(parameters.get("projection.enabled", "")).lower() == "true":
        raise SqlError(
            "NOT_SUPPORTED", f"{label} has partition projection, which is not supported by the local AWS yet"
        )


def columns_of(table: Table) -> tuple[Column, ...]:
    """Return a table's columns without its partition keys."""
    return _columns(table, table.get("StorageDescriptor", {}).get("Columns", []))


def keys_of(table: Table) -> tuple[Column, ...]:
    """Return a table's partition keys."""
    return _columns(table, table.get("PartitionKeys", []))


def _columns(table: Table, columns: Sequence[dict[str, str]]) -> tuple[Column, ...]:
    try:
        return tuple(Column(each["Name"].lower(), trino_type(each["Type"])) for each in columns)
    except ValueError as error:
        label = f"{table.get('DatabaseName')}.{table['Name']}"
        raise SqlError(
            "HIVE_INVALID_METADATA", f"Table {label} has a column that Athena cannot read: {error}"
        ) from None


def _check_partition(
    table: Table, columns: Sequence[Column], keys: Sequence[Column], values: list[str], storage: dict[str, Any]
) -> None:
    """Refuse a partition with a column of a type that cannot be coerced to the table's, as Athena does.

    :raises SqlError: HIVE_PARTITION_SCHEMA_MISMATCH
    """
    declared = {column.name: column.type for column in _columns(table, storage.get("Columns", []))}
    for column in columns:
        own = declared.get(column.name, column.type)
        if own == column.type or coerces(parse_type(own), parse_type(column.type)):
            continue
        partition = "/".join(f"{key.name}={value}" for key, value in zip(keys, values, strict=True))
        raise SqlError(
            "HIVE_PARTITION_SCHEMA_MISMATCH",
            "There is a mismatch between the table and partition schemas. The types are incompatible and cannot be "
            f"coerced. The column '{column.name}' in table '{table['DatabaseName']}.{table['Name']}' is declared as "
            f"type '{column.type}', but partition '{partition}' declared column '{column.name}' as type '{own}'.",
        )


def _value(value: str, key: Column, cast: str = "CAST") -> str:
    type = duckdb_type(parse_type(key.type))
    return f"NULL::{type}" if value == NULL_PARTITION else f"{cast}({formats.literal(value)} AS {type})"
