"""Store and catalogue as one principal may use them: what a service does for it past the API is judged like a call.

Each method stands for the operation of AWS's that does the same; those that stand for none pass.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.iam.access import AccessDenied
from lakehouse_local.s3.store import ObjectStore, StoredObject, split_uri

if TYPE_CHECKING:
    from lakehouse_local.glue.logs import WriteLog
    from lakehouse_local.iam.enforcement import Judge

log = logging.getLogger(__name__)


class Asked(NamedTuple):
    """An operation, and its parameters out of a method's arguments."""

    operation: str
    parameters: Callable[..., Mapping[str, Any]]


def _table(db: str, name: str, *_: Any) -> dict[str, Any]:
    return {"DatabaseName": db, "Name": name}


def _with_input(db: str, table_input: Mapping[str, Any]) -> dict[str, Any]:
    return {"DatabaseName": db, "TableInput": table_input}


def _of_table(db: str, table: str, *_: Any) -> dict[str, Any]:
    return {"DatabaseName": db, "TableName": table}


def _database(name: str, *_: Any) -> dict[str, Any]:
    return {"Name": name}


_CATALOG = {
    "create_database": Asked("CreateDatabase", lambda given: {"DatabaseInput": given}),
    "get_database": Asked("GetDatabase", _database),
    "get_databases": Asked("GetDatabases", dict),
    "update_database": Asked("UpdateDatabase", _database),
    "delete_database": Asked("DeleteDatabase", _database),
    "create_table": Asked("CreateTable", _with_input),
    "get_table": Asked("GetTable", _table),
    "get_tables": Asked("GetTables", lambda db: {"DatabaseName": db}),
    "update_table": Asked("UpdateTable", _with_input),
    "delete_table": Asked("DeleteTable", _table),
    "create_partitions": Asked("BatchCreatePartition", _of_table),
    "get_partition": Asked("GetPartition", _of_table),
    "get_partitions": Asked("GetPartitions", _of_table),
    "update_partition": Asked("UpdatePartition", _of_table),
    "delete_partitions": Asked("BatchDeletePartition", _of_table),
}


def _object(uri: str) -> dict[str, Any]:
    bucket, key = split_uri(uri)
    return {"Bucket": bucket, "Key": key}


def _listing(uri_prefix: str) -> dict[str, Any]:
    bucket, prefix = split_uri(uri_prefix)
    return {"Bucket": bucket, "Prefix": prefix}


_STORE = {
    "read": Asked("GetObject", _object),
    "exists": Asked("HeadObject", _object),
    "write": Asked("PutObject", lambda uri, content: _object(uri)),
    "adopt": Asked("PutObject", lambda uri, file: _object(uri)),
    "delete": Asked("DeleteObject", _object),
    "objects": Asked("ListObjectsV2", _listing),
    "bucket_exists": Asked("GetBucketLocation", lambda name: {"Bucket": name}),
}


class _Guarded:
    """Another object, of whose methods some are judged before they are called."""

    def __init__(self, whole: Any, service: str, asked: Mapping[str, Asked], judge: Judge) -> None:
        self._whole = whole
        self._service = service
        self._asked = asked
        self._judge = judge

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._whole, name)
        asked = self._asked.get(name)
        if asked is None:
            return found

        def judged(*arguments: Any, **more: Any) -> Any:
            self._judge(self._service, asked.operation, asked.parameters(*arguments))
            return found(*arguments, **more)

        return judged


class _Catalog(_Guarded):
    def all_tables(self) -> list[dict[str, Any]]:
        """Those of the databases whose tables the principal may list: information_schema shows no others."""
        found: list[dict[str, Any]] = []
        for database in self._whole.get_databases():
            try:
                found += self.get_tables(database["Name"])
            except AccessDenied:
                continue
        return found


class _Store(_Guarded):
    def opened(self, objects: Sequence[StoredObject]) -> Iterator[StoredObject]:
        for each in self._whole.opened(objects):
            self._judge(self._service, "GetObject", {"Bucket": each.bucket, "Key": each.key})
            yield each


def guarded(store: ObjectStore, catalog: Catalog, judge: Judge | None) -> tuple[ObjectStore, Catalog]:
    """Store and catalogue for what ``judge`` lets pass; None: for everything."""
    if judge is None:
        return store, catalog
    return guarded_store(store, judge), cast("Catalog", _Catalog(catalog, "glue", _CATALOG, judge))


def guarded_store(store: ObjectStore, judge: Judge | None) -> ObjectStore:
    """The store alone."""
    return store if judge is None else cast("ObjectStore", _Store(store, "s3", _STORE, judge))


def guarded_log(write_log: WriteLog, judge: Judge | None) -> WriteLog:
    """A writer of logs for what ``judge`` lets pass; what it does not is not logged, and nothing fails, as in AWS."""
    if judge is None:
        return write_log
    begun: set[tuple[str, str]] = set()

    def write(region: str, group: str, stream: str, lines: list[str]) -> None:
        where = {"logGroupName": group, "logStreamName": stream}
        try:
            if (group, stream) not in begun:
                judge("logs", "CreateLogGroup", {"logGroupName": group})
                judge("logs", "CreateLogStream", where)
                begun.add((group, stream))
            judge("logs", "PutLogEvents", where)
        except AccessDenied as denied:
            log.warning("a log was not written: %s", denied.message)
            return
        write_log(region, group, stream, lines)

    return write
