"""The Data Catalog operations of the Glue API: databases, tables, table versions, partitions.

`extras` has the others: statistics, partition indexes, functions, settings of the account.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Any

from lakehouse_local.glue.catalog.extras import extra_operations
from lakehouse_local.glue.catalog.patterns import name_pattern
from lakehouse_local.glue.catalog.store import Catalog, lower
from lakehouse_local.http.wire import AwsError, Caller, Handler, page

Doc = dict[str, Any]
_BATCH_TABLES = 100
_SORTABLE = {"Name": "Name", "DatabaseName": "DatabaseName", "CreateTime": "CreateTime", "UpdateTime": "UpdateTime"}


class CatalogApi:
    """A JsonService over a :class:`Catalog`, which its owner closes."""

    target = "AWSGlue"

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        own: dict[str, Handler] = {
            "CreateDatabase": self._create_database,
            "GetDatabase": self._get_database,
            "GetDatabases": self._get_databases,
            "UpdateDatabase": self._update_database,
            "DeleteDatabase": self._delete_database,
            "CreateTable": self._create_table,
            "GetTable": self._get_table,
            "GetTables": self._get_tables,
            "SearchTables": self._search_tables,
            "UpdateTable": self._update_table,
            "DeleteTable": self._delete_table,
            "BatchDeleteTable": self._batch_delete_table,
            "GetTableVersion": self._get_table_version,
            "GetTableVersions": self._get_table_versions,
            "DeleteTableVersion": self._delete_table_version,
            "BatchDeleteTableVersion": self._batch_delete_table_version,
            "CreatePartition": self._create_partition,
            "BatchCreatePartition": self._batch_create_partition,
            "GetPartition": self._get_partition,
            "GetPartitions": self._get_partitions,
            "BatchGetPartition": self._batch_get_partition,
            "UpdatePartition": self._update_partition,
            "BatchUpdatePartition": self._batch_update_partition,
            "DeletePartition": self._delete_partition,
            "BatchDeletePartition": self._batch_delete_partition,
        }
        self.operations: dict[str, Handler] = {
            name: _for_own_catalog(handler) for name, handler in {**own, **extra_operations(catalog)}.items()
        }

    def close(self) -> None:
        """Do nothing; the catalogue is its owner's to close."""

    # Databases

    def _create_database(self, request: Doc, caller: Caller) -> Doc:
        self._catalog.create_database(request["DatabaseInput"])
        return {}

    def _get_database(self, request: Doc, caller: Caller) -> Doc:
        return {"Database": _with_catalog_id(self._catalog.get_database(request["Name"]), caller)}

    def _get_databases(self, request: Doc, caller: Caller) -> Doc:
        databases, more = page(self._catalog.get_databases(), request, limit=100)
        return {"DatabaseList": [_with_catalog_id(database, caller) for database in databases], **more}

    def _update_database(self, request: Doc, caller: Caller) -> Doc:
        self._catalog.update_database(request["Name"], request["DatabaseInput"])
        return {}

    def _delete_database(self, request: Doc, caller: Caller) -> Doc:
        self._catalog.delete_database(request["Name"])
        return {}

    # Tables

    def _create_table(self, request: Doc, caller: Caller) -> Doc:
        table_input = request.get("TableInput")
        if not table_input:
            raise AwsError(
                "InvalidInputException", "TableInput is required: the local AWS supports tables of type Hive only."
            )
        if request.get("OpenTableFormatInput"):
            raise AwsError(
                "InvalidInputException", "OpenTableFormatInput: Iceberg tables are not supported by the local AWS."
            )
        created_by = f"arn:aws:sts::{caller.account_id}:assumed-role/local/{caller.access_key_id}"
        with self._catalog.change():
            self._catalog.create_table(request["DatabaseName"], table_input, created_by=created_by)
            for index in request.get("PartitionIndexes", []):
                self.operations["CreatePartitionIndex"](
                    {
                        "DatabaseName": request["DatabaseName"],
                        "TableName": table_input["Name"],
                        "PartitionIndex": index,
                    },
                    caller,
                )
        return {}

    def _get_table(self, request: Doc, caller: Caller) -> Doc:
        return {"Table": _with_catalog_id(self._catalog.get_table(request["DatabaseName"], request["Name"]), caller)}

    def _get_tables(self, request: Doc, caller: Caller) -> Doc:
        tables = self._catalog.get_tables(request["DatabaseName"])
        if request.get("Expression"):
            matches = name_pattern(request["Expression"])
            tables = [table for table in tables if matches(table["Name"])]
        chosen, more = page(tables, request, limit=100)
        if request.get("AttributesToGet") == ["NAME"]:
            chosen = [{"Name": table["Name"], "DatabaseName": table["DatabaseName"]} for table in chosen]
        return {"TableList": [_with_catalog_id(table, caller) for table in chosen], **more}

    def _search_tables(self, request: Doc, caller: Caller) -> Doc:
        tables = self._catalog.all_tables()
        if text := request.get("SearchText"):
            exact = len(text) > 1 and text[0] == text[-1] == '"'
            tables = [table for table in tables if _mentions(table, text.strip('"'), exact=exact)]
        for predicate in request.get("Filters", []):
            tables = [table for table in tables if _satisfies(table, predicate)]
        for order in reversed(request.get("SortCriteria", [])):
            field = _SORTABLE.get(order.get("FieldName", ""))
            if field is None:
                raise AwsError(
                    "InvalidInputException",
                    f"SortCriteria by {order.get('FieldName')!r}; allowed are {', '.join(_SORTABLE)}",
                )
            tables.sort(key=lambda table: table[field], reverse=order.get("Sort") == "DESC")
        chosen, more = page(tables, request, limit=1000, default=100)
        return {"TableList": [_with_catalog_id(table, caller) for table in chosen], **more}

    def _update_table(self, request: Doc, caller: Caller) -> Doc:
        table_input = request.get("TableInput")
        if not table_input:
            raise AwsError(
                "InvalidInputException", "TableInput is required: the local AWS supports tables of type Hive only."
            )
        self._catalog.update_table(
            request["DatabaseName"],
            table_input,
            skip_archive=request.get("SkipArchive", False),
            version_id=request.get("VersionId"),
        )
        return {}

    def _delete_table(self, request: Doc, caller: Caller) -> Doc:
        self._catalog.delete_table(request["DatabaseName"], request["Name"])
        return {}

    def _batch_delete_table(self, request: Doc, caller: Caller) -> Doc:
        self._catalog.get_database(request["DatabaseName"])
        errors = []
        for name in request["TablesToDelete"]:
            try:
                self._catalog.delete_table(request["DatabaseName"], name)
            except AwsError as error:
                errors.append({"TableName": name, "ErrorDetail": _detail(error)})
        return {"Errors": errors}

    # Versions

    def _get_table_version(self, request: Doc, caller: Caller) -> Doc:
        versions = self._catalog.get_table_versions(request["DatabaseName"], request["TableName"])
        version_id = request.get("VersionId", versions[0]["VersionId"])
        for version in versions:
            if version["VersionId"] == version_id:
                return {"TableVersion": _version(version, caller)}
        raise AwsError(
            "EntityNotFoundException",
            f"Version {version_id} of table {versions[0]['DatabaseName']}.{versions[0]['Name']} not found.",
        )

    def _get_table_versions(self, request: Doc, caller: Caller) -> Doc:
        versions = self._catalog.get_table_versions(request["DatabaseName"], request["TableName"])
        chosen, more = page(versions, request, limit=100)
        return {"TableVersions": [_version(version, caller) for version in chosen], **more}

    def _delete_table_version(self, request: Doc, caller: Caller) -> Doc:
        self._catalog.delete_table_version(request["DatabaseName"], request["TableName"], request["VersionId"])
        return {}

    def _batch_delete_table_version(self, request: Doc, caller: Caller) -> Doc:
        self._catalog.get_table(request["DatabaseName"], request["TableName"])
        errors = []
        for version in request["VersionIds"]:
            try:
                self._catalog.delete_table_version(request["DatabaseName"], request["TableName"], version)
            except AwsError as error:
                errors.append({"TableName": request["TableName"], "VersionId": version, "ErrorDetail": _detail(error)})
        return {"Errors": errors}

    # Partitions

    def _create_partition(self, request: Doc, caller: Caller) -> Doc:
        errors = self._catalog.create_partitions(*_table_key(request), [request["PartitionInput"]])
        _raise_first(errors)
        return {}

    def _batch_create_partition(self, request: Doc, caller: Caller) -> Doc:
        return {"Errors": self._catalog.create_partitions(*_table_key(request), request["PartitionInputList"])}

    def _get_partition(self, request: Doc, caller: Caller) -> Doc:
        partition = self._catalog.get_partition(*_table_key(request), request["PartitionValues"])
        return {"Partition": _with_catalog_id(partition, caller)}

    def _get_partitions(self, request: Doc, caller: Caller) -> Doc:
        partitions = self._catalog.get_partitions(*_table_key(request), request.get("Expression"))
        if segment := request.get("Segment"):
            number, total = segment["SegmentNumber"], segment["TotalSegments"]
            if number >= total:
                raise AwsError("InvalidInputException", f"SegmentNumber {number} must be below TotalSegments {total}")
            partitions = [partition for partition in partitions if _segment(partition["Values"], total) == number]
        chosen, more = page(partitions, request, limit=1000)
        if request.get("ExcludeColumnSchema"):
            for partition in chosen:
                partition.get("StorageDescriptor", {}).pop("Columns", None)
        return {"Partitions": [_with_catalog_id(partition, caller) for partition in chosen], **more}

    def _batch_get_partition(self, request: Doc, caller: Caller) -> Doc:
        found, missing = [], []
        self._catalog.get_table(*_table_key(request))
        for key in request["PartitionsToGet"]:
            try:
                partition = self._catalog.get_partition(*_table_key(request), key["Values"])
            except AwsError as error:
                if error.code != "EntityNotFoundException":
                    raise
                missing.append(key)
            else:
                found.append(_with_catalog_id(partition, caller))
        return {"Partitions": found, "UnprocessedKeys": missing}

    def _update_partition(self, request: Doc, caller: Caller) -> Doc:
        self._catalog.update_partition(*_table_key(request), request["PartitionValueList"], request["PartitionInput"])
        return {}

    def _batch_update_partition(self, request: Doc, caller: Caller) -> Doc:
        self._catalog.get_table(*_table_key(request))
        errors = []
        for entry in request["Entries"]:
            values = entry["PartitionValueList"]
            try:
                self._catalog.update_partition(*_table_key(request), values, entry["PartitionInput"])
            except AwsError as error:
                errors.append({"PartitionValueList": values, "ErrorDetail": _detail(error)})
        return {"Errors": errors}

    def _delete_partition(self, request: Doc, caller: Caller) -> Doc:
        _raise_first(self._catalog.delete_partitions(*_table_key(request), [request["PartitionValues"]]))
        return {}

    def _batch_delete_partition(self, request: Doc, caller: Caller) -> Doc:
        values = [key["Values"] for key in request["PartitionsToDelete"]]
        return {"Errors": self._catalog.delete_partitions(*_table_key(request), values)}


