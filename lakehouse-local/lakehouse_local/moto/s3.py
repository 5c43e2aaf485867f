"""moto's S3 over the plain files of an ObjectStore: moto's protocol with another storage.

moto keeps a bucket's keys in a dictionary of versions whose bytes are temporary files. Here the dictionary reads the
bucket's directory first (it adopts files that were written without the API, and drops deleted ones), the bytes are the
files themselves, and a key's metadata is in the store's index before the request that changed it is answered.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
import pickle
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from moto.core.common_models import BaseModel
from moto.s3 import models as _models
from moto.s3.utils import _VersionedKeyStore

from lakehouse_local.moto import s3_conditions
from lakehouse_local.s3 import store as s3
from lakehouse_local.s3.store import ObjectStore, Stamp

log = logging.getLogger(__name__)
models: Any = _models  # Any, because its classes get new attributes
_request = threading.local()  # of the current request: changes (it is a write), ranged (it reads a range)


class ObjectChanged(Exception):
    """A file was replaced between its stat and its reading: the request is tried again."""


class Installation:
    """Changes moto's S3 models to keep their bytes in a store; :meth:`remove` restores them.

    moto's models are global: one installation at a time.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store
        self._before: list[tuple[Any, str, Any]] = []
        for owner, name, value in [*_replacements(store), *s3_conditions.replacements()]:
            self._before.append((owner, name, owner.__dict__.get(name, _ABSENT)))
            setattr(owner, name, value)

    def remove(self) -> None:
        for owner, name, value in reversed(self._before):
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)

    @contextmanager
    def request(self, *, changes: bool, ranged: bool) -> Iterator[None]:
        """Wrap an S3 request: its changes are in the index at the end.

        :param changes: the request is a write
        :param ranged: the request reads one range of an object
        """
        _request.changes, _request.ranged = changes, ranged
        try:
            yield
        finally:
            _request.changes = _request.ranged = False
            if changes:
                self.save()

    def save(self) -> None:
        """Write the metadata of the keys that changed to the index."""
        for bucket in _buckets():
            bucket.keys.save()

    def sweep(self) -> None:
        """Delete the files that no version and no unfinished upload refers to, which a kill left behind."""
        used = set()
        for bucket in _buckets():
            keys = [key for versions in bucket.keys.known() for key in versions]
            keys += [part for upload in bucket.multiparts.values() for part in upload.parts.values()]
            used |= {key.__dict__.get("_blob") for key in keys}
        for folder in (s3.VERSIONS, s3.SCRATCH):
            for path in (self.store.root / folder).iterdir():
                if path.name not in used and path.is_file():
                    path.unlink(missing_ok=True)


_ABSENT = object()


def _buckets() -> list[Any]:
    return [
        bucket
        for account in list(models.s3_backends.values())
        for backend in list(account.values())
        for bucket in list(backend.buckets.values())
    ]


