"""What a crawl found, written to the Data Catalog as the crawler's policies say."""

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
KINDS, ACTIONS = (TABLE, PARTITION), (ADD, UPDATE, DELETE)

# Members of a table that GetTable adds and UpdateTable does not take.
_READ_ONLY = (
    "DatabaseName", "CreateTime", "UpdateTime", "CreatedBy", "IsRegisteredWithLakeFormation", "CatalogId", "VersionId",
    "FederatedTable", "IsMultiDialectView",
)  # fmt: skip
# Of these a table that did not change may have others after each crawl.
_COUNTS = ("averageRecordSize", "objectCount", "recordCount", "sizeKey")


@dataclass(frozen=True)
class Policy:
    """What a crawler may change."""

    update: str = "UPDATE_IN_DATABASE"  # or LOG
    delete: str = "DEPRECATE_IN_DATABASE"  # or DELETE_FROM_DATABASE, LOG
    inherit: bool = False  # partitions have the table's columns
    merge_new: bool = False  # a table's columns stay, new ones are added
    new_folders_only: bool = False


@dataclass
class Changes:
    """What a crawl added, updated and deleted, by name."""

    names: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def note(self, kind: str, action: str, name: str) -> None:
        self.names.setdefault((kind, action), []).append(name)

    def count(self, kind: str, action: str) -> int:
        return len(self.names.get((kind, action), ()))

    def summary(self) -> str:
        """The Summary of ListCrawls: JSON whose members are JSON texts again."""
        text: dict[str, dict[str, Doc]] = {}
        for (kind, action), names in self.names.items():
            shown = {"Details": {"names": names}, "Count": len(names)}
            text.setdefault(kind, {})[action] = shown
        return json.dumps({kind: json.dumps(actions) for kind, actions in text.items()}, separators=(",", ":"))


