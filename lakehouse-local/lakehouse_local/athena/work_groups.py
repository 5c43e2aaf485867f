"""Work groups: the location of their results, the limit on bytes scanned, their tags."""

from __future__ import annotations

import re
from typing import Any

from lakehouse_local.documents import Documents
from lakehouse_local.http.wire import AwsError, Caller, epoch, page

Doc = dict[str, Any]
PRIMARY = "primary"
ENGINE = {"SelectedEngineVersion": "AUTO", "EffectiveEngineVersion": "Athena engine version 3"}
MIN_CUTOFF = 10_000_000  # bytes, AWS's own
_NAME = re.compile(r"[a-zA-Z0-9._-]{1,128}")

_DEFAULTS: Doc = {
    "ResultConfiguration": {},
    "EnforceWorkGroupConfiguration": True,  # AWS's default
    "PublishCloudWatchMetricsEnabled": True,
    "RequesterPaysEnabled": False,
    "EngineVersion": ENGINE,
}


class WorkGroups:
    """The operations on work groups, which are documents in SQLite."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        if documents.get("workgroup", PRIMARY) is None:
            configuration = {"EnforceWorkGroupConfiguration": False, "PublishCloudWatchMetricsEnabled": False}
            self._put(PRIMARY, {**_DEFAULTS, **configuration}, "", "ENABLED")
        self.operations = {
            "CreateWorkGroup": self.create,
            "GetWorkGroup": self.get,
            "UpdateWorkGroup": self.update,
            "DeleteWorkGroup": self.delete,
            "ListWorkGroups": self.list,
            "ListEngineVersions": lambda request, caller: {"EngineVersions": [ENGINE]},
            "TagResource": self.tag,
            "UntagResource": self.untag,
            "ListTagsForResource": self.list_tags,
        }

    def find(self, name: str) -> Doc:
        """Return a work group.

        :raises AwsError: InvalidRequestException when there is none
        """
        found = self._documents.get("workgroup", name)
        if found is None:
            raise AwsError("InvalidRequestException", f"WorkGroup {name} is not found.")
        return found

    def _put(self, name: str, configuration: Doc, description: str, state: str) -> None:
        before = self._documents.get("workgroup", name) or {"CreationTime": epoch()}
        cutoff = configuration.get("BytesScannedCutoffPerQuery")
        if cutoff is not None and cutoff < MIN_CUTOFF:
            message = f"BytesScannedCutoffPerQuery must be at least {MIN_CUTOFF}, not {cutoff}"
            raise AwsError("InvalidRequestException", message)
        document = {**before, "Name": name, "State": state, "Configuration": configuration, "Description": description}
        self._documents.put("workgroup", name, document)

    def create(self, request: Doc, caller: Caller) -> Doc:
        name = request["Name"]
        if not _NAME.fullmatch(name):
            message = f"WorkGroup name {name!r} must be 1 to 128 letters, digits, dots, underscores and hyphens"
            raise AwsError("InvalidRequestException", message)
        if self._documents.get("workgroup", name) is not None:
            raise AwsError("InvalidRequestException", f"WorkGroup {name} is already created")
        configuration = {**_DEFAULTS, **request.get("Configuration", {}), "EngineVersion": ENGINE}
        self._put(name, configuration, request.get("Description", ""), "ENABLED")
        if tags := request.get("Tags"):
            self.tag({"ResourceARN": _arn(caller, name), "Tags": tags}, caller)
        return {}

    def get(self, request: Doc, caller: Caller) -> Doc:
        return {"WorkGroup": self.find(request["WorkGroup"])}

    def update(self, request: Doc, caller: Caller) -> Doc:
        before = self.find(request["WorkGroup"])
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
        description = str(request.get("Description", before["Description"]))
        self._put(before["Name"], configuration, description, str(request.get("State", before["State"])))
        return {}

    def delete(self, request: Doc, caller: Caller) -> Doc:
        name = self.find(request["WorkGroup"])["Name"]
        if name == PRIMARY:
            raise AwsError("InvalidRequestException", "The primary WorkGroup cannot be deleted")
        used = any(self._documents.newest(kind, name, limit=1) for kind in ("named", "prepared", "execution"))
        if used and not request.get("RecursiveDeleteOption"):
            raise AwsError("InvalidRequestException", f"WorkGroup {name} is not empty")
        for kind in ("named", "prepared"):
            self._documents.delete_owned(kind, name)
        self._documents.delete("workgroup", name)
        self._documents.delete("tags", _arn(caller, name))
        return {}

    def list(self, request: Doc, caller: Caller) -> Doc:
        members = ("Name", "State", "Description", "CreationTime")
        shown = [
            {**{member: each[member] for member in members}, "EngineVersion": ENGINE}
            for each in self._documents.all("workgroup")
        ]
        found, token = page(shown, request, limit=50)
        return {"WorkGroups": found, **token}

    # Tags

    def tag(self, request: Doc, caller: Caller) -> Doc:
        arn = self._taggable(request, caller)
        added = {each["Key"]: each.get("Value", "") for each in request["Tags"]}
        self._documents.put("tags", arn, {**(self._documents.get("tags", arn) or {}), **added})
        return {}

    def untag(self, request: Doc, caller: Caller) -> Doc:
        arn = self._taggable(request, caller)
        kept = {k: v for k, v in (self._documents.get("tags", arn) or {}).items() if k not in request["TagKeys"]}
        self._documents.put("tags", arn, kept)
        return {}

    def list_tags(self, request: Doc, caller: Caller) -> Doc:
        tags = self._documents.get("tags", self._taggable(request, caller)) or {}
        found, token = page([{"Key": k, "Value": v} for k, v in sorted(tags.items())], request, limit=75)
        return {"Tags": found, **token}

    def _taggable(self, request: Doc, caller: Caller) -> str:
        arn: str = request["ResourceARN"]
        name = arn.rpartition("workgroup/")[2]
        known = arn == _arn(caller, name) and self._documents.get("workgroup", name) is not None
        if not known and arn != caller.arn("athena", "datacatalog/AwsDataCatalog"):
            raise AwsError("ResourceNotFoundException", f"Resource {arn} does not exist", ResourceName=arn)
        return arn


def _arn(caller: Caller, name: str) -> str:
    return caller.arn("athena", f"workgroup/{name}")
