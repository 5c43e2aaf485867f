"""What Athena keeps besides queries: work groups, prepared statements, named queries, tags, data catalogs."""

from __future__ import annotations

import time
import uuid
from typing import Any

from airflow_lakehouse_provider.local_aws.glue.documents import Documents
from airflow_lakehouse_provider.local_aws.wire import AwsError, Caller, page

Doc = dict[str, Any]
PRIMARY = "primary"
ENGINE = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}
CATALOG = "AwsDataCatalog"
LOWEST_CUTOFF = 10_000_000  # bytes, AWS's own


class Settings:
    """The operations on these; documents in sqlite."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        if documents.get("workgroup", PRIMARY) is None:
            configuration = {"EnforceWorkGroupConfiguration": False, "PublishCloudWatchMetricsEnabled": False}
            self._put_work_group(PRIMARY, {**_DEFAULTS, **configuration}, "")
        self.operations = {
            "CreateWorkGroup": self.create_work_group,
            "GetWorkGroup": self.get_work_group,
            "UpdateWorkGroup": self.update_work_group,
            "DeleteWorkGroup": self.delete_work_group,
            "ListWorkGroups": self.list_work_groups,
            "ListEngineVersions": lambda request, caller: {"EngineVersions": [ENGINE]},
            "TagResource": self.tag,
            "UntagResource": self.untag,
            "ListTagsForResource": self.list_tags,
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

    # Work groups

    def work_group(self, name: str) -> Doc:
        """A work group.

        :raises AwsError: InvalidRequestException when there is none
        """
        found = self._documents.get("workgroup", name)
        if found is None:
            raise AwsError("InvalidRequestException", f"WorkGroup {name} is not found.")
        return found

    def _put_work_group(self, name: str, configuration: Doc, description: str, state: str = "ENABLED") -> None:
        before = self._documents.get("workgroup", name) or {"CreationTime": time.time()}
        cutoff = configuration.get("BytesScannedCutoffPerQuery")
        if cutoff is not None and cutoff < LOWEST_CUTOFF:
            raise AwsError("InvalidRequestException", f"BytesScannedCutoffPerQuery must be at least {LOWEST_CUTOFF}")
        document = {**before, "Name": name, "State": state, "Configuration": configuration, "Description": description}
        self._documents.put("workgroup", name, document)

    def create_work_group(self, request: Doc, caller: Caller) -> Doc:
        if self._documents.get("workgroup", request["Name"]) is not None:
            raise AwsError("InvalidRequestException", "WorkGroup is already created")
        given = {**_DEFAULTS, **request.get("Configuration", {}), "EngineVersion": ENGINE}
        self._put_work_group(request["Name"], given, request.get("Description", ""))
        self._put_tags(_work_group_arn(caller, request["Name"]), request.get("Tags", []))
        return {}

    def get_work_group(self, request: Doc, caller: Caller) -> Doc:
        return {"WorkGroup": self.work_group(request["WorkGroup"])}

    def update_work_group(self, request: Doc, caller: Caller) -> Doc:
        before = self.work_group(request["WorkGroup"])
        configuration = dict(before["Configuration"])
        updates = dict(request.get("ConfigurationUpdates", {}))
        if updates.pop("RemoveBytesScannedCutoffPerQuery", False):
            configuration.pop("BytesScannedCutoffPerQuery", None)
        results = dict(configuration.get("ResultConfiguration", {}))
        for name, value in updates.pop("ResultConfigurationUpdates", {}).items():
            if name.startswith("Remove"):
                results.pop(name.removeprefix("Remove"), None)
            else:
                results[name] = value
        configuration |= {"ResultConfiguration": results, **updates, "EngineVersion": ENGINE}
        description = request.get("Description", before.get("Description", ""))
        self._put_work_group(before["Name"], configuration, description, request.get("State", before["State"]))
        return {}

    def delete_work_group(self, request: Doc, caller: Caller) -> Doc:
        name = self.work_group(request["WorkGroup"])["Name"]
        if name == PRIMARY:
            raise AwsError("InvalidRequestException", "The primary WorkGroup cannot be deleted")
        used = any(self._documents.newest(kind, name, limit=1) for kind in ("named", "prepared", "execution"))
        if used and not request.get("RecursiveDeleteOption"):
            raise AwsError("InvalidRequestException", f"WorkGroup {name} is not empty")
        for kind in ("named", "prepared"):
            self._documents.delete_owned(kind, name)
        self._documents.delete("workgroup", name)
        self._documents.delete("tags", _work_group_arn(caller, name))
        return {}

    def list_work_groups(self, request: Doc, caller: Caller) -> Doc:
        shown = [
            {"Name": each["Name"], "State": each["State"], "Description": each.get("Description", ""),
             "CreationTime": each["CreationTime"], "EngineVersion": ENGINE}
            for each in self._documents.all("workgroup")
        ]  # fmt: skip
        found, token = page(shown, request, limit=50)
        return {"WorkGroups": found, **token}

    # Tags

    def _put_tags(self, arn: str, tags: list[Doc]) -> None:
        self._documents.put("tags", arn, {each["Key"]: each["Value"] for each in tags})

    def tag(self, request: Doc, caller: Caller) -> Doc:
        arn = request["ResourceARN"]
        added = {each["Key"]: each["Value"] for each in request["Tags"]}
        self._documents.put("tags", arn, {**(self._documents.get("tags", arn) or {}), **added})
        return {}

    def untag(self, request: Doc, caller: Caller) -> Doc:
        arn = request["ResourceARN"]
        kept = {k: v for k, v in (self._documents.get("tags", arn) or {}).items() if k not in request["TagKeys"]}
        self._documents.put("tags", arn, kept)
        return {}

    def list_tags(self, request: Doc, caller: Caller) -> Doc:
        tags = self._documents.get("tags", request["ResourceARN"]) or {}
        return {"Tags": [{"Key": key, "Value": value} for key, value in sorted(tags.items())]}

    # Prepared statements

    def prepared(self, name: str, work_group: str) -> Doc:
        """A prepared statement.

        :raises AwsError: ResourceNotFoundException when there is none
        """
        found = self._documents.get("prepared", f"{work_group}/{name}")
        if found is None:
            raise AwsError("ResourceNotFoundException", f"PreparedStatement {name} was not found in workGroup {work_group}")
        return found

    def put_prepared(self, name: str, work_group: str, statement: str, description: str = "") -> None:
        document = {
            "StatementName": name, "QueryStatement": statement, "WorkGroupName": work_group, "Description": description,
            "LastModifiedTime": time.time(),
        }  # fmt: skip
        self._documents.put("prepared", f"{work_group}/{name}", document, work_group)

    def create_prepared(self, request: Doc, caller: Caller) -> Doc:
        name, group = request["StatementName"], self.work_group(request["WorkGroup"])["Name"]
        if self._documents.get("prepared", f"{group}/{name}") is not None:
            raise AwsError("InvalidRequestException", f"PreparedStatement {name} already exists in workGroup {group}")
        self.put_prepared(name, group, request["QueryStatement"], request.get("Description", ""))
        return {}

    def get_prepared(self, request: Doc, caller: Caller) -> Doc:
        return {"PreparedStatement": self.prepared(request["StatementName"], request["WorkGroup"])}

    def update_prepared(self, request: Doc, caller: Caller) -> Doc:
        found = self.prepared(request["StatementName"], request["WorkGroup"])
        description = request.get("Description", found.get("Description", ""))
        self.put_prepared(found["StatementName"], found["WorkGroupName"], request["QueryStatement"], description)
        return {}

    def delete_prepared(self, request: Doc, caller: Caller) -> Doc:
        found = self.prepared(request["StatementName"], request["WorkGroup"])
        self._documents.delete("prepared", f"{found['WorkGroupName']}/{found['StatementName']}")
        return {}

    def list_prepared(self, request: Doc, caller: Caller) -> Doc:
        group = self.work_group(request["WorkGroup"])["Name"]
        shown = [
            {"StatementName": each["StatementName"], "LastModifiedTime": each["LastModifiedTime"]}
            for _, each in self._documents.newest("prepared", group)
        ]
        found, token = page(shown, request, limit=50)
        return {"PreparedStatements": found, **token}

    def batch_get_prepared(self, request: Doc, caller: Caller) -> Doc:
        group = self.work_group(request["WorkGroup"])["Name"]
        names = request["PreparedStatementNames"]
        found = {name: self._documents.get("prepared", f"{group}/{name}") for name in names}
        return {
            "PreparedStatements": [each for each in found.values() if each],
            "UnprocessedPreparedStatementNames": [
                {"StatementName": name, "ErrorCode": "STATEMENT_NOT_FOUND", "ErrorMessage": "prepared statement not found"}
                for name, each in found.items()
                if not each
            ],
        }

    # Named queries

    def create_named(self, request: Doc, caller: Caller) -> Doc:
        group = self.work_group(request.get("WorkGroup", PRIMARY))["Name"]
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
        self._documents.put("named", request["NamedQueryId"], {**self._named(request["NamedQueryId"]), **request})
        return {}

    def delete_named(self, request: Doc, caller: Caller) -> Doc:
        self._documents.delete("named", self._named(request["NamedQueryId"])["NamedQueryId"])
        return {}

    def list_named(self, request: Doc, caller: Caller) -> Doc:
        group = self.work_group(request.get("WorkGroup", PRIMARY))["Name"]
        ids = [each["NamedQueryId"] for _, each in self._documents.newest("named", group)]
        found, token = page(ids, request, limit=50)
        return {"NamedQueryIds": found, **token}

    def batch_get_named(self, request: Doc, caller: Caller) -> Doc:
        found = {query_id: self._documents.get("named", query_id) for query_id in request["NamedQueryIds"]}
        return {
            "NamedQueries": [each for each in found.values() if each],
            "UnprocessedNamedQueryIds": [
                {"NamedQueryId": query_id, "ErrorCode": "NOT_FOUND", "ErrorMessage": "named query not found"}
                for query_id, each in found.items()
                if not each
            ],
        }


_DEFAULTS: Doc = {
    "ResultConfiguration": {},
    "EnforceWorkGroupConfiguration": True,  # AWS's default for a work group that does not say
    "PublishCloudWatchMetricsEnabled": True,
    "RequesterPaysEnabled": False,
    "EngineVersion": ENGINE,
}


def _work_group_arn(caller: Caller, name: str) -> str:
    return caller.arn("athena", f"workgroup/{name}")