class CatalogWriter:
    """Writes one crawl's tables.

    :param database: an existing database
    :param say: takes a line for the crawl's log
    """

    def __init__(
        self, *, catalog: Catalog, database: str, crawler: str, policy: Policy, say: Callable[[str], None]
    ) -> None:
        self._catalog = catalog
        self._database = database.lower()
        self._crawler = crawler
        self._policy = policy
        self._say = say
        self.changes = Changes()
        self._written: set[str] = set()

    def write(self, found: FoundTable, name: str) -> None:
        """Create or update a table and its partitions."""
        name, existing = self._place(found, name)
        self._written.add(name)
        wanted = table_inputs.table_input(found, name, self._crawler)
        if existing is None:
            self._catalog.create_table(self._database, wanted, created_by=f"crawler/{self._crawler}")
            self._say(f"INFO : Created table {name} in database {self._database}")
            self.changes.note(TABLE, ADD, name)
        else:
            self._update(existing, wanted)
        if found.keys:
            self._partitions(found, name)

    def delete_unfound(self, locations: list[str]) -> None:
        """Treat the tables that this crawler wrote under its targets and did not find again."""
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
                self._say(f"INFO : Deleted table {table['Name']} in database {self._database}")
                self.changes.note(TABLE, DELETE, table["Name"])
            elif self._policy.delete == "DEPRECATE_IN_DATABASE":
                deprecated = {**_input(table), "Parameters": {**parameters, DEPRECATED_BY: _milliseconds()}}
                self._catalog.update_table(self._database, deprecated)
                self._say(f"INFO : Deprecated table {table['Name']} in database {self._database}")
                self.changes.note(TABLE, DELETE, table["Name"])
            else:
                self._say(f"INFO : Table {table['Name']} in database {self._database} has no objects any more")

    def _place(self, found: FoundTable, name: str) -> tuple[str, Doc | None]:
        """The name to use and the table that has it: another location's table keeps its name."""
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

    def _update(self, existing: Doc, wanted: Doc) -> None:
        name, policy = wanted["Name"], self._policy
        if policy.new_folders_only:
            return
        if len(existing.get("PartitionKeys", [])) != len(wanted["PartitionKeys"]):
            # Partition keys cannot be changed: the table is made anew.
            if policy.update == "LOG":
                self._say(f"WARN : Table {name} has other partition keys now; UpdateBehavior LOG leaves it as it is")
                return
            self._catalog.delete_table(self._database, name)
            self._catalog.create_table(self._database, wanted, created_by=f"crawler/{self._crawler}")
            self._note_update(name)
            return
        wanted = {**wanted, "PartitionKeys": existing["PartitionKeys"]}
        if policy.merge_new:
            wanted["StorageDescriptor"] = {
                **wanted["StorageDescriptor"],
                "Columns": _with_new(existing["StorageDescriptor"]["Columns"], wanted["StorageDescriptor"]["Columns"]),
            }
        if policy.update == "LOG":
            if not _same(existing, wanted):
                self._say(f"INFO : Table {name} in database {self._database} has changed; it is left as it is")
            return
        kept = {
            key: value for key, value in existing.get("Parameters", {}).items() if key not in (DEPRECATED_BY, *_COUNTS)
        }
        wanted["Parameters"] = {**kept, **wanted["Parameters"]}
        for member in ("Description", "Owner"):
            if existing.get(member):
                wanted[member] = existing[member]
        same = _same(existing, wanted)
        self._catalog.update_table(self._database, wanted, skip_archive=same)
        if not same:
            self._note_update(name)

    def _note_update(self, name: str) -> None:
        self._say(f"INFO : Updated table {name} in database {self._database}")
        self.changes.note(TABLE, UPDATE, name)

    def _partitions(self, found: FoundTable, name: str) -> None:
        owner = self._catalog.get_table(self._database, name)
        if len(owner.get("PartitionKeys", [])) != len(found.keys):
            return
        inherited: Columns = {each["Name"]: each["Type"] for each in owner["StorageDescriptor"]["Columns"]}
        existing = {tuple(each["Values"]): each for each in self._catalog.get_partitions(self._database, name)}
        added: list[Doc] = []
        for partition in found.partitions:
            own = {column: kind for column, kind in partition.columns.items() if column not in found.keys}
            wanted = table_inputs.partition_input(found, partition, inherited if self._policy.inherit else own)
            before = existing.get(partition.values)
            if before is None:
                added.append(wanted)
            elif not self._policy.new_folders_only and self._policy.update != "LOG" and _differs(before, wanted):
                self._catalog.update_partition(self._database, name, partition.values, wanted)
                if not _same(before, wanted):
                    self.changes.note(PARTITION, UPDATE, f"{name}{list(partition.values)}")
        if added:
            for error in self._catalog.create_partitions(self._database, name, added):
                raise AwsError(error["ErrorDetail"]["ErrorCode"], error["ErrorDetail"]["ErrorMessage"])
            values = [each["Values"] for each in added]
            shown = ", ".join(f"[{', '.join(each)}]" for each in values[:100])
            self._say(f"INFO : Created partitions with values [{shown}] for table {name} in database {self._database}")
            for each in values:
                self.changes.note(PARTITION, ADD, f"{name}{each}")
        self._gone(name, [values for values in existing if values not in {each.values for each in found.partitions}])

    def _gone(self, name: str, values: list[tuple[str, ...]]) -> None:
        if not values or self._policy.new_folders_only:
            return
        shown = ", ".join(f"[{', '.join(each)}]" for each in values[:100])
        if self._policy.delete != "DELETE_FROM_DATABASE":
            self._say(f"INFO : Partitions [{shown}] of table {name} have no objects any more; they are left")
            return
        self._catalog.delete_partitions(self._database, name, values)
        self._say(f"INFO : Deleted partitions with values [{shown}] for table {name} in database {self._database}")
        for each in values:
            self.changes.note(PARTITION, DELETE, f"{name}{list(each)}")


def _folder(location: str) -> str:
    return location if location.endswith("/") else f"{location}/"


def _input(table: Doc) -> Doc:
    return {name: value for name, value in table.items() if name not in _READ_ONLY}


def _with_new(existing: list[Doc], found: list[Doc]) -> list[Doc]:
    names = {column["Name"] for column in existing}
    return [*existing, *(column for column in found if column["Name"] not in names)]


def _shape(doc: Doc) -> Any:
    """What of a table or partition is no count."""
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
