"""Statistics, partition indexes, functions and settings of the Data Catalog: the operations beside `api`."""

from __future__ import annotations

import hashlib
from typing import Any

from lakehouse_local.glue.catalog.patterns import name_pattern
from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.http.wire import AwsError, Caller, Handler, epoch, page

Doc = dict[str, Any]
_INDEXES = 3
# The account's own documents are stored under a database name that no database can have.
_ACCOUNT = ""
_ENCRYPTION_DEFAULT: Doc = {
    "EncryptionAtRest": {"CatalogEncryptionMode": "DISABLED"},
    "ConnectionPasswordEncryption": {"ReturnConnectionPasswordEncrypted": False},
}


def extra_operations(catalog: Catalog) -> dict[str, Handler]:
    """Return the operations by name."""
    extras = _ExtraOperations(catalog)
    return {
        "GetCatalogImportStatus": lambda request, caller: {"ImportStatus": {"ImportCompleted": True}},
        "GetDataCatalogEncryptionSettings": extras.get_encryption,
        "PutDataCatalogEncryptionSettings": extras.put_encryption,
        "GetResourcePolicy": extras.get_policy,
        "PutResourcePolicy": extras.put_policy,
        "DeleteResourcePolicy": extras.delete_policy,
        "GetResourcePolicies": extras.get_policies,
        "UpdateColumnStatisticsForTable": extras.update_statistics,
        "GetColumnStatisticsForTable": extras.get_statistics,
        "DeleteColumnStatisticsForTable": extras.delete_statistics,
        "UpdateColumnStatisticsForPartition": extras.update_statistics,
        "GetColumnStatisticsForPartition": extras.get_statistics,
        "DeleteColumnStatisticsForPartition": extras.delete_statistics,
        "CreatePartitionIndex": extras.create_index,
        "GetPartitionIndexes": extras.get_indexes,
        "DeletePartitionIndex": extras.delete_index,
        "CreateUserDefinedFunction": extras.create_function,
        "UpdateUserDefinedFunction": extras.update_function,
        "GetUserDefinedFunction": extras.get_function,
        "GetUserDefinedFunctions": extras.get_functions,
        "DeleteUserDefinedFunction": extras.delete_function,
    }


