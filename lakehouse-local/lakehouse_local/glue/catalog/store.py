"""The Glue Data Catalog on sqlite: databases, tables and their versions, partitions, in Glue's own shapes.

Names are stored in lower case and found in any. Times are epoch seconds.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lakehouse_local.glue.catalog.partition_filter import compile_filter
from lakehouse_local.http.wire import AwsError, epoch

Doc = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS databases (name TEXT PRIMARY KEY, doc TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tables (db TEXT, name TEXT, doc TEXT, PRIMARY KEY (db, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS table_versions (
    db TEXT, name TEXT, version INTEGER, doc TEXT, PRIMARY KEY (db, name, version)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS partitions (
    db TEXT, name TEXT, vals TEXT, doc TEXT, PRIMARY KEY (db, name, vals)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS extras (
    db TEXT, name TEXT, kind TEXT, part TEXT, item TEXT, doc TEXT, PRIMARY KEY (db, name, kind, part, item)
) WITHOUT ROWID;
"""
# Members that Glue adds to a storage descriptor that lacks them.
_STORAGE_DEFAULTS: Doc = {
    "Compressed": False,
    "NumberOfBuckets": 0,
    "SortColumns": [],
    "StoredAsSubDirectories": False,
}


class Catalog:
    """The Data Catalog of the account; safe to use from several threads and processes, every change is a transaction.

    :param path_to_sqlite: made when missing
    :raises AwsError: from every method, EntityNotFoundException, AlreadyExistsException, InvalidInputException
    """

    def __init__(self, path_to_sqlite: Path | str) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(path_to_sqlite, check_same_thread=False, isolation_level=None, timeout=30)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # Databases

    def create_database(self, database_input: Doc) -> None:
        name = lower(database_input["Name"])
        database = {**database_input, "Name": name, "CreateTime": epoch()}
        database.setdefault("CreateTableDefaultPermissions", _DEFAULT_PERMISSIONS)
        with self.change() as sql:
            if self._one("SELECT 1 FROM databases WHERE name = ?", name):
                raise AwsError("AlreadyExistsException", f"Database already exists: {name}")
            sql.execute("INSERT INTO databases VALUES (?, ?)", (name, json.dumps(database)))

    def get_database(self, name: str) -> Doc:
        found = self._one("SELECT doc FROM databases WHERE name = ?", lower(name))
        if found is None:
            raise AwsError("EntityNotFoundException", f"Database {lower(name)} not found.")
        return load(found[0])

    def get_databases(self) -> list[Doc]:
        return [load(doc) for (doc,) in self._all("SELECT doc FROM databases ORDER BY name")]

    def update_database(self, name: str, database_input: Doc) -> None:
        with self.change() as sql:
            before = self.get_database(name)
            if lower(database_input["Name"]) != before["Name"]:
                raise AwsError("InvalidInputException", f"Database {before['Name']} cannot be renamed.")
            after = {"CreateTableDefaultPermissions": before["CreateTableDefaultPermissions"], **database_input}
            after.update(Name=before["Name"], CreateTime=before["CreateTime"])
            sql.execute("UPDATE databases SET doc = ? WHERE name = ?", (json.dumps(after), before["Name"]))

    def delete_database(self, name: str) -> None:
        """Delete a database with its tables."""
        with self.change() as sql:
            name = self.get_database(name)["Name"]
            for table in ("tables", "table_versions", "partitions", "extras"):
                sql.execute(f"DELETE FROM {table} WHERE db = ?", (name,))
            sql.execute("DELETE FROM databases WHERE name = ?", (name,))

    # Tables

    def create_table(self, db: str, table_input: Doc, *, created_by: str = "") -> None:
        db, name = lower(db), lower(table_input["Name"])
        with self.change() as sql:
            self.get_database(db)
            if self._one("SELECT 1 FROM tables WHERE db = ? AND name = ?", db, name):
                raise AwsError("AlreadyExistsException", f"Table already exists: {db}.{name}")
            table = _table(db, name, table_input)
            now = epoch()
            table.update(CreateTime=now, UpdateTime=now, VersionId="0")
            if created_by:
                table["CreatedBy"] = created_by
            sql.execute("INSERT INTO tables VALUES (?, ?, ?)", (db, name, json.dumps(table)))

    def get_table(self, db: str, name: str) -> Doc:
        found = self._one("SELECT doc FROM tables WHERE db = ? AND name = ?", lower(db), lower(name))
        if found is None:
            self.get_database(db)
            raise AwsError("EntityNotFoundException", f"Entity Not Found: Table {lower(db)}.{lower(name)} not found.")
        return load(found[0])

    def get_tables(self, db: str) -> list[Doc]:
        """Return the tables of a database, sorted by name."""
        self.get_database(db)
        return [load(doc) for (doc,) in self._all("SELECT doc FROM tables WHERE db = ? ORDER BY name", lower(db))]

    def all_tables(self) -> list[Doc]:
        """Return the tables of all databases."""
        return [load(doc) for (doc,) in self._all("SELECT doc FROM tables ORDER BY db, name")]

    def update_table(
        self, db: str, table_input: Doc, *, skip_archive: bool = False, version_id: str | None = None
    ) -> None:
        """Replace a table's definition; the former becomes an older version unless ``skip_archive``.

        :param version_id: the version that the caller read
        :raises AwsError: ConcurrentModificationException if that is no longer the current version
        """
        with self.change() as sql:
            before = self.get_table(db, table_input["Name"])
            if version_id is not None and version_id != before["VersionId"]:
                raise AwsError(
                    "ConcurrentModificationException",
                    f"Table {before['DatabaseName']}.{before['Name']} is at version {before['VersionId']}, "
                    f"not {version_id}.",
                )
            key = (before["DatabaseName"], before["Name"])
            after = _table(*key, table_input)
            after.update(
                CreateTime=before["CreateTime"], UpdateTime=epoch(), VersionId=str(int(before["VersionId"]) + 1)
            )
            if "CreatedBy" in before:
                after["CreatedBy"] = before["CreatedBy"]
            if not skip_archive:
                version = int(before["VersionId"])
                sql.execute("INSERT INTO table_versions VALUES (?, ?, ?, ?)", (*key, version, json.dumps(before)))
            sql.execute("UPDATE tables SET doc = ? WHERE db = ? AND name = ?", (json.dumps(after), *key))

    def delete_table(self, db: str, name: str) -> None:
        """Delete a table with its versions and partitions; its data stays."""
        with self.change() as sql:
            table = self.get_table(db, name)
            for stored in ("tables", "table_versions", "partitions", "extras"):
                sql.execute(f"DELETE FROM {stored} WHERE db = ? AND name = ?", (table["DatabaseName"], table["Name"]))

    def get_table_versions(self, db: str, name: str) -> list[Doc]:
        """Return the versions of a table's definition, the current one first."""
        table = self.get_table(db, name)
        older = self._all(
            "SELECT doc FROM table_versions WHERE db = ? AND name = ? ORDER BY version DESC", lower(db), lower(name)
        )
        return [table, *(load(doc) for (doc,) in older)]

    def delete_table_version(self, db: str, name: str, version_id: str) -> None:
        with self.change() as sql:
            if self.get_table(db, name)["VersionId"] == version_id:
                raise AwsError("InvalidInputException", f"Version {version_id} is the table's current one.")
            deleted = sql.execute(
                "DELETE FROM table_versions WHERE db = ? AND name = ? AND version = ?",
                (lower(db), lower(name), int(version_id) if version_id.isdigit() else -1),
            )
            if not deleted.rowcount:
                raise AwsError(
                    "EntityNotFoundException", f"Version {version_id} of table {lower(db)}.{lower(name)} not found."
                )

    # Partitions

    def create_partitions(self, db: str, table: str, inputs: Sequence[Doc]) -> list[Doc]:
        """Add partitions; return Glue's PartitionError for each that cannot be added."""
        errors: list[Doc] = []
        with self.change() as sql:
            owner = self.get_table(db, table)
            for partition in inputs:
                try:
                    values = _values(owner, partition.get("Values", []))
                    key = (owner["DatabaseName"], owner["Name"], json.dumps(values))
                    if self._one("SELECT 1 FROM partitions WHERE db = ? AND name = ? AND vals = ?", *key):
                        raise AwsError("AlreadyExistsException", "Partition already exists.")
                    doc = _partition(owner, values, partition, epoch())
                    sql.execute("INSERT INTO partitions VALUES (?, ?, ?, ?)", (*key, json.dumps(doc)))
                except AwsError as error:
                    errors.append(partition_error(partition.get("Values", []), error))
        return errors

    def get_partition(self, db: str, table: str, values: Sequence[str]) -> Doc:
        owner = self.get_table(db, table)
        found = self._one(
            "SELECT doc FROM partitions WHERE db = ? AND name = ? AND vals = ?",
            owner["DatabaseName"], owner["Name"], json.dumps(_values(owner, values)),
        )  # fmt: skip
        if found is None:
            raise AwsError("EntityNotFoundException", f"Cannot find partition. Values: {list(values)}")
        return load(found[0])

    def get_partitions(self, db: str, table: str, expression: str | None = None) -> list[Doc]:
        """Return the partitions of a table, sorted by their values.

        :param expression: that of GetPartitions; None returns all
        """
        owner = self.get_table(db, table)
        key = (owner["DatabaseName"], owner["Name"])
        if not (expression or "").strip():
            rows = self._all("SELECT doc FROM partitions WHERE db = ? AND name = ? ORDER BY vals", *key)
            return [load(doc) for (doc,) in rows]
        keys = [(column["Name"], column.get("Type", "string")) for column in owner.get("PartitionKeys", [])]
        qualifies = compile_filter(str(expression), keys)
        rows = self._all("SELECT vals, doc FROM partitions WHERE db = ? AND name = ? ORDER BY vals", *key)
        return [load(doc) for vals, doc in rows if qualifies(json.loads(vals))]

    def update_partition(self, db: str, table: str, values: Sequence[str], partition_input: Doc) -> None:
        with self.change() as sql:
            owner = self.get_table(db, table)
            before = self.get_partition(db, table, values)
            after_values = _values(owner, partition_input.get("Values") or list(values))
            after = _partition(owner, after_values, partition_input, before["CreationTime"])
            key = (owner["DatabaseName"], owner["Name"])
            if after_values != before["Values"] and self._one(
                "SELECT 1 FROM partitions WHERE db = ? AND name = ? AND vals = ?", *key, json.dumps(after_values)
            ):
                raise AwsError("AlreadyExistsException", "Partition already exists.")
            sql.execute(
                "UPDATE partitions SET vals = ?, doc = ? WHERE db = ? AND name = ? AND vals = ?",
                (json.dumps(after_values), json.dumps(after), *key, json.dumps(before["Values"])),
            )

    def delete_partitions(self, db: str, table: str, values: Sequence[Sequence[str]]) -> list[Doc]:
        """Delete partitions; return Glue's PartitionError for each that does not exist."""
        errors: list[Doc] = []
        with self.change() as sql:
            owner = self.get_table(db, table)
            for partition_values in values:
                try:
                    self.get_partition(db, table, partition_values)
                except AwsError as error:
                    errors.append(partition_error(partition_values, error))
                    continue
                key = (owner["DatabaseName"], owner["Name"], json.dumps(list(partition_values)))
                sql.execute("DELETE FROM partitions WHERE db = ? AND name = ? AND vals = ?", key)
                sql.execute("DELETE FROM extras WHERE db = ? AND name = ? AND part = ?", key)
        return errors

    # Extras of databases and tables: statistics, functions, indexes

    def put_extra(self, db: str, name: str, kind: str, part: Sequence[str], item: str, doc: Doc) -> None:
        key = (lower(db), lower(name), kind, json.dumps(list(part)) if part else "", item)
        with self.change() as sql:
            sql.execute("INSERT OR REPLACE INTO extras VALUES (?, ?, ?, ?, ?, ?)", (*key, json.dumps(doc)))

    def extras(self, db: str, name: str, kind: str, part: Sequence[str] = ()) -> dict[str, Doc]:
        """Return the documents of one kind of extra, by item."""
        rows = self._all(
            "SELECT item, doc FROM extras WHERE db = ? AND name = ? AND kind = ? AND part = ? ORDER BY item",
            lower(db), lower(name), kind, json.dumps(list(part)) if part else "",
        )  # fmt: skip
        return {item: load(doc) for item, doc in rows}

    def delete_extra(self, db: str, name: str, kind: str, part: Sequence[str], item: str) -> bool:
        """Delete an extra; return True if it existed."""
        key = (lower(db), lower(name), kind, json.dumps(list(part)) if part else "", item)
        with self.change() as sql:
            deleted = sql.execute(
                "DELETE FROM extras WHERE db = ? AND name = ? AND kind = ? AND part = ? AND item = ?", key
            )
            return deleted.rowcount > 0

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """Open a transaction that includes the methods called within it; an exception rolls all of it back."""
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _one(self, statement: str, *parameters: Any) -> tuple[Any, ...] | None:
        with self._lock:
            row: tuple[Any, ...] | None = self._connection.execute(statement, parameters).fetchone()
            return row

    def _all(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(statement, parameters).fetchall()


_DEFAULT_PERMISSIONS = [
    {"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}
]


def lower(name: str) -> str:
    """Return a name as it is stored."""
    return name.lower()


def load(doc: str) -> Doc:
    """Parse a stored document."""
    content: Doc = json.loads(doc)
    return content


def partition_error(values: Sequence[str], error: AwsError) -> Doc:
    """Return Glue's PartitionError for a partition."""
    return {
        "PartitionValues": list(values),
        "ErrorDetail": {"ErrorCode": error.code, "ErrorMessage": error.message},
    }


def _table(db: str, name: str, table_input: Doc) -> Doc:
    table = {"Retention": 0, "PartitionKeys": [], "Parameters": {}, **_without_nulls(table_input)}
    table.update(Name=name, DatabaseName=db, IsRegisteredWithLakeFormation=False)
    if "StorageDescriptor" in table:
        table["StorageDescriptor"] = {**_STORAGE_DEFAULTS, **_without_nulls(table["StorageDescriptor"])}
    return table


def _partition(owner: Doc, values: list[str], partition_input: Doc, created: float) -> Doc:
    partition = {"Parameters": {}, **_without_nulls(partition_input)}
    partition.update(Values=values, DatabaseName=owner["DatabaseName"], TableName=owner["Name"], CreationTime=created)
    if "StorageDescriptor" in partition:
        partition["StorageDescriptor"] = {**_STORAGE_DEFAULTS, **_without_nulls(partition["StorageDescriptor"])}
    return partition


def _without_nulls(members: Doc) -> Doc:
    return {name: value for name, value in members.items() if value is not None}


def _values(owner: Doc, values: Sequence[str]) -> list[str]:
    keys = owner.get("PartitionKeys", [])
    if len(values) != len(keys):
        raise AwsError(
            "InvalidInputException",
            "The number of partition keys do not match the number of partition values: "
            f"{owner['DatabaseName']}.{owner['Name']} has {len(keys)} keys, and {list(values)} are {len(values)}",
        )
    return [str(value) for value in values]
