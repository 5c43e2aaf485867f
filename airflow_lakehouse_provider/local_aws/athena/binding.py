"""Names to files: what a query calls a table becomes DuckDB's text over the objects that the Glue catalogue names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_lakehouse_provider.local_aws.athena import formats, information_schema, views
from airflow_lakehouse_provider.local_aws.athena.engine import Cursor
from airflow_lakehouse_provider.local_aws.athena.sql import Column, Relation, SqlError, trino_type
from airflow_lakehouse_provider.local_aws.athena.sql.types import duckdb_type, parse_type
from airflow_lakehouse_provider.local_aws.catalog import Catalog
from airflow_lakehouse_provider.local_aws.s3 import ObjectStore
from airflow_lakehouse_provider.local_aws.wire import AwsError

CATALOG = "awsdatacatalog"
# Directory names of Hive for a partition whose key is NULL.
NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"


class Binding:
    """The catalogue as one query sees it: with its own default database, on its own cursor.

    :raises SqlError: from every method, TABLE_NOT_FOUND, SCHEMA_NOT_FOUND, CATALOG_NOT_FOUND in Trino's words
    """

    def __init__(self, catalog: Catalog, store: ObjectStore, cursor: Cursor, database: str) -> None:
        self.catalog = catalog
        self.store = store
        self._cursor = cursor
        self.database = database

    def name(self, catalog: str | None, schema: str | None, table: str) -> tuple[str, str]:
        """Database and table, lower-case."""
        if catalog is not None and catalog.lower() not in (CATALOG, "hive"):
            raise SqlError("CATALOG_NOT_FOUND", f"Catalog '{catalog.lower()}' not found")
        return (schema or self.database).lower(), table.lower()

    def table(self, database: str, name: str) -> dict[str, Any]:
        """The Glue table."""
        try:
            return self.catalog.get_table(database, name)
        except AwsError:
            self.require_database(database)
            raise SqlError("TABLE_NOT_FOUND", f"Table '{CATALOG}.{database}.{name}' does not exist") from None

    def find(self, database: str, name: str) -> dict[str, Any] | None:
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
        database, name = self.name(catalog, schema, table)
        if database == information_schema.NAME:
            return information_schema.relation(self.catalog, name)
        if name.endswith("$partitions"):
            return self._partitions(self.table(database, name.removesuffix("$partitions")))
        found = self.table(database, name)
        if found.get("TableType") == "VIRTUAL_VIEW":
            view = views.definition(found)
            columns = tuple(Column(each["name"], each["type"]) for each in view["columns"])
            return Relation(columns, view_sql=view["originalSql"], view_catalog=view.get("catalog"), view_schema=view.get("schema"))  # fmt: skip
        if str(found.get("Parameters", {}).get("table_type", "")).upper() == "ICEBERG":
            raise SqlError("NOT_SUPPORTED", f"Iceberg tables are not served locally yet: {database}.{name}")
        data, keys = columns_of(found), keys_of(found)
        return Relation(
            data + keys,
            tuple(key.name for key in keys),
            source=lambda where: self._source(found, data, keys, where),
        )

    def _source(self, table: dict[str, Any], data: Sequence[Column], keys: Sequence[Column], where: Any) -> str:
        parsed = [(column.name, parse_type(column.type)) for column in data]
        if not keys:
            return f"({self._scan(table, table['StorageDescriptor'], parsed)})"
        partitions = self.partitions(table, keys, where)
        scans = []
        for values, storage in partitions:
            literals = "".join(f", {_value(value, key)} AS {formats.identifier(key.name)}"
                               for value, key in zip(values, keys, strict=True))  # fmt: skip
            scans.append(f"SELECT *{literals} FROM ({self._scan(table, storage, parsed)})")
        if not scans:
            nulls = ", ".join(f"NULL::{duckdb_type(parse_type(each.type))} AS {formats.identifier(each.name)}"
                              for each in (*data, *keys))  # fmt: skip
            scans.append(f"SELECT {nulls} WHERE false")
        return f"({' UNION ALL '.join(scans)})"

    def partitions(
        self, table: dict[str, Any], keys: Sequence[Column], where: Any = None
    ) -> list[tuple[list[str], dict[str, Any]]]:
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
        condition = where.sql(dialect="duckdb") if hasattr(where, "sql") else str(where)
        try:
            kept = self._cursor.run(f"SELECT ordinal FROM (VALUES {rows}) t({names}) WHERE {condition}").fetchall()
        except SqlError:
            return found  # pruning only saves reading: the query itself still has the condition
        return [found[ordinal] for (ordinal,) in kept]

    def _scan(self, table: dict[str, Any], storage: dict[str, Any], columns: Sequence[Any]) -> str:
        label = f"{table['DatabaseName']}.{table['Name']}"
        chosen = formats.format_of(storage, label)
        return formats.scan(chosen, storage, table, self.files(storage.get("Location", "")), columns)

    def files(self, location: str) -> list[str]:
        """The paths of a location's data files; Hive passes over names that begin with _ or a dot."""
        if not location:
            return []
        prefix = location if location.endswith("/") else f"{location}/"
        try:
            objects = self.store.objects(prefix)
        except AwsError as error:
            raise SqlError("HIVE_FILESYSTEM_ERROR", f"Error listing {location}: {error.message}") from None
        return [
            str(each.path)
            for each in objects
            if each.size and not any(part[:1] in "_." for part in each.uri.removeprefix(prefix).split("/"))
        ]

    def _partitions(self, table: dict[str, Any]) -> Relation:
        keys = keys_of(table)
        rows = ", ".join(
            "(" + ", ".join(_value(v, k) for v, k in zip(values, keys, strict=True)) + ")"
            for values, _ in self.partitions(table, keys)
        )
        names = ", ".join(formats.identifier(key.name) for key in keys)
        nulls = ", ".join(f"NULL::{duckdb_type(parse_type(key.type))} AS {formats.identifier(key.name)}" for key in keys)
        text = f"(SELECT * FROM (VALUES {rows}) t({names}))" if rows else f"(SELECT {nulls} WHERE false)"
        return Relation(tuple(keys), source=lambda where: text)


def columns_of(table: dict[str, Any]) -> tuple[Column, ...]:
    """A table's own columns, without its partition keys."""
    return _columns(table, table.get("StorageDescriptor", {}).get("Columns", []))


def keys_of(table: dict[str, Any]) -> tuple[Column, ...]:
    """A table's partition keys."""
    return _columns(table, table.get("PartitionKeys", []))


def _columns(table: dict[str, Any], columns: Sequence[dict[str, str]]) -> tuple[Column, ...]:
    try:
        return tuple(Column(each["Name"].lower(), trino_type(each["Type"])) for each in columns)
    except ValueError as error:
        where = f"{table.get('DatabaseName')}.{table['Name']}"
        raise SqlError("HIVE_INVALID_METADATA", f"Table {where} has a column of a type unknown to Athena: {error}") from None


def _value(value: str, key: Column) -> str:
    of = duckdb_type(parse_type(key.type))
    return f"NULL::{of}" if value == NULL_PARTITION else f"CAST({formats.literal(value)} AS {of})"