class BucketKeys(_VersionedKeyStore):
    """A bucket's keys and their versions, newest last, with moto's interface; synchronized with the bucket's files."""

    def __init__(self, bucket: Any, store: ObjectStore) -> None:
        super().__init__()
        self.bucket = bucket
        self.store = store
        self.folder = store.root / bucket.name
        self.folder.mkdir(exist_ok=True)
        self._lock = threading.RLock()
        self._changed: set[str] = set()
        self._narrowed = threading.local()
        for key, versions in store.index.versions(bucket.name):
            dict.__setitem__(self, key, pickle.loads(versions))  # noqa: S301 - our own index

    # Reading, by moto's interface

    def __sgetitem__(self, key: str) -> list[Any]:
        with self._lock:
            self._synchronize(key, self._stamp(key))
            if getattr(_request, "changes", False):
                self._changed.add(key)
            return list(dict.__getitem__(self, key))

    def __contains__(self, key: object) -> bool:
        return self.get(str(key)) is not None

    def __len__(self) -> int:
        return len(self._self_iterable())

    def __bool__(self) -> bool:
        return len(self) > 0

    def _self_iterable(self) -> dict[str, Any]:
        prefix = getattr(self._narrowed, "prefix", "")
        with self._lock:
            found = {key: Stamp.from_stat(stat) for key, stat in s3.walk(self.folder, prefix)}
            known = [key for key in dict.keys(self) if key.startswith(prefix)]
            for key in known:
                if key not in found:
                    self._synchronize(key, None)
            for key, stamp in found.items():
                self._synchronize(key, stamp)
            return {key: versions for key, versions in dict.items(self) if key.startswith(prefix)}

    def _iteritems(self) -> Iterator[tuple[str, Any]]:
        return iter([(key, versions[-1]) for key, versions in self._self_iterable().items()])

    def _itervalues(self) -> Iterator[Any]:
        return iter([versions[-1] for versions in self._self_iterable().values()])

    def _iterlists(self) -> Iterator[tuple[str, list[Any]]]:
        return iter([(key, list(versions)) for key, versions in self._self_iterable().items()])

    items = iteritems = _iteritems  # type: ignore[assignment]
    values = itervalues = _itervalues  # type: ignore[assignment]
    lists = iterlists = _iterlists

    def known(self) -> list[list[Any]]:
        """Return the versions of every key, without reading the directory."""
        return list(dict.values(self))

    @contextmanager
    def narrowed(self, prefix: str | None) -> Iterator[None]:
        """Limit iteration to the keys of a prefix."""
        self._narrowed.prefix = prefix or ""
        try:
            yield
        finally:
            self._narrowed.prefix = ""

    # Writing, by moto's interface

    def __setitem__(self, key: str, value: Any) -> None:
        with self._lock:
            before = dict.get(self, key, [])
            self._replace(key, before, [*before, value])

    def setlist(self, key: str, list_: Any) -> None:
        with self._lock:
            after = list(list_) if isinstance(list_, (list, tuple)) else [list_]
            self._replace(key, dict.get(self, key, []), after)

    def pop(self, key: str) -> None:  # type: ignore[override]
        with self._lock:
            self._synchronize(key, self._stamp(key))
            self._replace(key, dict.__getitem__(self, key), [])

    def save(self) -> None:
        with self._lock:
            changed, self._changed = self._changed, set()
            rows: list[tuple[str, str | None, Stamp | None, bytes | None]] = []
            for key in changed:
                versions = dict.get(self, key)
                if not versions:
                    rows.append((key, None, None, None))
                    continue
                newest = versions[-1]
                linked = isinstance(newest, models.FakeKey) and newest._linked
                etag = newest.etag.strip('"') if linked else None
                rows.append((key, etag, newest._stamp if linked else None, pickle.dumps(versions)))
        if rows:
            self.store.index.save(self.bucket.name, rows)

    # Versions and files

    def _stamp(self, key: str) -> Stamp | None:
        if not s3.is_path(key):
            return None
        try:
            stat = os.stat(self.folder / key)
        except OSError:
            return None
        import stat as modes

        return Stamp.from_stat(stat) if modes.S_ISREG(stat.st_mode) else None

    def _synchronize(self, key: str, stamp: Stamp | None) -> None:
        """Update a key's versions from its file.

        :param stamp: stamp of the file; None if it does not exist
        """
        versions = dict.get(self, key, [])
        newest = versions[-1] if versions else None
        linked = isinstance(newest, models.FakeKey) and newest._linked
        if (stamp == newest._stamp) if linked and newest is not None else stamp is None:
            return
        if linked and newest is not None:
            newest._linked = False
            if newest._blob is None:
                versions = versions[:-1]  # its bytes are gone with the file
        if stamp is not None:
            after = [*versions, self._adopted(key, stamp)] if self.bucket.is_versioned else [self._adopted(key, stamp)]
        elif self.bucket.is_versioned and newest is not None:
            after = [*versions, models.FakeDeleteMarker(key=newest)]
        else:
            after = []
        self._keep(key, dict.get(self, key, []), after)
        if self.bucket.is_versioned:
            self._changed.add(key)
            if not getattr(_request, "changes", False):
                self.save()

    def _adopted(self, key: str, stamp: Stamp) -> Any:
        versioned = self.bucket.is_versioned
        adopted = models.FakeKey(
            name=key,
            value=_OnDisk(stamp),
            account_id=self.bucket.account_id,
            region_name=self.bucket.region_name,
            bucket_name=self.bucket.name,
            etag=stamp.etag,
            is_versioned=versioned,
            version_id=str(uuid4()) if versioned else "null",
        )
        adopted.last_modified = stamp.modified.replace(tzinfo=None)
        if versioned:
            adopted._blob = uuid4().hex
            _link(self.folder / key, _bytes_path(self.store, adopted._blob))
        return adopted

    def _replace(self, key: str, before: list[Any], after: list[Any]) -> None:
        """Replace a key's versions, and its file by the newest of them."""
        newest = after[-1] if after else None
        path = self.folder / key
        was_linked = False
        for version in before:
            if isinstance(version, models.FakeKey) and version._linked and version is not newest:
                was_linked = True
                if version in after and version._blob is None:
                    version._blob = uuid4().hex
                    _link(path, _bytes_path(self.store, version._blob))
                version._linked = False
        if isinstance(newest, models.FakeKey):
            if not newest._linked and s3.is_path(key):
                self._put_in_place(newest, path)
        elif was_linked:
            s3.remove(path, self.folder)
        self._keep(key, before, after)
        self._changed.add(key)

    def _keep(self, key: str, before: list[Any], after: list[Any]) -> None:
        for version in before:
            if version not in after and hasattr(version, "dispose"):
                version.dispose()
        if after:
            dict.__setitem__(self, key, after)
        else:
            dict.pop(self, key, None)

    def _put_in_place(self, version: Any, path: Path) -> None:
        source = _bytes_path(self.store, version._blob)
        try:
            if version._is_versioned:
                scratch = self.store.scratch_file()
                _link(source, scratch)
                s3.place(scratch, path)
            else:
                s3.place(source, path)
                version._blob = None
        except OSError as error:
            # `a` beside `a/b`: S3 clients see the object, the file system cannot show it.
            log.warning("s3://%s/%s is not visible as a file: %s", self.bucket.name, version.name, error)
            return
        version._linked = True
        version._stamp = Stamp.from_stat(path.stat())