def _for_own_catalog(handler: Handler) -> Handler:
    def checked(request: Doc, caller: Caller) -> Doc:
        catalog_id = request.get("CatalogId")
        if catalog_id not in (None, caller.account_id):
            raise AwsError(
                "EntityNotFoundException",
                f"Catalog {catalog_id} not found: the local AWS has only that of account {caller.account_id}.",
            )
        return handler(request, caller)

    return checked


def _table_key(request: Doc) -> tuple[str, str]:
    return request["DatabaseName"], request["TableName"]


def _with_catalog_id(document: Doc, caller: Caller) -> Doc:
    return {**document, "CatalogId": caller.account_id}


def _version(table: Doc, caller: Caller) -> Doc:
    return {"Table": _with_catalog_id(table, caller), "VersionId": table["VersionId"]}


def _detail(error: AwsError) -> Doc:
    return {"ErrorCode": error.code, "ErrorMessage": error.message}


def _raise_first(errors: Sequence[Doc]) -> None:
    for error in errors:
        raise AwsError(error["ErrorDetail"]["ErrorCode"], error["ErrorDetail"]["ErrorMessage"])


def _segment(values: Sequence[str], total: int) -> int:
    return zlib.crc32("\0".join(values).encode()) % total


def _mentions(table: Doc, text: str, *, exact: bool) -> bool:
    columns = [*table.get("StorageDescriptor", {}).get("Columns", []), *table.get("PartitionKeys", [])]
    words = [table["Name"], table["DatabaseName"], table.get("Description", "")]
    words += [column["Name"] for column in columns] + [column.get("Comment", "") for column in columns]
    searched = lower(text)
    return any(lower(word) == searched if exact else searched in lower(word) for word in words)


def _satisfies(table: Doc, predicate: Doc) -> bool:
    """Return True if a table satisfies a PropertyPredicate, which compares a member or parameter with a value."""
    key, operand = predicate.get("Key", ""), predicate.get("Value", "")
    members = {lower(name): value for name, value in table.items() if isinstance(value, str)}
    found = members.get(lower(key), table["Parameters"].get(key))
    if found is None:
        return False
    comparator = predicate.get("Comparator", "EQUALS")
    if comparator == "EQUALS":
        return lower(operand) in lower(found) if lower(key) == "name" else lower(found) == lower(operand)
    numeric = _is_number(found) and _is_number(operand)
    left, right = (float(found), float(operand)) if numeric else (found, operand)
    return {
        "GREATER_THAN": left > right,
        "LESS_THAN": left < right,
        "GREATER_THAN_EQUALS": left >= right,
        "LESS_THAN_EQUALS": left <= right,
    }[comparator]


def _is_number(text: str) -> bool:
    return re.fullmatch(r"-?\d+(\.\d+)?", text) is not None
