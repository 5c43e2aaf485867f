"""What a process writes to a file, brought to CloudWatch Logs while it is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

# write_log(region, group, stream, lines)
WriteLog = Callable[[str, str, str, list[str]], None]

_BLOCK = 1 << 20
_LONGEST = 256 * 1024 - 26  # what CloudWatch Logs takes as one event


class LogFollower:
    """Sends each whole line of a growing file to a log stream, once.

    :param path: the file; it need not exist yet
    """

    def __init__(self, path: Path, write_log: WriteLog, region: str, group: str, stream: str) -> None:
        self._path = path
        self._write = write_log
        self._where = (region, group, stream)
        self._offset = 0

    def follow(self, *, to_end: bool = False) -> None:
        """Send what was added; ``to_end`` sends a last line without a line end too."""
        while self._block(to_end=to_end):
            pass

    def _block(self, *, to_end: bool) -> bool:
        try:
            if self._path.stat().st_size <= self._offset:
                return False
            with self._path.open("rb") as file:
                file.seek(self._offset)
                block = file.read(_BLOCK)
        except FileNotFoundError:
            return False
        end = block.rfind(b"\n") + 1
        if not end:
            if len(block) < _BLOCK and not to_end:
                return False
            end = len(block)
        self._offset += end
        lines = block[:end].decode("utf-8", "replace").splitlines()
        # CloudWatch Logs refuses empty events.
        events = [line[start : start + _LONGEST] for line in lines for start in range(0, len(line), _LONGEST)]
        if events := [event for event in events if event.strip()]:
            self._write(*self._where, events)
        return True
