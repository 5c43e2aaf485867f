"""Tags of Glue's resources, by ARN: databases, jobs, crawlers and the rest in one place."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import Any

from lakehouse_local.http.wire import AwsError, Caller

_MOST = 50
# Operations that make a resource (with the tags they carry) or delete it -> type in its ARN, path to its name
_MAKES = {
    "CreateDatabase": ("database", ("DatabaseInput", "Name")),
    "CreateJob": ("job", ("Name",)),
    "CreateCrawler": ("crawler", ("Name",)),
}
_DELETES = {
    "DeleteDatabase": ("database", ("Name",)),
    "DeleteJob": ("job", ("JobName",)),
    "DeleteCrawler": ("crawler", ("Name",)),
}


class Tags:
    """TagResource, UntagResource and GetTags; the server has it :meth:`follow` every operation of Glue."""

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
            "GetTags": lambda request, caller: {"Tags": self.of(_arn(request))},
        }

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def of(self, arn: str) -> dict[str, str]:
        """The tags of a resource; none when it has none or is not there."""
        with self._lock:
            return dict(self._connection.execute("SELECT key, value FROM tags WHERE arn = ? ORDER BY key", (arn,)))

    def put(self, arn: str, tags: dict[str, str]) -> None:
        """Add tags, or change those of the same key.

        :raises AwsError: InvalidInputException beyond 50 tags
        """
        after = {**self.of(arn), **tags}
        if len(after) > _MOST:
            raise AwsError("InvalidInputException", f"{arn} would have {len(after)} tags; {_MOST} are the most")
        with self._lock, self._connection:
            self._connection.executemany(
                "INSERT OR REPLACE INTO tags VALUES (?, ?, ?)", [(arn, key, value) for key, value in tags.items()]
            )

    def forget(self, arn: str) -> None:
        """Delete a resource's tags with it."""
        with self._lock:
            self._connection.execute("DELETE FROM tags WHERE arn = ?", (arn,))

    def follow(self, operation: str, request: dict[str, Any], caller: Caller) -> None:
        """Keep step with an operation that succeeded: a resource is made with its tags, and deleted with them."""
        if operation in _MAKES and request.get("Tags"):
            self.put(_arn_of(*_MAKES[operation], request, caller), request["Tags"])
        elif operation in _DELETES:
            self.forget(_arn_of(*_DELETES[operation], request, caller))

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


def _arn_of(kind: str, path: tuple[str, ...], request: Any, caller: Caller) -> str:
    for member in path:
        request = request[member]
    return caller.arn("glue", f"{kind}/{request.lower() if kind == 'database' else request}")


def _arn(request: dict[str, Any]) -> str:
    arn = str(request["ResourceArn"])
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[0] != "arn" or parts[2] != "glue" or not parts[5]:
        raise AwsError("InvalidInputException", f"{arn!r} is not the ARN of a Glue resource")
    return arn
