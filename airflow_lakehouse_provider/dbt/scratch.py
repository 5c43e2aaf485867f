"""Directories on the worker's disk: a task's own, removed with it, and a bounded cache that concurrent tasks share.

Both are held by locks of the kernel, which end with the process that has them, kill -9 included: a directory that
nobody holds may be removed by anyone.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

PREFIX = "lakehouse-dbt-run-"
_LOCK = ".lock"
# A directory without a lock that is younger than this may be just before its lock.
_SETTLED_SECONDS = 60.0
CACHE_BYTES = 2 * 1024**3
CACHE_ENTRIES = 200


class Scratch:
    """A task's own directory. The directories of tasks that died are removed when it is entered.

    :ivar path: the directory, which only this user may enter
    :ivar lock: the descriptor of its lock; a process that inherits it keeps the directory from being swept
    """

    def __init__(self) -> None:
        self.path = Path()
        self.lock = -1

    def __enter__(self) -> Scratch:
        sweep()
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        self.lock = os.open(self.path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        remove(self.path)
        os.close(self.lock)


def sweep() -> None:
    """Remove the directories that killed tasks left behind."""
    for path in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        try:
            found = path.lstat()
            if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
                continue
            lock = os.open(path / _LOCK, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:
            if path.exists() and time.time() - found.st_mtime > _SETTLED_SECONDS:
                remove(path)
            continue
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(path)
        except BlockingIOError:
            continue
        finally:
            os.close(lock)


def remove(path: Path) -> None:
    """Remove a directory, read-only directories in it too; files that cannot be removed are left to the next sweep."""
    for folder, _, _ in os.walk(path):
        try:
            os.chmod(folder, 0o700)
        except OSError:
            continue
    shutil.rmtree(path, ignore_errors=True)


class Cache:
    """A cache of directories and files that later tasks reuse; an entry is complete when it can be seen.

    :param root: default: a directory of this user's under the temporary one
    :param most_bytes: the size above which the entries used longest ago are removed; ``most`` likewise of their number
    """

    def __init__(self, root: Path | None = None, most_bytes: int = CACHE_BYTES, most: int = CACHE_ENTRIES) -> None:
        self.root = root or _own_directory(Path(tempfile.gettempdir()) / f"lakehouse-dbt-cache-{os.getuid()}")
        self._most_bytes = most_bytes
        self._most = most

    @contextmanager
    def entry(self, section: str, key: str, fill: Callable[[Path], None]) -> Iterator[Path]:
        """Hold the entry's directory, which ``fill`` makes where it is not there yet; it is not removed meanwhile.

        Of concurrent tasks that need the same entry, one makes it and the others wait.

        :param section: the use of the entry; keys are unique within it
        """
        name = f"{section}-{digest(key)}"
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        held = os.open(self.root / f"{name}{_LOCK}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        path = self.root / name
        try:
            fcntl.flock(held, fcntl.LOCK_SH)
            if not path.is_dir():
                # The kernel releases the shared lock before it takes the other, hence the second check.
                fcntl.flock(held, fcntl.LOCK_EX)
                if not path.is_dir():
                    self._fill(path, fill)
                fcntl.flock(held, fcntl.LOCK_SH)
                if not path.is_dir():  # evicted between the two locks
                    fcntl.flock(held, fcntl.LOCK_EX)
                    self._fill(path, fill)
            os.utime(path)
            self._evict()
            yield path
        finally:
            os.close(held)

    def _fill(self, path: Path, fill: Callable[[Path], None]) -> None:
        # The remains of a task that died; nobody else fills it, as this task has the lock.
        filling = path.with_name(f"{path.name}.part")
        remove(filling)
        filling.mkdir(mode=0o700)
        try:
            fill(filling)
            filling.rename(path)
        finally:
            remove(filling)

    def load(self, section: str, key: str, to: Path) -> bool:
        """Copy a file out of the cache; return False where there is none."""
        source = self.root / f"{section}-{digest(key)}.file"
        try:
            shutil.copyfile(source, to)
            os.utime(source)
        except OSError:
            return False
        return True

    def keep(self, section: str, key: str, file: Path) -> None:
        """Put a file into the cache, in place of the one of the same key; a full disk is no error."""
        part = self.root / f"{section}-{digest(key)}.{os.getpid()}.part"
        try:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(file, part)
            part.rename(self.root / f"{section}-{digest(key)}.file")
        except OSError:
            part.unlink(missing_ok=True)

    def _evict(self) -> None:
        """Remove entries that are not in use, the one used longest ago first, until the cache is small enough."""
        entries = []
        for path in self.root.iterdir():
            try:
                if path.name.endswith(".part") and path.is_file() and time.time() - path.stat().st_mtime > 3600:
                    path.unlink()
                elif not path.name.endswith((_LOCK, ".part")):
                    entries.append((path.stat().st_mtime, _size(path), path))
            except OSError:
                continue
        entries.sort()
        total = sum(size for _, size, _ in entries)
        for number, (_, size, path) in enumerate(entries):
            if total <= self._most_bytes and len(entries) - number <= self._most:
                return
            if self._removed(path):
                total -= size

    def _removed(self, path: Path) -> bool:
        if path.is_file():
            path.unlink(missing_ok=True)
            return True
        lock = os.open(path.with_name(f"{path.name}{_LOCK}"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            remove(path)  # the lock's file stays: another task may be waiting for it
            return True
        finally:
            os.close(lock)


def digest(text: str) -> str:
    """Return 32 hexadecimal digits of SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.lstat().st_size for file in path.rglob("*"))


def _own_directory(path: Path) -> Path:
    """Make a directory that nobody else can have prepared: in a shared temporary directory anyone may make any name.

    :raises PermissionError: somebody else made it
    """
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if found.st_uid != os.getuid() or not stat.S_ISDIR(found.st_mode):
        raise PermissionError(f"{path} belongs to somebody else; set TMPDIR to a directory of this user's")
    path.chmod(0o700)
    return path
