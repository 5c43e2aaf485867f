"""Object store and Data Catalog for one principal: what a service does on its behalf is judged like an API call.

Each method is judged as the AWS operation that does the same; methods without such an operation are not judged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.iam.access import AccessDenied
from lakehouse_local.s3.store import ObjectStore, StoredObject
from lakehouse_local.s3.uri import split_s3_uri

if TYPE_CHECKING:
    from lakehouse_local.glue.logs import WriteLog
    from lakehouse_local.iam.enforcement import Judge

log = logging.getLogger(__name__)


class EquivalentCall(NamedTuple):
    """The AWS operation that does the same as a method.

    :ivar parameters: function from the method's arguments to the operation's parameters
    """

    operation: str
    parameters: Callable[..., Mapping[str, Any]]


def _table(db: str, name: str, *_: Any) -> dict[str, Any]:
    return {"DatabaseName": db, "Name": name}


def _with_input(db: str, table_input: Mapping[str, Any]) -> dict[str, Any]:
    return {"DatabaseName": db, "TableInput": table_input}


def _in_table(db: str, table: str, *_: Any) -> dict[str, Any]:
    return {"DatabaseName": db, "TableName": table}


def _database(name: str, *_: Any) -> dict[str, Any]:
    return {"Name": name}


_CATALOG = {
    "create_database": EquivalentCall("CreateDatabase", lambda given: {"DatabaseInput": given}),
    "get_database": EquivalentCall("GetDatabase", _database),
    "get_databases": EquivalentCall("GetDatabases", dict),
    "update_database": EquivalentCall("UpdateDatabase", _database),
    "delete_database": EquivalentCall("DeleteDatabase", _database),
    "create_table": EquivalentCall("CreateTable", _with_input),
    "get_table": EquivalentCall("GetTable", _table),
    "get_tables": EquivalentCall("GetTables", lambda db: {"DatabaseName": db}),
    "update_table": EquivalentCall("UpdateTable", _with_input),
    "delete_table": EquivalentCall("DeleteTable", _table),
    "create_partitions": EquivalentCall("BatchCreatePartition", _in_table),
    "get_partition": EquivalentCall("GetPartition", _in_table),
    "get_partitions": EquivalentCall("GetPartitions", _in_table),
    "update_partition": EquivalentCall("UpdatePartition", _in_table),
    "delete_partitions": EquivalentCall("BatchDeletePartition", _in_table),
}


def _object(uri: str) -> dict[str, Any]:
    bucket, key = split_s3_uri(uri)
    return {"Bucket": bucket, "Key": key}


def _listing(uri_prefix: str) -> dict[str, Any]:
    bucket, prefix = split_s3_uri(uri_prefix)
    return {"Bucket": bucket, "Prefix": prefix}


_STORE = {
    "read": EquivalentCall("GetObject", _object),
    "exists": EquivalentCall("HeadObject", _object),
    "write": EquivalentCall("PutObject", lambda uri, content: _object(uri)),
    "adopt": EquivalentCall("PutObject", lambda uri, file: _object(uri)),
    "delete": EquivalentCall("DeleteObject", _object),
    "objects": EquivalentCall("ListObjectsV2", _listing),
    "bucket_exists": EquivalentCall("GetBucketLocation", lambda name: {"Bucket": name}),
}


class _Guarded:
    """A wrapper that judges some methods of an object before it calls them."""

    def __init__(self, whole: Any, service: str, calls: Mapping[str, EquivalentCall], judge: Judge) -> None:
        self._whole = whole
        self._service = service
        self._calls = calls
        self._judge = judge

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whole, name)
        call = self._calls.get(name)
        if call is None:
            return found

        def judged(*arguments: Any, **more: Any) -> Any:
            self._judge(self._service, call.operation, call.parameters(*arguments))
            return found(*arguments, **more)

        return judged


class _GuardedCatalog(_Guarded):
    def all_tables(self) -> list[dict[str, Any]]:
        """Return the tables of the databases whose tables the principal may list, as information_schema shows them."""
        found: list[dict[str, Any]] = []
        for database in self._whole.get_databases():
            try:
                found += self.get_tables(database["Name"])
            except AccessDenied:
                continue
        return found


class _GuardedStore(_Guarded):
    def opened(self, objects: Sequence[StoredObject]) -> Iterator[StoredObject]:
        for each in self._whole.opened(objects):
            self._judge(self._service, "GetObject", {"Bucket": each.bucket, "Key": each.key})
            yield each

    def placing(self, uris: Iterable[str]) -> None:
        for uri in uris:
            self._judge(self._service, "PutObject", _object(uri))


def guarded(store: ObjectStore, catalog: Catalog, judge: Judge | None) -> tuple[ObjectStore, Catalog]:
    """Return store and catalogue whose use is judged; without a judge, themselves."""
    if judge is None:
        return store, catalog
    return guarded_store(store, judge), cast("Catalog", _GuardedCatalog(catalog, "glue", _CATALOG, judge))


def guarded_store(store: ObjectStore, judge: Judge | None) -> ObjectStore:
    """Return a store whose use is judged; without a judge, itself."""
    return store if judge is None else cast("ObjectStore", _GuardedStore(store, "s3", _STORE, judge))


def guarded_log(write_log: WriteLog, judge: Judge | None) -> WriteLog:
    """Return a writer of logs that is judged. As in AWS, lines that may not be written are lost and nothing fails."""
    if judge is None:
        return write_log
    created: set[tuple[str, str]] = set()

    def write(region: str, group: str, stream: str, lines: list[str]) -> None:
        where = {"logGroupName": group, "logStreamName": stream}
        try:
            if (group, stream) not in created:
                judge("logs", "CreateLogGroup", {"logGroupName": group})
                judge("logs", "CreateLogStream", where)
                created.add((group, stream))
            judge("logs", "PutLogEvents", where)
        except AccessDenied as denied:
            log.warning("a log was not written: %s", denied.message)
            return
        write_log(region, group, stream, lines)

    return write
