"""Athena's API of the Data Catalog: data catalogs, databases, metadata of tables."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.http.wire import AwsError, Caller, page

Doc = dict[str, Any]
_T = TypeVar("_T")
CATALOG = "AwsDataCatalog"


class DataCatalogs:
    """The operations on the one data catalog: AwsDataCatalog."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.operations = {
            "GetDataCatalog": self.get_data_catalog,
            "ListDataCatalogs": self.list_data_catalogs,
            "GetDatabase": self.get_database,
            "ListDatabases": self.list_databases,
            "GetTableMetadata": self.get_table,
            "ListTableMetadata": self.list_tables,
        }

    def get_data_catalog(self, request: Doc, caller: Caller) -> Doc:
        _require(request["Name"])
        return {"DataCatalog": {"Name": CATALOG, "Type": "GLUE", "Parameters": {"catalog-id": caller.account_id}}}

    def list_data_catalogs(self, request: Doc, caller: Caller) -> Doc:
        return {"DataCatalogsSummary": [{"CatalogName": CATALOG, "Type": "GLUE"}]}

    def get_database(self, request: Doc, caller: Caller) -> Doc:
        _require(request["CatalogName"])
        return {"Database": _database(_metadata(lambda: self._catalog.get_database(request["DatabaseName"])))}

    def list_databases(self, request: Doc, caller: Caller) -> Doc:
        _require(request["CatalogName"])
        found, token = page(self._catalog.get_databases(), request, limit=50)
        return {"DatabaseList": [_database(each) for each in found], **token}

    def get_table(self, request: Doc, caller: Caller) -> Doc:
        _require(request["CatalogName"])
        names = (request["DatabaseName"], request["TableName"])
        return {"TableMetadata": _table(_metadata(lambda: self._catalog.get_table(*names)))}

    def list_tables(self, request: Doc, caller: Caller) -> Doc:
        _require(request["CatalogName"])
        tables = _metadata(lambda: self._catalog.get_tables(request["DatabaseName"]))
        if expression := request.get("Expression"):
            try:
                wanted = re.compile(re.sub(r"(?<![.\])])\*", ".*", expression), re.IGNORECASE)
            except re.error as error:
                message = f"Expression {expression!r} is not a regular expression: {error}"
                raise AwsError("InvalidRequestException", message) from None
            tables = [each for each in tables if wanted.fullmatch(each["Name"])]
        found, token = page(tables, request, limit=50)
        return {"TableMetadataList": [_table(each) for each in found], **token}


def _require(name: str) -> None:
    if name.lower() != CATALOG.lower():
        raise AwsError(
            "InvalidRequestException", f"Data catalog {name} was not found: the local AWS has only {CATALOG}"
        )


def _metadata(find: Callable[[], _T]) -> _T:
    try:
        return find()
    except AwsError as error:
        raise AwsError("MetadataException", f"{error.code}: {error.message}") from None


def _database(database: Doc) -> Doc:
    return {name: database[name] for name in ("Name", "Description", "Parameters") if name in database}


def _table(table: Doc) -> Doc:
    return {
        "Name": table["Name"],
        "CreateTime": table["CreateTime"],
        "TableType": table.get("TableType", ""),
        "Columns": _columns(table.get("StorageDescriptor", {}).get("Columns", [])),
        "PartitionKeys": _columns(table.get("PartitionKeys", [])),
        "Parameters": table.get("Parameters", {}),
    }


def _columns(columns: Sequence[Doc]) -> list[Doc]:
    return [{name: each[name] for name in ("Name", "Type", "Comment") if name in each} for each in columns]