class _OnDisk:
    """The value of an object whose bytes are in the key's file already."""

    def __init__(self, stamp: Stamp) -> None:
        self.stamp = stamp


def _bytes_path(store: ObjectStore, blob: str) -> Path:
    return store.root / s3.VERSIONS / blob


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # a file system without hard links
        shutil.copy2(source, target)


def _replacements(store: ObjectStore) -> list[tuple[Any, str, Any]]:
    """Return (class, attribute, value) for every attribute to replace in moto's classes."""
    key, bucket, backend = models.FakeKey, models.FakeBucket, models.S3Backend

    def read(self: Any) -> Any:
        linked, blob, expected = self._linked, self._blob, self._stamp  # another thread may replace it meanwhile
        if not linked and blob is None:
            raise ObjectChanged(self.name)
        path = Path(store.root, self.bucket_name, self.name) if linked else _bytes_path(store, blob)
        try:
            with path.open("rb") as file:
                stamp = Stamp.from_stat(os.fstat(file.fileno()))
                if linked and stamp != expected:
                    raise ObjectChanged(self.name)
                if getattr(_request, "ranged", False) and stamp.size:
                    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                return file.read()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ObjectChanged(self.name) from None

    def write(self: Any, value: Any) -> None:
        if isinstance(value, _OnDisk):
            self._blob, self._linked, self._stamp = None, True, value.stamp
            self.contentsize = value.stamp.size
            return
        content = value.encode() if isinstance(value, str) else value
        self._blob, self._linked, self._stamp = uuid4().hex, False, None
        _bytes_path(store, self._blob).write_bytes(content)
        self.contentsize = len(content)
        if self._etag is None:
            self._etag = hashlib.md5(content, usedforsecurity=False).hexdigest()

    def dispose(self: Any, garbage: bool = False) -> None:
        # Listings make and drop copies of a key: the bytes are deleted only when moto calls dispose itself.
        if not garbage and self._blob is not None:
            _bytes_path(store, self._blob).unlink(missing_ok=True)
            self._blob = None

    def key_state(self: Any) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "lock"}

    def set_key_state(self: Any, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.lock = threading.Lock()

    def keys(self: Any) -> BucketKeys:
        if "_file_keys" not in self.__dict__:
            self.__dict__["_file_keys"] = BucketKeys(self, store)
        found = self.__dict__["_file_keys"]
        assert isinstance(found, BucketKeys)
        return found

    def new_keys(self: Any, _: Any) -> None:
        store.index.forget(self.name)
        self.__dict__["_file_keys"] = BucketKeys(self, store)

    def bucket_state(self: Any) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_file_keys"}

    def get_permission(self: Any, action: str, resource: str) -> Any:
        # moto ignores the conditions of a policy: one that denies plain HTTP would deny everything.
        from moto.iam.access_control import PermissionResult

        return PermissionResult.NEUTRAL

    list_objects, list_versions, delete_bucket = (
        backend.list_objects, backend.list_object_versions, backend.delete_bucket
    )  # fmt: skip

    def list_narrowly(self: Any, bucket: Any, prefix: str | None, *args: Any, **kwargs: Any) -> Any:
        with bucket.keys.narrowed(prefix):
            return list_objects(self, bucket, prefix, *args, **kwargs)

    def list_versions_narrowly(self: Any, bucket_name: str, *args: Any, **kwargs: Any) -> Any:
        with self.get_bucket(bucket_name).keys.narrowed(kwargs.get("prefix")):
            return list_versions(self, bucket_name, *args, **kwargs)

    def delete_bucket_and_folder(self: Any, bucket_name: str) -> Any:
        deleted = delete_bucket(self, bucket_name)
        if deleted is not None:
            store.index.forget(bucket_name)
            shutil.rmtree(store.root / bucket_name, ignore_errors=True)  # empty but for a writer's scratch
        return deleted

    def untracked(cls: Any, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(cls)  # moto's own keeps every object of every model for ever

    return [
        (key, "value", property(read, write)),
        (key, "etag", property(lambda self: f'"{self._etag}"')),
        (key, "_value_buffer", property(lambda self: None, lambda self, value: None)),
        (key, "dispose", dispose),
        (key, "__getstate__", key_state),
        (key, "__setstate__", set_key_state),
        (key, "__del__", lambda self: None),
        (bucket, "keys", property(keys, new_keys)),
        (bucket, "__getstate__", bucket_state),
        (bucket, "get_permission", get_permission),
        (backend, "list_objects", list_narrowly),
        (backend, "list_object_versions", list_versions_narrowly),
        (backend, "delete_bucket", delete_bucket_and_folder),
        (BaseModel, "__new__", staticmethod(untracked)),
    ]
