"""Faults on purpose: what AWS does on its worst day, by script, for tests of whatever calls it.

``PUT /_lakehouse/faults`` with a JSON list takes the place of the script before; GET shows what is left of it, DELETE
ends it. Each fault of the list::

    {"fault": "drop-reply", "service": "glue", "operation": "StartJobRun", "times": 1, "after": 0}

- fault: ``refuse`` (the connection is cut, nothing done), ``drop-reply`` (done, and the connection cut), ``delay``
  (done after ``seconds``), ``late-reply`` (done, answered after ``seconds``), ``error`` (nothing done, answered with
  ``code``, ``status`` and ``message``) or ``false-error`` (done, and answered so)
- service, operation, method: which calls; left out means all. An operation is known of the AWS JSON services alone.
- after: how many such calls go well first; times: how many do not, null without end (1)
- lasts: seconds after which it is over, however often it was met (null)
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
_KINDS = ("refuse", "drop-reply", "delay", "late-reply", "error", "false-error")
_STATUS = {"InternalServiceException": 500, "InternalFailure": 500, "ServiceUnavailable": 503, "SlowDown": 503}

Respond = Callable[[Any], Iterable[bytes]]


@dataclass
class Fault:
    """One line of the script; the fields are as the module says."""

    fault: str
    service: str | None = None
    operation: str | None = None
    method: str | None = None
    after: int = 0
    times: int | None = 1
    lasts: float | None = None
    seconds: float = 1.0
    code: str = "InternalServiceException"
    status: int | None = None
    message: str = "a fault on purpose"

    def __post_init__(self) -> None:
        if self.fault not in _KINDS:
            raise ValueError(f"fault must be one of {', '.join(_KINDS)}, not {self.fault!r}")
        for name in ("after", "times", "lasts", "seconds"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float)) or value < 0):
                raise ValueError(f"{name} must be a number, not negative, and was {value!r}")
        self.met = 0
        self.began = time.monotonic()

    @property
    def over(self) -> bool:
        spent = self.times is not None and self.met - self.after >= self.times
        return spent or (self.lasts is not None and time.monotonic() - self.began > self.lasts)

    def meets(self, service: str, operation: str, method: str) -> bool:
        """Whether this call is hit; counts it."""
        asked = ((self.service, service), (self.operation, operation), (self.method, method))
        if self.over or any(wanted is not None and wanted != given for wanted, given in asked):
            return False
        self.met += 1
        return self.met > self.after


class Faults:
    """The script, and its effect on each call."""

    def __init__(self) -> None:
        self._script: list[Fault] = []
        self._lock = threading.Lock()

    def control(self, method: str, body: bytes) -> tuple[int, bytes]:
        """Status and body of the answer to whoever writes the script."""
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

    def around(
        self, environ: Mapping[str, Any], service: str, operation: str, respond: Respond, start_response: Any
    ) -> Iterable[bytes]:
        """What the call answers: as ever, or as the first fault that it meets has it."""
        fault = self._met(service, operation, environ.get("REQUEST_METHOD", ""))
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
        body = wire.encode_error(wire.AwsError(fault.code, fault.message, status))
        headers = [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(body)))]
        start_response(f"{status} On Purpose", headers)
        return [body]

    def _met(self, service: str, operation: str, method: str) -> Fault | None:
        if not self._script:
            return None
        with self._lock:
            return next((fault for fault in self._script if fault.meets(service, operation, method)), None)


def _cut(environ: Mapping[str, Any]) -> None:
    """End the connection without an answer; the server takes the error for the client's leaving."""
    connection = environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(socket.SHUT_RDWR)
    raise ConnectionResetError("a fault on purpose")