class _ExtraOperations:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    # Settings of the account

    def get_encryption(self, request: Doc, caller: Caller) -> Doc:
        stored = self._catalog.extras(_ACCOUNT, "", "encryption").get("settings", _ENCRYPTION_DEFAULT)
        return {"DataCatalogEncryptionSettings": stored}

    def put_encryption(self, request: Doc, caller: Caller) -> Doc:
        settings = {**_ENCRYPTION_DEFAULT, **request["DataCatalogEncryptionSettings"]}
        self._catalog.put_extra(_ACCOUNT, "", "encryption", (), "settings", settings)
        return {}

    def get_policy(self, request: Doc, caller: Caller) -> Doc:
        stored = self._policy(request)
        if stored is None:
            raise AwsError("EntityNotFoundException", "Policy not found")
        return stored

    def put_policy(self, request: Doc, caller: Caller) -> Doc:
        stored = self._policy(request)
        condition = request.get("PolicyExistsCondition", "NONE")
        if stored is not None and condition == "NOT_EXIST":
            raise AwsError("ConditionCheckFailureException", "A policy exists already.")
        if stored is None and condition == "MUST_EXIST":
            raise AwsError("ConditionCheckFailureException", "There is no policy.")
        self._check_hash(stored, request.get("PolicyHashCondition"))
        policy = request["PolicyInJson"]
        digest = hashlib.md5(policy.encode(), usedforsecurity=False).hexdigest()
        now = epoch()
        document = {
            "PolicyInJson": policy,
            "PolicyHash": digest,
            "CreateTime": stored["CreateTime"] if stored else now,
            "UpdateTime": now,
        }
        self._catalog.put_extra(_ACCOUNT, "", "policy", (), request.get("ResourceArn", ""), document)
        return {"PolicyHash": digest}

    def delete_policy(self, request: Doc, caller: Caller) -> Doc:
        stored = self._policy(request)
        if stored is None:
            raise AwsError("EntityNotFoundException", "Policy not found")
        self._check_hash(stored, request.get("PolicyHashCondition"))
        self._catalog.delete_extra(_ACCOUNT, "", "policy", (), request.get("ResourceArn", ""))
        return {}

    def get_policies(self, request: Doc, caller: Caller) -> Doc:
        policies, more = page(list(self._catalog.extras(_ACCOUNT, "", "policy").values()), request, limit=1000)
        return {"GetResourcePoliciesResponseList": policies, **more}

    def _policy(self, request: Doc) -> Doc | None:
        return self._catalog.extras(_ACCOUNT, "", "policy").get(request.get("ResourceArn", ""))

    @staticmethod
    def _check_hash(stored: Doc | None, digest: str | None) -> None:
        if digest and (stored is None or stored["PolicyHash"] != digest):
            raise AwsError("ConditionCheckFailureException", "The policy has another hash.")

    # Column statistics of a table or of a partition

    def update_statistics(self, request: Doc, caller: Caller) -> Doc:
        errors = []
        db, name, part, columns = self._statistics_target(request)
        with self._catalog.change():
            for statistics in request["ColumnStatisticsList"]:
                column = statistics["ColumnName"]
                if column not in columns:
                    error = {"ErrorCode": "EntityNotFoundException", "ErrorMessage": f"Column {column} not found."}
                    errors.append({"ColumnStatistics": statistics, "Error": error})
                    continue
                self._catalog.put_extra(db, name, "statistics", part, column, statistics)
        return {"Errors": errors}

    def get_statistics(self, request: Doc, caller: Caller) -> Doc:
        db, name, part, _ = self._statistics_target(request)
        stored = self._catalog.extras(db, name, "statistics", part)
        names = request["ColumnNames"]
        errors = [
            {
                "ColumnName": column,
                "Error": {"ErrorCode": "EntityNotFoundException", "ErrorMessage": f"No statistics of {column}."},
            }
            for column in names
            if column not in stored
        ]
        return {"ColumnStatisticsList": [stored[column] for column in names if column in stored], "Errors": errors}

    def delete_statistics(self, request: Doc, caller: Caller) -> Doc:
        db, name, part, _ = self._statistics_target(request)
        if not self._catalog.delete_extra(db, name, "statistics", part, request["ColumnName"]):
            raise AwsError("EntityNotFoundException", f"No statistics of column {request['ColumnName']}.")
        return {}

    def _statistics_target(self, request: Doc) -> tuple[str, str, list[str], set[str]]:
        db, name, part = request["DatabaseName"], request["TableName"], request.get("PartitionValues", [])
        table = self._catalog.get_table(db, name)
        if part:
            self._catalog.get_partition(db, name, part)
        columns = [*table.get("StorageDescriptor", {}).get("Columns", []), *table["PartitionKeys"]]
        return db, name, part, {column["Name"] for column in columns}

    # Partition indexes: stored and returned; local queries use none

    def create_index(self, request: Doc, caller: Caller) -> Doc:
        db, name, index = request["DatabaseName"], request["TableName"], request["PartitionIndex"]
        keys = {key["Name"]: key for key in self._catalog.get_table(db, name)["PartitionKeys"]}
        if unknown := [key for key in index["Keys"] if key not in keys]:
            raise AwsError("InvalidInputException", f"Index keys {unknown} are not partition keys of {db}.{name}.")
        stored = self._catalog.extras(db, name, "index")
        if index["IndexName"] in stored:
            raise AwsError("AlreadyExistsException", f"Index with the given indexName : {index['IndexName']} exists.")
        if len(stored) >= _INDEXES:
            raise AwsError("ResourceNumberLimitExceededException", f"A table has at most {_INDEXES} partition indexes.")
        document = {
            "IndexName": index["IndexName"],
            "Keys": [{"Name": key, "Type": keys[key].get("Type", "string")} for key in index["Keys"]],
            "IndexStatus": "ACTIVE",
        }
        self._catalog.put_extra(db, name, "index", (), index["IndexName"], document)
        return {}

    def get_indexes(self, request: Doc, caller: Caller) -> Doc:
        db, name = request["DatabaseName"], request["TableName"]
        self._catalog.get_table(db, name)
        indexes, more = page(list(self._catalog.extras(db, name, "index").values()), request, limit=_INDEXES)
        return {"PartitionIndexDescriptorList": indexes, **more}

    def delete_index(self, request: Doc, caller: Caller) -> Doc:
        db, name = request["DatabaseName"], request["TableName"]
        self._catalog.get_table(db, name)
        if not self._catalog.delete_extra(db, name, "index", (), request["IndexName"]):
            raise AwsError(
                "EntityNotFoundException", f"Index with the given indexName : {request['IndexName']} not found."
            )
        return {}

    # User defined functions: their definitions, which the local Athena does not call

    def create_function(self, request: Doc, caller: Caller) -> Doc:
        db, function = request["DatabaseName"], request["FunctionInput"]
        self._catalog.get_database(db)
        name = function["FunctionName"].lower()
        if name in self._catalog.extras(db, "", "function"):
            raise AwsError("AlreadyExistsException", f"Function already exists: {name}")
        self._put_function(db, name, function, epoch(), caller)
        return {}

    def update_function(self, request: Doc, caller: Caller) -> Doc:
        before = self._function(request)
        self._put_function(
            request["DatabaseName"], before["FunctionName"], request["FunctionInput"], before["CreateTime"], caller
        )
        return {}

    def get_function(self, request: Doc, caller: Caller) -> Doc:
        return {"UserDefinedFunction": self._function(request)}

    def get_functions(self, request: Doc, caller: Caller) -> Doc:
        if db := request.get("DatabaseName"):
            databases = [self._catalog.get_database(db)["Name"]]
        else:
            databases = [database["Name"] for database in self._catalog.get_databases()]
        matches = name_pattern(request["Pattern"])
        found = [
            function
            for database in databases
            for name, function in self._catalog.extras(database, "", "function").items()
            if matches(name)
        ]
        functions, more = page(found, request, limit=100)
        return {"UserDefinedFunctions": functions, **more}

    def delete_function(self, request: Doc, caller: Caller) -> Doc:
        name = self._function(request)["FunctionName"]
        self._catalog.delete_extra(request["DatabaseName"], "", "function", (), name)
        return {}

    def _function(self, request: Doc) -> Doc:
        name = request["FunctionName"].lower()
        self._catalog.get_database(request["DatabaseName"])
        found = self._catalog.extras(request["DatabaseName"], "", "function").get(name)
        if found is None:
            raise AwsError("EntityNotFoundException", f"Function {request['DatabaseName'].lower()}.{name} not found.")
        return found

    def _put_function(self, db: str, name: str, function: Doc, created: float, caller: Caller) -> None:
        document = {
            **function,
            "FunctionName": name,
            "DatabaseName": db.lower(),
            "CreateTime": created,
            "CatalogId": caller.account_id,
        }
        self._catalog.put_extra(db, "", "function", (), name, document)
