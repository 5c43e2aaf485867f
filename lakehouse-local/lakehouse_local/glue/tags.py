"""Tags of Glue's resources, by ARN: of databases, jobs, crawlers and every other type."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

from lakehouse_local.http.wire import AwsError, Caller

_MOST_TAGS = 50
# Operations that create a resource (with the tags in their request) or delete it -> type in its ARN, path to its name
_CREATIONS = {
    "CreateDatabase": ("database", ("DatabaseInput", "Name")),
    "CreateJob": ("job", ("Name",)),
    "CreateCrawler": ("crawler", ("Name",)),
}
_DELETIONS = {
    "DeleteDatabase": ("database", ("Name",)),
    "DeleteJob": ("job", ("JobName",)),
    "DeleteCrawler": ("crawler", ("Name",)),
}


class Tags:
    """TagResource, UntagResource and GetTags; the server passes every operation of Glue to :meth:`follow`.

    :param path_to_sqlite: made when missing
    """

    target = "AWSGlue"

    def __init__(self, path_to_sqlite: Path | str) -> None:
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path_to_sqlite, check_same_thread=False, isolation_level=None, timeout=30)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS tags (arn TEXT, key TEXT, value TEXT, PRIMARY KEY (arn, key)) WITHOUT ROWID"
        )
        self.operations = {
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "GetTags": lambda request, caller: {"Tags": self.get(_arn(request))},
        }

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def get(self, arn: str) -> dict[str, str]:
        """Return the tags of a resource; empty if it has none or does not exist."""
        with self._lock:
            return dict(self._connection.execute("SELECT key, value FROM tags WHERE arn = ? ORDER BY key", (arn,)))

    def put(self, arn: str, tags: dict[str, str]) -> None:
        """Add tags to a resource, or change those with the same key.

        :raises AwsError: InvalidInputException if it would have more than 50 tags
        """
        after = {**self.get(arn), **tags}
        if len(after) > _MOST_TAGS:
            raise AwsError(
                "InvalidInputException", f"{arn} would have {len(after)} tags; at most {_MOST_TAGS} are allowed"
            )
        with self._lock, self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", [(arn, key, value) for key, value in tags.items()]
            )

    def delete(self, arn: str) -> None:
        """Delete the tags of a resource that was deleted."""
        with self._lock:
            self._connection.execute("DELETE FROM tags WHERE arn = ?", (arn,))

    def follow(self, operation: str, request: dict[str, Any], caller: Caller) -> None:
        """Store the tags of a resource that an operation created, or delete those of one that it deleted.

        :param operation: an operation of Glue that succeeded
        """
        if operation in _CREATIONS and request.get("Tags"):
            self.put(_created_arn(*_CREATIONS[operation], request, caller), request["Tags"])
        elif operation in _DELETIONS:
            self.delete(_created_arn(*_DELETIONS[operation], request, caller))

    def _tag(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        self.put(_arn(request), request["TagsToAdd"])
        return {}

    def _untag(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        arn = _arn(request)
        with self._lock, self._connection:
            self._connection.executemany(
                "DELETE FROM tags WHERE arn = ? AND key = ?", [(arn, key) for key in request["TagsToRemove"]]
            )
        return {}


def _created_arn(type_: str, path: tuple[str, ...], request: Any, caller: Caller) -> str:
    for member in path:
        request = request[member]
    return caller.arn("glue", f"{type_}/{request.lower() if type_ == 'database' else request}")


def _arn(request: dict[str, Any]) -> str:
    """Return a request's ResourceArn.

    :raises AwsError: InvalidInputException if it is not the ARN of a Glue resource
    """
    arn = str(request["ResourceArn"])
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "glue" or not parts[5]:
        raise AwsError("InvalidInputException", f"{arn!r} is not the ARN of a Glue resource")
    return arn
