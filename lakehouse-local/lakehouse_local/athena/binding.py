"""Names to files: what a query calls a table becomes DuckDB's text over the objects that the Glue catalogue names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lakehouse_local.athena.files import formats
from lakehouse_local.athena import information_schema, views
from lakehouse_local.athena.files import scanning
from lakehouse_local.athena.engine import Cursor
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
    """The catalogue as one query sees it: with its own default database, on its own cursor.

    :raises SqlError: from every method, TABLE_NOT_FOUND, SCHEMA_NOT_FOUND, CATALOG_NOT_FOUND in Trino's words
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
        """The same for a query that is only checked: its tables have columns and no rows, and no file is looked at."""
        return Binding(self.catalog, self.store, self.cursor, self.database, reads=False)

    def name(self, catalog: str | None, schema: str | None, table: str) -> tuple[str, str]:
        """Database and table, lower-case."""
        if catalog is not None and catalog.lower() not in (CATALOG, "hive"):
            raise SqlError("CATALOG_NOT_FOUND", f"Catalog '{catalog.lower()}' not found")
        return (schema or self.database).lower(), table.lower()

    def table(self, database: str, name: str) -> Table:
        """The Glue table."""
        try:
            return self.catalog.get_table(database, name)
        except AwsError:
            self.require_database(database)
            raise SqlError("TABLE_NOT_FOUND", f"Table '{CATALOG}.{database}.{name}' does not exist") from None

    def find(self, database: str, name: str) -> Table | None:
        """The Glue table, or None; a missing database is refused."""
        try:
            return self.table(database, name)
        except SqlError as error:
            if error.name != "TABLE_NOT_FOUND":
                raise
            return None

    def require_database(self, database: str) -> dict[str, Any]:
        """The Glue database."""
        try:
            return self.catalog.get_database(database)
        except AwsError:
            raise SqlError("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist") from None

    def relation(self, catalog: str | None, schema: str | None, table: str) -> Relation:
        """What a query reads under this name."""
        database, name = self.name(catalog, schema, table)
        if database == information_schema.NAME:
            return information_schema.relation(self.catalog, name)
        if name.endswith("$partitions"):
            return self._partitions(self.table(database, name.removesuffix("$partitions")))
        found = self.table(database, name)
        if found.get("TableType") == "VIRTUAL_VIEW":
            view = views.definition(found)
            return Relation(
                tuple(Column(each["name"], each["type"]) for each in view["columns"]),
                view_sql=view["originalSql"],
                view_catalog=view.get("catalog"),
                view_schema=view.get("schema"),
            )
        require_served(found)
        data, keys = columns_of(found), keys_of(found)
        return Relation(
            data + keys,
            tuple(key.name for key in keys),
            source=lambda where: f"({self._rows(found, data, keys, where)})",
        )

    def _rows(self, table: Table, data: Sequence[Column], keys: Sequence[Column], where: str | None) -> str:
        parsed = [(column.name, parse_type(column.type)) for column in data]
        every = [*parsed, *((key.name, parse_type(key.type)) for key in keys)]
        if not self._reads:
            return scanning.nothing(every)
        if not keys:
            return self._scan(table, table["StorageDescriptor"], parsed)
        scans = []
        for values, storage in self.partitions(table, keys, where):
            _check_partition(table, data, keys, values, storage)
            literals = "".join(
                f", {_value(value, key)} AS {formats.identifier(key.name)}"
                for value, key in zip(values, keys, strict=True)
            )
            scans.append(f"SELECT *{literals} FROM ({self._scan(table, storage, parsed)})")
        return " UNION ALL ".join(scans) or scanning.nothing(every)

    def partitions(self, table: Table, keys: Sequence[Column], where: str | None = None) -> list[Partition]:
        """Values and storage of the partitions that can satisfy `where`."""
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
            return found  # pruning only saves reading: the query itself still has the condition
        return [found[ordinal] for (ordinal,) in kept]

    def _scan(self, table: Table, storage: dict[str, Any], columns: scanning.Columns) -> str:
        chosen = formats.of_storage(storage, f"{table['DatabaseName']}.{table['Name']}")
        parameters = {**table.get("Parameters", {}), **storage.get("SerdeInfo", {}).get("Parameters", {})}
        files = list(self.store.opened(self.files(storage.get("Location", ""))))
        return scanning.scan(chosen, parameters, files, columns, self.cursor.by_schema)

    def files(self, location: str) -> list[StoredObject]:
        """A location's data files; Hive passes over names that begin with _ or a dot, and empty files."""
        prefix = location if location.endswith("/") else f"{location}/"
        return [
            each
            for each in self._objects(prefix)
            if each.size and not any(part[:1] in ("_", ".") for part in each.uri.removeprefix(prefix).split("/"))
        ]

    def uris(self, prefix: str) -> list[str]:
        """The URIs of the objects below a folder."""
        return [each.uri for each in self._objects(prefix)]

    def _objects(self, prefix: str) -> list[StoredObject]:
        try:
            return self.store.objects(prefix)
        except (AwsError, ValueError) as error:
            said = error.message if isinstance(error, AwsError) else str(error)
            raise SqlError("HIVE_FILESYSTEM_ERROR", f"Error listing {prefix}: {said}") from None

    def _partitions(self, table: Table) -> Relation:
        """The table of a table's partitions: "t$partitions"."""
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


