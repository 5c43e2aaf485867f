"""Saved statements of work groups: prepared statements and named queries."""

from __future__ import annotations

import uuid
from typing import Any

from lakehouse_local.athena.work_groups import PRIMARY, WorkGroups
from lakehouse_local.documents import Documents
from lakehouse_local.http.wire import AwsError, Caller, epoch, page

Doc = dict[str, Any]


class SavedStatements:
    """The operations on saved statements, which are documents owned by their work group."""

    def __init__(self, documents: Documents, groups: WorkGroups) -> None:
        self._documents = documents
        self._groups = groups
        self.operations = {
            "CreatePreparedStatement": self.create_prepared,
            "GetPreparedStatement": self.get_prepared,
            "UpdatePreparedStatement": self.update_prepared,
            "DeletePreparedStatement": self.delete_prepared,
            "ListPreparedStatements": self.list_prepared,
            "BatchGetPreparedStatement": self.batch_get_prepared,
            "CreateNamedQuery": self.create_named,
            "GetNamedQuery": self.get_named,
            "UpdateNamedQuery": self.update_named,
            "DeleteNamedQuery": self.delete_named,
            "ListNamedQueries": self.list_named,
            "BatchGetNamedQuery": self.batch_get_named,
        }

    # Prepared statements

    def prepared(self, name: str, group: str) -> Doc:
        """Return a prepared statement.

        :raises AwsError: ResourceNotFoundException when there is none
        """
        found = self._documents.get("prepared", f"{group}/{name}")
        if found is None:
            message = f"PreparedStatement {name} was not found in workGroup {group}"
            raise AwsError("ResourceNotFoundException", message)
        return found

    def put_prepared(self, name: str, group: str, statement: str, description: str = "") -> None:
        """Save a prepared statement; one of this name is replaced."""
        document = {
            "StatementName": name,
            "QueryStatement": statement,
            "WorkGroupName": group,
            "Description": description,
            "LastModifiedTime": epoch(),
        }
        self._documents.put("prepared", f"{group}/{name}", document, group)

    def drop_prepared(self, name: str, group: str) -> None:
        """Delete a prepared statement, which must exist."""
        self.prepared(name, group)
        self._documents.delete("prepared", f"{group}/{name}")

    def create_prepared(self, request: Doc, caller: Caller) -> Doc:
        name, group = request["StatementName"], self._groups.find(request["WorkGroup"])["Name"]
        if self._documents.get("prepared", f"{group}/{name}") is not None:
            message = f"PreparedStatement {name} already exists in workGroup {group}"
            raise AwsError("InvalidRequestException", message)
        self.put_prepared(name, group, request["QueryStatement"], request.get("Description", ""))
        return {}

    def get_prepared(self, request: Doc, caller: Caller) -> Doc:
        return {"PreparedStatement": self.prepared(request["StatementName"], request["WorkGroup"])}

    def update_prepared(self, request: Doc, caller: Caller) -> Doc:
        before = self.prepared(request["StatementName"], request["WorkGroup"])
        description = str(request.get("Description", before["Description"]))
        self.put_prepared(before["StatementName"], before["WorkGroupName"], request["QueryStatement"], description)
        return {}

    def delete_prepared(self, request: Doc, caller: Caller) -> Doc:
        self.drop_prepared(request["StatementName"], request["WorkGroup"])
        return {}

    def list_prepared(self, request: Doc, caller: Caller) -> Doc:
        group = self._groups.find(request["WorkGroup"])["Name"]
        shown = [
            {"StatementName": each["StatementName"], "LastModifiedTime": each["LastModifiedTime"]}
            for _, each in self._documents.newest("prepared", group)
        ]
        found, token = page(shown, request, limit=50)
        return {"PreparedStatements": found, **token}

    def batch_get_prepared(self, request: Doc, caller: Caller) -> Doc:
        group = self._groups.find(request["WorkGroup"])["Name"]
        wanted = request["PreparedStatementNames"]
        found = {name: self._documents.get("prepared", f"{group}/{name}") for name in wanted}
        return {
            "PreparedStatements": [each for each in found.values() if each],
            "UnprocessedPreparedStatementNames": [
                {"StatementName": name, "ErrorCode": "STATEMENT_NOT_FOUND", "ErrorMessage": f"{name} was not found"}
                for name, each in found.items()
                if not each
            ],
        }

    # Named queries

    def create_named(self, request: Doc, caller: Caller) -> Doc:
        group = self._groups.find(request.get("WorkGroup", PRIMARY))["Name"]
        query_id = str(uuid.uuid4())
        members = ("Name", "Description", "Database", "QueryString")
        document = {name: request[name] for name in members if name in request}
        self._documents.put("named", query_id, {**document, "NamedQueryId": query_id, "WorkGroup": group}, group)
        return {"NamedQueryId": query_id}

    def _named(self, query_id: str) -> Doc:
        found = self._documents.get("named", query_id)
        if found is None:
            raise AwsError("InvalidRequestException", f"NamedQuery {query_id} was not found")
        return found

    def get_named(self, request: Doc, caller: Caller) -> Doc:
        return {"NamedQuery": self._named(request["NamedQueryId"])}

    def update_named(self, request: Doc, caller: Caller) -> Doc:
        members = ("Name", "Description", "QueryString")
        changed = {name: request[name] for name in members if name in request}
        self._documents.put("named", request["NamedQueryId"], {**self._named(request["NamedQueryId"]), **changed})
        return {}

    def delete_named(self, request: Doc, caller: Caller) -> Doc:
        self._documents.delete("named", self._named(request["NamedQueryId"])["NamedQueryId"])
        return {}

    def list_named(self, request: Doc, caller: Caller) -> Doc:
        group = self._groups.find(request.get("WorkGroup", PRIMARY))["Name"]
        ids = [each["NamedQueryId"] for _, each in self._documents.newest("named", group)]
        found, token = page(ids, request, limit=50)
        return {"NamedQueryIds": found, **token}

    def batch_get_named(self, request: Doc, caller: Caller) -> Doc:
        found = {query_id: self._documents.get("named", query_id) for query_id in request["NamedQueryIds"]}
        return {
            "NamedQueries": [each for each in found.values() if each],
            "UnprocessedNamedQueryIds": [
                {"NamedQueryId": query_id, "ErrorCode": "NOT_FOUND", "ErrorMessage": f"{query_id} was not found"}
                for query_id, each in found.items()
                if not each
            ],
        }
