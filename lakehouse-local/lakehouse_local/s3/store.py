"""The objects of the local S3 as plain files: their paths, their metadata, and an API for the other services.

A bucket is a directory of the root, an object a file in it. Spark, DuckDB and people read and write these files
without the S3 API; `moto/s3.py` makes moto serve the same files over HTTP, and adopts those that it did not write.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from lakehouse_local.http.wire import AwsError
from lakehouse_local.s3.uri import split_s3_uri

VERSIONS = ".s3"  # bytes of older versions, of unfinished uploads, and of keys that cannot be paths
STATE = ".state"  # sqlite files and pickles
JOBS = ".jobs"  # working directories of Glue runs
SCRATCH = ".tmp"  # files on their way to their place, on the same file system

# Temporary files of Spark's committers beside the data: never part of a listing.
_HIDDEN_PREFIXES = (".spark-staging",)
_HIDDEN_NAMES = ("_temporary",)


@dataclass(frozen=True)
class StoredObject:
    """One object; ``etag`` without quotation marks."""

    uri: str
    bucket: str
    key: str
    size: int
    modified: datetime
    etag: str
    path: Path


@dataclass(frozen=True)
class Stamp:
    """Modification time and size of a file: they tell one content from another without reading it."""

    mtime_ns: int
    size: int

    @classmethod
    def from_stat(cls, stat: os.stat_result) -> Stamp:
        return cls(stat.st_mtime_ns, stat.st_size)

    @property
    def etag(self) -> str:
        """The ETag of a file whose MD5 is unknown, in the form of a multipart upload's ETag, which is no MD5 either."""
        return hashlib.md5(f"{self.mtime_ns}:{self.size}".encode(), usedforsecurity=False).hexdigest() + "-1"

    @property
    def modified(self) -> datetime:
        return datetime.fromtimestamp(self.mtime_ns // 1_000_000_000, tz=timezone.utc)


def hidden(name: str) -> bool:
    """Return True if a file or directory of this name is a committer's temporary one."""
    return name in _HIDDEN_NAMES or name.startswith(_HIDDEN_PREFIXES)


def is_path(key: str) -> bool:
    """Return True if a key can be a file's path: `x//y`, `dir/`, `../x` and a committer's temporary key cannot."""
    parts = key.split("/")
    return (
        all(part not in ("", ".", "..") and not hidden(part) and len(part.encode()) <= 255 for part in parts)
        and "\0" not in key
        and len(key.encode()) <= 1024
    )


class Index:
    """The objects' metadata in sqlite: ETags, and for `moto/s3.py` a pickle of their versions."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=NORMAL")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS objects (bucket TEXT, key TEXT, etag TEXT, mtime_ns INTEGER, size INTEGER,"
            " versions BLOB, PRIMARY KEY (bucket, key)) WITHOUT ROWID"
        )

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def etags(self, bucket: str, prefix: str) -> dict[str, tuple[Stamp, str]]:
        """Return key -> (stamp of the file, ETag) for the keys that begin with the prefix."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT key, mtime_ns, size, etag FROM objects"
                " WHERE bucket = ? AND key >= ? AND key < ? AND mtime_ns IS NOT NULL",
                (bucket, prefix, prefix + "\U0010ffff"),
            ).fetchall()
        return {key: (Stamp(mtime_ns, size), etag) for key, mtime_ns, size, etag in rows}

    def versions(self, bucket: str) -> list[tuple[str, bytes]]:
        """Return (key, pickle of its versions) for every key of a bucket."""
        with self._lock:
            return self._connection.execute("SELECT key, versions FROM objects WHERE bucket = ?", (bucket,)).fetchall()

    def save(self, bucket: str, rows: list[tuple[str, str | None, Stamp | None, bytes | None]]) -> None:
        """Write (key, ETag, stamp, pickle of its versions); without a pickle, delete the key."""
        with self._lock, self._connection:
            self._connection.execute("BEGIN")
            for key, etag, stamp, versions in rows:
                if versions is None:
                    self._connection.execute("DELETE FROM objects WHERE bucket = ? AND key = ?", (bucket, key))
                    continue
                self._connection.execute(
                    "INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?, ?)",
                    (bucket, key, etag, stamp and stamp.mtime_ns, stamp and stamp.size, versions),
                )

    def forget(self, bucket: str) -> None:
        """Delete every key of a bucket."""
        with self._lock:
            self._connection.execute("DELETE FROM objects WHERE bucket = ?", (bucket,))


