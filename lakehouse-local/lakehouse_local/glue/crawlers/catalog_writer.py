"""Writing of a crawl's tables and partitions to the Data Catalog, within the crawler's policies."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.glue.crawlers import table_inputs
from lakehouse_local.glue.crawlers.discovery import FoundTable
from lakehouse_local.glue.crawlers.hive_types import Columns
from lakehouse_local.glue.crawlers.table_inputs import DEPRECATED_BY, UPDATED_BY
from lakehouse_local.http.wire import AwsError

Doc = dict[str, Any]

TABLE, PARTITION = "TABLE", "PARTITION"
ADD, UPDATE, DELETE = "ADD", "UPDATE", "DELETE"
ENTITIES, ACTIONS = (TABLE, PARTITION), (ADD, UPDATE, DELETE)

# Members of a table that GetTable adds and UpdateTable does not take.
_READ_ONLY = (
    "DatabaseName", "CreateTime", "UpdateTime", "CreatedBy", "IsRegisteredWithLakeFormation", "CatalogId", "VersionId",
    "FederatedTable", "IsMultiDialectView",
)  # fmt: skip
# Parameters that may differ after each crawl in a table that did not change.
_COUNTS = ("averageRecordSize", "objectCount", "recordCount", "sizeKey")


@dataclass(frozen=True)
class CrawlPolicy:
    """The changes that a crawl may make in the Data Catalog.

    :ivar update: UpdateBehavior: UPDATE_IN_DATABASE or LOG
    :ivar delete: DeleteBehavior: DEPRECATE_IN_DATABASE, DELETE_FROM_DATABASE or LOG
    :ivar inherit: partitions get the table's columns (InheritFromTable)
    :ivar merge_new: a table's columns stay, new ones are added (MergeNewColumns)
    :ivar new_folders_only: only new partitions are added (CRAWL_NEW_FOLDERS_ONLY)
    """

    update: str = "UPDATE_IN_DATABASE"
    delete: str = "DEPRECATE_IN_DATABASE"
    inherit: bool = False
    merge_new: bool = False
    new_folders_only: bool = False


@dataclass
class Changes:
    """The tables and partitions that a crawl added, updated and deleted, by name."""

    names: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, entity: str, action: str, name: str) -> None:
        """Record a change.

        :param entity: TABLE or PARTITION
        :param action: ADD, UPDATE or DELETE
        """
        self.names.setdefault((entity, action), []).append(name)

    def count(self, entity: str, action: str) -> int:
        return len(self.names.get((entity, action), ()))

    def summary(self) -> str:
        """Return the Summary of ListCrawls: a JSON object whose members are JSON texts themselves."""
        summary: dict[str, dict[str, Doc]] = {}
        for (entity, action), names in self.names.items():
            summary.setdefault(entity, {})[action] = {"Details": {"names": names}, "Count": len(names)}
        return json.dumps({entity: json.dumps(actions) for entity, actions in summary.items()}, separators=(",", ":"))


class CatalogWriter:
    """A writer of one crawl's tables.

    :param database: an existing database
    :param crawler: name of the crawler
    :param log: called with each line for the crawl's log
    """

    def __init__(
        self, *, catalog: Catalog, database: str, crawler: str, policy: CrawlPolicy, log: Callable[[str], None]
    ) -> None:
        self._catalog = catalog
        self._database = database.lower()
        self._crawler = crawler
        self._policy = policy
        self._log = log
        self.changes = Changes()
        self._written: set[str] = set()

    def write(self, found: FoundTable, name: str) -> None:
        """Create or update a table and its partitions."""
        name, existing = self._target(found, name)
        self._written.add(name)
        table_input = table_inputs.table_input(found, name, self._crawler)
        if existing is None:
            self._catalog.create_table(self._database, table_input, created_by=f"crawler/{self._crawler}")
            self._log(f"INFO : Created table {name} in database {self._database}")
            self.changes.add(TABLE, ADD, name)
        else:
            self._update(existing, table_input)
        if found.keys:
            self._write_partitions(found, name)

    def delete_unfound(self, locations: list[str]) -> None:
        """Delete or deprecate, by DeleteBehavior, the tables that this crawler wrote earlier and did not find again.

        :param locations: the folders of its targets; tables elsewhere stay
        """
        if self._policy.new_folders_only:
            return
        for table in self._catalog.get_tables(self._database):
            parameters = table.get("Parameters", {})
            location = _folder(table.get("StorageDescriptor", {}).get("Location", ""))
            if (
                table["Name"] in self._written
                or parameters.get(UPDATED_BY) != self._crawler
                or DEPRECATED_BY in parameters
                or not location.startswith(tuple(locations))
            ):
                continue
            if self._policy.delete == "DELETE_FROM_DATABASE":
                self._catalog.delete_table(self._database, table["Name"])
                self._log(f"INFO : Deleted table {table['Name']} in database {self._database}")
                self.changes.add(TABLE, DELETE, table["Name"])
            elif self._policy.delete == "DEPRECATE_IN_DATABASE":
                deprecated = {**_input(table), "Parameters": {**parameters, DEPRECATED_BY: _milliseconds()}}
                self._catalog.update_table(self._database, deprecated)
                self._log(f"INFO : Deprecated table {table['Name']} in database {self._database}")
                self.changes.add(TABLE, DELETE, table["Name"])
            else:
                self._log(f"INFO : Table {table['Name']} in database {self._database} has no objects any more")

    def _target(self, found: FoundTable, name: str) -> tuple[str, Doc | None]:
        """Return the name to use and the table that has it already; a table of another location keeps its name."""
        for candidate in (name, f"{name}_{hashlib.md5(found.location.encode(), usedforsecurity=False).hexdigest()}"):
            try:
                existing = self._catalog.get_table(self._database, candidate)
            except AwsError as error:
                if error.code != "EntityNotFoundException":
                    raise
                return candidate, None
            if _folder(existing.get("StorageDescriptor", {}).get("Location", "")) == _folder(found.location):
                return candidate, existing
        raise AwsError("AlreadyExistsException", f"Table already exists: {self._database}.{name}")

    def _update(self, existing: Doc, table_input: Doc) -> None:
        name, policy = table_input["Name"], self._policy
        if policy.new_folders_only:
            return
        if len(existing.get("PartitionKeys", [])) != len(table_input["PartitionKeys"]):
            # Partition keys cannot be changed: the table is deleted and created again.
            if policy.update == "LOG":
                self._log(f"WARN : Table {name} has other partition keys now; UpdateBehavior LOG leaves it unchanged")
                return
            self._catalog.delete_table(self._database, name)
            self._catalog.create_table(self._database, table_input, created_by=f"crawler/{self._crawler}")
            self._record_update(name)
            return
        updated = {**table_input, "PartitionKeys": existing["PartitionKeys"]}
        if policy.merge_new:
            storage = updated["StorageDescriptor"]
            columns = _with_new(existing["StorageDescriptor"]["Columns"], storage["Columns"])
            updated["StorageDescriptor"] = {**storage, "Columns": columns}
        if policy.update == "LOG":
            if not _same(existing, updated):
                self._log(f"INFO : Table {name} in database {self._database} has changed; it is left unchanged")
            return
        kept = {
            key: value for key, value in existing.get("Parameters", {}).items() if key not in (DEPRECATED_BY, *_COUNTS)
        }
        updated["Parameters"] = {**kept, **updated["Parameters"]}
        for member in ("Description", "Owner"):
            if existing.get(member):
                updated[member] = existing[member]
        same = _same(existing, updated)
        self._catalog.update_table(self._database, updated, skip_archive=same)
        if not same:
            self._record_update(name)

    def _record_update(self, name: str) -> None:
        self._log(f"INFO : Updated table {name} in database {self._database}")
        self.changes.add(TABLE, UPDATE, name)

    def _write_partitions(self, found: FoundTable, name: str) -> None:
        owner = self._catalog.get_table(self._database, name)
        if len(owner.get("PartitionKeys", [])) != len(found.keys):
            return
        inherited: Columns = {each["Name"]: each["Type"] for each in owner["StorageDescriptor"]["Columns"]}
        existing = {tuple(each["Values"]): each for each in self._catalog.get_partitions(self._database, name)}
        added: list[Doc] = []
        for partition in found.partitions:
            own = {column: type_ for column, type_ in partition.columns.items() if column not in found.keys}
            updated = table_inputs.partition_input(found, partition, inherited if self._policy.inherit else own)
            before = existing.get(partition.values)
            if before is None:
                added.append(updated)
            elif not self._policy.new_folders_only and self._policy.update != "LOG" and _differs(before, updated):
                self._catalog.update_partition(self._database, name, partition.values, updated)
                if not _same(before, updated):
                    self.changes.add(PARTITION, UPDATE, f"{name}{list(partition.values)}")
        if added:
            for error in self._catalog.create_partitions(self._database, name, added):
                raise AwsError(error["ErrorDetail"]["ErrorCode"], error["ErrorDetail"]["ErrorMessage"])
            values = [each["Values"] for each in added]
            shown = ", ".join(f"[{', '.join(each)}]" for each in values[:100])
            self._log(f"INFO : Created partitions with values [{shown}] for table {name} in database {self._database}")
            for each in values:
                self.changes.add(PARTITION, ADD, f"{name}{each}")
        found_values = {each.values for each in found.partitions}
        self._delete_partitions(name, [values for values in existing if values not in found_values])

    def _delete_partitions(self, name: str, values: list[tuple[str, ...]]) -> None:
        """Delete partitions that were not found again, if DeleteBehavior is DELETE_FROM_DATABASE."""
        if not values or self._policy.new_folders_only:
            return
        shown = ", ".join(f"[{', '.join(each)}]" for each in values[:100])
        if self._policy.delete != "DELETE_FROM_DATABASE":
            self._log(f"INFO : Partitions [{shown}] of table {name} have no objects any more; they are left unchanged")
            return
        self._catalog.delete_partitions(self._database, name, values)
        self._log(f"INFO : Deleted partitions with values [{shown}] for table {name} in database {self._database}")
        for each in values:
            self.changes.add(PARTITION, DELETE, f"{name}{list(each)}")


def _folder(location: str) -> str:
    return location if location.endswith("/") else f"{location}/"


def _input(table: Doc) -> Doc:
    return {name: value for name, value in table.items() if name not in _READ_ONLY}


def _with_new(existing: list[Doc], found: list[Doc]) -> list[Doc]:
    names = {column["Name"] for column in existing}
    return [*existing, *(column for column in found if column["Name"] not in names)]


def _shape(doc: Doc) -> Any:
    """Return the parts of a table or partition that crawls compare, which leaves out counts."""
    storage = doc.get("StorageDescriptor", {})
    return (
        [(column["Name"], column["Type"]) for column in storage.get("Columns", [])],
        _folder(storage.get("Location", "")),
        storage.get("SerdeInfo", {}),
        {k: v for k, v in doc.get("Parameters", {}).items() if k not in (*_COUNTS, UPDATED_BY)},
    )


def _same(before: Doc, after: Doc) -> bool:
    return bool(_shape(before) == _shape(after))


def _differs(before: Doc, after: Doc) -> bool:
    return not _same(before, after) or before.get("Parameters") != after.get("Parameters")


def _milliseconds() -> str:
    return str(int(time.time() * 1000))
