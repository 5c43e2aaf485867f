"""dbt's structured log, one line of JSON an event: its levels and messages, and the facts that only the log has."""

from __future__ import annotations

import json
import logging
import re
from collections import deque
from dataclasses import dataclass, field

# Events that a later one repeats with its result (one line a node is enough), or that only dbt's authors need.
_DEMOTED = frozenset(
    {"LogStartLine", "LogHookStartLine", "MainStackTrace", "ParsePerfInfoPath", "UnableToPartialParse"}
)
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
# Lines of dbt-athena's ("api" and "pyathena" connection managers); dbt has no event for a query's id.
QUERY_STARTED = re.compile(r"Athena query (?:ID )?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?: started)?\s*$")
_QUERY_ENDED = re.compile(r"Athena query ([0-9a-f-]{36}) has state (?:SUCCEEDED|FAILED|CANCELLED)\s*$")
# The supervisor's line with the id of dbt's process.
_STARTED = re.compile(r'\{"lakehouse_pid": (\d+)\}\s*$')


@dataclass(frozen=True)
class DbtEvent:
    """A line of dbt's output. A line that is no event has no name and the level info."""

    message: str
    level: int = logging.INFO
    name: str = ""
    unique_id: str | None = None
    invocation_id: str | None = None
    thread: str | None = None
    data: dict[str, object] = field(default_factory=dict)

    @classmethod
    def parse(cls, line: str) -> DbtEvent:
        """Read one line of output, whatever it is."""
        try:
            content = json.loads(line) if line.startswith("{") else None
            info = content["info"] if content else None
        except (ValueError, KeyError, TypeError):
            info = None
        if not isinstance(info, dict):
            return cls(_COLOUR.sub("", line).rstrip())
        assert isinstance(content, dict)
        data = content.get("data") or {}
        name = str(info.get("name", ""))
        level = _LEVELS.get(str(info.get("level")), logging.INFO)
        node = data.get("node_info") or {}
        return cls(
            _COLOUR.sub("", str(info.get("msg", ""))).strip(),
            logging.DEBUG if name in _DEMOTED else level,
            name,
            node.get("unique_id") or None,
            info.get("invocation_id"),
            info.get("thread"),
            data,
        )


class LogReader:
    """The facts of a log, collected while it is read.

    :ivar version: dbt's own version; None until a line shows that this is dbt
    :ivar invocation_id: dbt's id of this invocation
    :ivar error: dbt's message, where it ended before any node had a result
    :ivar nothing_selected: whether dbt reported that there was nothing to do
    :ivar queries: the last Athena query of each node
    :ivar running: Athena queries that were started and whose end is not in the log
    :ivar group: dbt's process group
    :ivar tail: the last lines that are no events, for a program that is not dbt or died
    """

    def __init__(self) -> None:
        self.version: str | None = None
        self.invocation_id: str | None = None
        self.error: str | None = None
        self.nothing_selected = False
        self.queries: dict[str, str] = {}
        self.running: dict[str, None] = {}
        self.group: int | None = None
        self.tail: deque[str] = deque(maxlen=20)

    def read(self, line: str) -> DbtEvent:
        """Read one line of output and return its event."""
        if started := _STARTED.match(line):
            self.group = int(started[1])
            return DbtEvent("")
        event = DbtEvent.parse(line)
        self.invocation_id = event.invocation_id or self.invocation_id
        if event.name == "MainReportVersion":
            self.version = str(event.data.get("version", "")).lstrip("=")
        elif event.name == "MainEncounteredError":
            self.error = str(event.data.get("exc") or event.message).strip()
        elif event.name in ("NothingToDo", "NoNodesSelected"):
            self.nothing_selected = True
        elif not event.name and event.message:
            self.tail.append(event.message)
        if event.level == logging.DEBUG and "Athena query" in event.message:
            self._query(event)
        return event

    def _query(self, event: DbtEvent) -> None:
        if query := QUERY_STARTED.search(event.message):
            self.running[query[1]] = None
            if event.unique_id:
                self.queries[event.unique_id] = query[1]
        elif query := _QUERY_ENDED.search(event.message):
            self.running.pop(query[1], None)