class ObjectStore:
    """Objects under a root directory, by their URI; safe to use from several threads and processes."""

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).resolve()
        for name in ("", VERSIONS, STATE, JOBS, SCRATCH):
            (self.root / name).mkdir(parents=True, exist_ok=True)
        self.index = Index(self.root / STATE / "s3.sqlite")

    def close(self) -> None:
        self.index.close()

    def path(self, uri: str) -> Path:
        """Return the path of an object (or, for a prefix, of a directory), which need not exist.

        :raises ValueError: it is no S3 URI, or the key leads out of its bucket
        """
        bucket, key = split_s3_uri(uri)
        if ".." in key.split("/"):
            raise ValueError(f"{uri!r} leads out of its bucket")
        return self.root / bucket / key

    def bucket_exists(self, name: str) -> bool:
        """Return True if the bucket exists."""
        return bool(name) and not name.startswith(".") and (self.root / name).is_dir()

    def exists(self, uri: str) -> bool:
        """Return True if an object with exactly this URI exists."""
        return self.path(uri).is_file()

    def read(self, uri: str) -> bytes:
        """Return an object's content.

        :raises AwsError: NoSuchBucket, NoSuchKey
        """
        try:
            return self.path(uri).read_bytes()
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
            raise self._missing(uri) from None

    def write(self, uri: str, content: bytes | Path) -> StoredObject:
        """Write an object, whole or not at all.

        :param content: bytes, or a file to copy
        :raises AwsError: NoSuchBucket
        :raises ValueError: the key cannot be a file's path
        """
        bucket, key = split_s3_uri(uri)
        if not is_path(key):
            raise ValueError(f"{uri!r} has a key that cannot be a file's path")
        if not self.bucket_exists(bucket):
            raise AwsError("NoSuchBucket", f"The specified bucket does not exist: {bucket}", 404)
        scratch = self.scratch_file()
        try:
            with scratch.open("wb") as out:
                if isinstance(content, Path):
                    import shutil

                    with content.open("rb") as source:
                        shutil.copyfileobj(source, out, 1 << 20)
                else:
                    out.write(content)
            place(scratch, self.root / bucket / key)
        finally:
            scratch.unlink(missing_ok=True)
        return self._stored(bucket, key, self.path(uri).stat(), {})

    def adopt(self, uri: str, file: Path) -> None:
        """Make a file on the store's file system an object, by renaming it."""
        place(file, self.path(uri))

    def opened(self, objects: Iterable[StoredObject]) -> Iterator[StoredObject]:
        """Yield objects whose files the caller is about to read; access control checks them here."""
        return iter(objects)

    def placing(self, uris: Iterable[str]) -> None:
        """Do nothing; access control checks here what the caller is about to write, all of it before the first."""

    def delete(self, uri: str) -> None:
        """Delete an object, if it exists."""
        bucket, _ = split_s3_uri(uri)
        remove(self.path(uri), self.root / bucket)

    def objects(self, uri_prefix: str) -> list[StoredObject]:
        """Return the objects whose URI begins with the prefix, sorted by key, without committers' temporary files.

        :raises AwsError: NoSuchBucket
        """
        bucket, prefix = split_s3_uri(uri_prefix)
        if not self.bucket_exists(bucket):
            raise AwsError("NoSuchBucket", f"The specified bucket does not exist: {bucket}", 404)
        known = self.index.etags(bucket, prefix)
        return [self._stored(bucket, key, stat, known) for key, stat in walk(self.root / bucket, prefix)]

    def scratch_file(self) -> Path:
        """Return the path of a new file on the store's file system, for :meth:`adopt`."""
        return self.root / SCRATCH / uuid.uuid4().hex

    def _stored(self, bucket: str, key: str, stat: os.stat_result, known: dict[str, tuple[Stamp, str]]) -> StoredObject:
        stamp = Stamp.from_stat(stat)
        seen, etag = known.get(key, (None, ""))
        uri = f"s3://{bucket}/{key}"
        etag = etag if seen == stamp else stamp.etag
        return StoredObject(uri, bucket, key, stamp.size, stamp.modified, etag, self.root / bucket / key)

    def _missing(self, uri: str) -> AwsError:
        bucket, _ = split_s3_uri(uri)
        if not self.bucket_exists(bucket):
            return AwsError("NoSuchBucket", f"The specified bucket does not exist: {bucket}", 404)
        return AwsError("NoSuchKey", f"The specified key does not exist: {uri}", 404)


def walk(bucket: Path, prefix: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Yield the keys that begin with the prefix, in S3's order, each with its file's stat."""
    folder, _, _ = prefix.rpartition("/")
    if folder and not is_path(folder):
        return
    found: list[tuple[str, os.stat_result]] = []
    pending = [folder]
    while pending:
        relative = pending.pop()
        try:
            entries = list(os.scandir(bucket / relative))
        except (FileNotFoundError, NotADirectoryError):
            continue  # never there, or a writer renamed it a moment ago
        for entry in entries:
            if hidden(entry.name):
                continue
            key = f"{relative}/{entry.name}" if relative else entry.name
            if not key.startswith(prefix):
                continue
            try:
                if entry.is_dir():
                    pending.append(key)
                elif entry.is_file():
                    found.append((key, entry.stat()))
            except FileNotFoundError:
                continue
    yield from sorted(found, key=lambda item: item[0].encode())


def place(source: Path, target: Path) -> None:
    """Rename a file into its place, and make the directories above it.

    :raises OSError: a directory has the file's name, or a file has the name of a directory above it
    """
    tries = 50
    for left in reversed(range(tries)):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(source, target)
        except (FileNotFoundError, FileExistsError):
            # Another thread removed the directory between two calls; or a file has its name, which does not change.
            if not left or target.parent.is_file() or not source.exists():
                raise
        else:
            return


def remove(path: Path, bucket: Path) -> None:
    """Delete a file and the directories above it that are left empty, up to the bucket."""
    try:
        path.unlink()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return
    folder = path.parent
    while folder != bucket and bucket in folder.parents:
        try:
            folder.rmdir()
        except OSError:
            return
        folder = folder.parent
