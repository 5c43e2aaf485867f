"""Fault injection, for tests of programs that call AWS: lost replies, delays and errors, by a script.

``PUT /_lakehouse/faults`` with a JSON list replaces the script; GET returns the faults that are left, DELETE removes
them. Each fault of the list::

    {"fault": "drop-reply", "service": "glue", "operation": "StartJobRun", "times": 1, "after": 0}

- fault: ``refuse`` (the connection is cut, the call not done), ``drop-reply`` (done, then the connection is cut),
  ``delay`` (done after ``seconds``), ``late-reply`` (done, answered after ``seconds``), ``error`` (not done, answered
  with ``code``, ``status`` and ``message``) or ``false-error`` (done, but answered with the error)
- service, operation, method: the calls that it applies to, by default all; each a name or a list of names. Only calls
  of AWS JSON services (Glue, Athena, Logs and others) have an operation.
- after: number of such calls that succeed first (0); times: number of calls that fail, null for no limit (1)
- lasts: seconds after which it ends in any case, null for no limit (null)
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lakehouse_local.http import wire

PATH = "/_lakehouse/faults"
_FAULTS = ("refuse", "drop-reply", "delay", "late-reply", "error", "false-error")
_STATUS = {"InternalServiceException": 500, "InternalFailure": 500, "ServiceUnavailable": 503, "SlowDown": 503}

Respond = Callable[[Any], Iterable[bytes]]


@dataclass
class Fault:
    """One fault of the script; the module's docstring describes the fields."""

    fault: str
    service: str | list[str] | None = None
    operation: str | list[str] | None = None
    method: str | list[str] | None = None
    after: int = 0
    times: int | None = 1
    lasts: float | None = None
    seconds: float = 1.0
    code: str = "InternalServiceException"
    status: int | None = None
    message: str = "a fault on purpose"

    def __post_init__(self) -> None:
        if self.fault not in _FAULTS:
            raise ValueError(f"fault must be one of {', '.join(_FAULTS)}, not {self.fault!r}")
        for name in ("after", "times", "lasts", "seconds"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0):
                raise ValueError(f"{name} must be a number, not negative, and was {value!r}")
        for name in ("service", "operation", "method"):
            value = getattr(self, name)
            names = value if isinstance(value, list) else [value]
            if value is not None and not (names and all(isinstance(each, str) for each in names)):
                raise ValueError(f"{name} must be a name or a list of names, and was {value!r}")
        self.met = 0
        self.began = time.monotonic()

    @property
    def over(self) -> bool:
        """True once it applies to no further call."""
        spent = self.times is not None and self.met - self.after >= self.times
        return spent or (self.lasts is not None and time.monotonic() - self.began > self.lasts)

    def applies_to(self, service: str, operation: str, method: str) -> bool:
        """Count a call of those that it applies to, and return True if the call fails."""
        filters = ((self.service, service), (self.operation, operation), (self.method, method))
        if self.over or not all(_names(wanted, given) for wanted, given in filters):
            return False
        self.met += 1
        return self.met > self.after


def _names(wanted: str | list[str] | None, given: str) -> bool:
    return wanted is None or given in ([wanted] if isinstance(wanted, str) else wanted)


class Faults:
    """The script of faults, and its effect on each call."""

    def __init__(self) -> None:
        self._script: list[Fault] = []
        self._lock = threading.Lock()

    def control(self, method: str, body: bytes) -> tuple[int, bytes]:
        """Read or change the script: return status and body of the answer."""
        if method == "PUT":
            try:
                script = [Fault(**line) for line in json.loads(body)]
            except (ValueError, TypeError) as error:
                return 400, f"A script of faults is a JSON list of objects: {error}\n".encode()
            with self._lock:
                self._script = script
        elif method == "DELETE":
            with self._lock:
                self._script = []
        with self._lock:
            shown = [{**asdict(fault), "met": fault.met} for fault in self._script if not fault.over]
        return 200, json.dumps(shown).encode()

    def answer(
        self, environ: Mapping[str, Any], service: str, operation: str, respond: Respond, start_response: Any
    ) -> Iterable[bytes]:
        """Answer a call, with the effect of the first fault that applies to it."""
        fault = self._fault_of(service, operation, environ.get("REQUEST_METHOD", ""))
        if fault is None:
            return respond(start_response)
        if fault.fault == "delay":
            time.sleep(fault.seconds)
            return respond(start_response)
        if fault.fault == "late-reply":
            answer = respond(start_response)
            time.sleep(fault.seconds)
            return answer
        if fault.fault in ("drop-reply", "false-error"):
            list(respond(lambda status, headers: None))
        if fault.fault in ("refuse", "drop-reply"):
            _cut(environ)
        status = fault.status or _STATUS.get(fault.code, 400)
        content_type, body = wire.error_for(service, operation, wire.AwsError(fault.code, fault.message, status))
        headers = [("Content-Type", content_type), ("Content-Length", str(len(body)))]
        start_response(f"{status} Injected Fault", headers)
        return [body]

    def _fault_of(self, service: str, operation: str, method: str) -> Fault | None:
        if not self._script:
            return None
        with self._lock:
            return next((fault for fault in self._script if fault.applies_to(service, operation, method)), None)


def _cut(environ: Mapping[str, Any]) -> None:
    """Close the connection without an answer; the error makes the server believe that the client closed it."""
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("a fault on purpose")
