"""CloudWatch Logs of job runs and crawls: a process's output file is sent to a log stream while it grows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

# write_log(region, group, stream, lines)
WriteLog = Callable[[str, str, str, list[str]], None]

_BLOCK = 1 << 20
_LONGEST = 256 * 1024 - 26  # bytes that CloudWatch Logs accepts as one event


class LogFollower:
    """A reader of a growing file that sends each complete line to a log stream, once.

    :param path: the file; it need not exist yet
    """

    def __init__(self, path: Path, write_log: WriteLog, region: str, group: str, stream: str) -> None:
        self._path = path
        self._write_log = write_log
        self._stream = (region, group, stream)
        self._offset = 0

    def follow(self, *, to_end: bool = False) -> None:
        """Send the lines that were added since the last call.

        :param to_end: also send a last line that has no line end
        """
        while self._send_block(to_end=to_end):
            pass

    def _send_block(self, *, to_end: bool) -> bool:
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
            self._write_log(*self._stream, events)
        return True
