"""One local AWS per root: a lock that ends with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from lakehouse_local.errors import RootInUse, RootNotWritable


class RootLock:
    """A lock on a root, held from construction to :meth:`release`; the root is made when it is missing.

    :raises RootInUse: another process holds it
    :raises RootNotWritable: the root cannot be made or written
    """

    def __init__(self, root: Path) -> None:
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._file = (root / ".lock").open("a+")
        except OSError as error:
            raise RootNotWritable(
                f"the root {root} cannot be written ({error.strerror}): choose another root"
            ) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.seek(0)
            holder = self._file.read().strip() or "unknown"
            self._file.close()
            raise RootInUse(
                f"another local AWS (process {holder}) uses {root}: stop it, or choose another root"
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def release(self) -> None:
        self._file.close()