def require_served(table: Table) -> None:
    """Refuse kinds of tables that Athena has and the local one has not.

    :raises SqlError: NOT_SUPPORTED
    """
    label, parameters = f"{table['DatabaseName']}.{table['Name']}", table.get("Parameters", {})
    if str(parameters.get("table_type", "")).upper() == "ICEBERG":
        raise SqlError("NOT_SUPPORTED", f"{label} is an Iceberg table: these are not served locally yet")
    if str(parameters.get("projection.enabled", "")).lower() == "true":
        raise SqlError("NOT_SUPPORTED", f"{label} has partition projection, which is not served locally yet")


def columns_of(table: Table) -> tuple[Column, ...]:
    """A table's own columns, without its partition keys."""
    return _columns(table, table.get("StorageDescriptor", {}).get("Columns", []))


def keys_of(table: Table) -> tuple[Column, ...]:
    """A table's partition keys."""
    return _columns(table, table.get("PartitionKeys", []))


def _columns(table: Table, columns: Sequence[dict[str, str]]) -> tuple[Column, ...]:
    try:
        return tuple(Column(each["Name"].lower(), trino_type(each["Type"])) for each in columns)
    except ValueError as error:
        where = f"{table.get('DatabaseName')}.{table['Name']}"
        raise SqlError(
            "HIVE_INVALID_METADATA", f"Table {where} has a column that Athena cannot read: {error}"
        ) from None


def _check_partition(
    table: Table, data: Sequence[Column], keys: Sequence[Column], values: list[str], storage: dict[str, Any]
) -> None:
    """Refuse a partition that declares a column's type so that the table's cannot be had from it, as Athena does.

    :raises SqlError: HIVE_PARTITION_SCHEMA_MISMATCH
    """
    declared = {column.name: column.type for column in _columns(table, storage.get("Columns", []))}
    for column in data:
        there = declared.get(column.name, column.type)
        if there == column.type or coerces(parse_type(there), parse_type(column.type)):
            continue
        partition = "/".join(f"{key.name}={value}" for key, value in zip(keys, values, strict=True))
        raise SqlError(
            "HIVE_PARTITION_SCHEMA_MISMATCH",
            "There is a mismatch between the table and partition schemas. The types are incompatible and cannot be "
            f"coerced. The column '{column.name}' in table '{table['DatabaseName']}.{table['Name']}' is declared as "
            f"type '{column.type}', but partition '{partition}' declared column '{column.name}' as type '{there}'.",
        )


def _value(value: str, key: Column) -> str:
    of = duckdb_type(parse_type(key.type))
    return f"NULL::{of}" if value == NULL_PARTITION else f"CAST({formats.literal(value)} AS {of})"
