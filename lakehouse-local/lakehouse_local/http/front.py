"""The WSGI application of the local AWS: refuses foreign origins, serves Glue and Athena, hands the rest to moto."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from lakehouse_local.glue.tags import Tags
from lakehouse_local.http import faults, wire
from lakehouse_local.http.wire import AwsError, Caller, Handler, JsonService
from lakehouse_local.iam.access import AccessDenied
from lakehouse_local.iam.judged_files import PATH as FILES
from lakehouse_local.moto.backends import OURS, MotoState, application
from lakehouse_local.moto.s3 import Installation, ObjectChanged

if TYPE_CHECKING:
    from lakehouse_local.iam.gate import Gate

log = logging.getLogger(__name__)

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_CREDENTIAL = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/,\s]+)/([^/,\s]+)/aws4_request")
_PRESIGNED = re.compile(r"X-Amz-Credential=([^/&]+)/\d{8}/([^/&]+)/([^/&]+)/aws4_request")
_ONE_RANGE = re.compile(r"bytes=(\d+)-(\d*)|bytes=-\d+")
_READS = ("GET", "HEAD", "OPTIONS")
_GRACE = 2.0  # seconds that active requests have when it stops
_TRIES = 5  # reads of an object whose file is replaced meanwhile


class Front:
    """The application. ``endpoint`` is set once the server knows its port.

    :param gate: checks every request by IAM policies; None allows all
    """

    def __init__(
        self,
        services: Iterable[JsonService],
        tags: Tags,
        installation: Installation,
        moto_state: MotoState,
        *,
        region: str,
        account_id: str,
        gate: Gate | None = None,
    ) -> None:
        self.endpoint = ""
        self._region = region
        self._account_id = account_id
        self._gate = gate
        self._tags = tags
        self._installation = installation
        self._moto_state = moto_state
        self._moto = application()
        self._faults = faults.Faults()
        self._closed = False
        self._active = 0
        self._idle = threading.Condition()
        self._operations: dict[str, dict[str, Handler]] = {target: {} for target in wire.TARGETS}
        for service in services:
            for name, handler in service.operations.items():
                if name in self._operations[service.target]:
                    raise RuntimeError(f"two services answer {service.target}.{name}")
                self._operations[service.target][name] = handler

    def close(self) -> None:
        """Refuse new requests, and wait up to two seconds for the active ones.

        Stopping the server is not enough: connections that clients keep open outlive its loop.
        """
        with self._idle:
            self._closed = True
            self._idle.wait_for(lambda: not self._active, timeout=_GRACE)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._idle:
            if self._closed:
                return _answer(start_response, 503, _plain("the local AWS is stopping"), close=True)
            self._active += 1
        try:
            return self._respond(environ, start_response)
        finally:
            with self._idle:
                self._active -= 1
                self._idle.notify_all()

    def _respond(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if reason := _foreign(environ):
            return _answer(start_response, 403, _plain(reason), close=True)
        path = environ.get("PATH_INFO", "")
        if path.startswith("/moto-api"):
            return _answer(start_response, 404, _plain("moto's own API is not served here"), close=True)
        if path == faults.PATH:
            status, answer = self._faults.control(environ["REQUEST_METHOD"], _read_body(environ))
            return _answer(start_response, status, answer)
        if path == FILES and self._gate is not None:
            status, answer = self._gate.file(environ)
            return _answer(start_response, status, answer)
        caller, service = self._caller(environ)
        target, _, operation = environ.get("HTTP_X_AMZ_TARGET", "").partition(".")

        def respond(begin: Any) -> Iterable[bytes]:
            return self._serve(environ, begin, target, operation, caller, service)

        return self._faults.answer(environ, service, operation, respond, start_response)

    def _serve(
        self,
        environ: dict[str, Any],
        start_response: Any,
        target: str,
        operation: str,
        caller: Caller,
        service: str,
    ) -> Iterable[bytes]:
        if self._gate is not None:
            try:
                caller = self._gate.admit(environ, service, caller)
            except AwsError as refused:
                content_type, answer = _error(environ, service, refused)
                return _answer(start_response, refused.status, answer, content_type=content_type)
        if target in self._operations or service in OURS:
            return self._aws_json(environ, start_response, target, operation, caller)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = self._account_id
        return self._by_moto(environ, start_response, service)

    def _caller(self, environ: Mapping[str, Any]) -> tuple[Caller, str]:
        signed = environ.get("HTTP_AUTHORIZATION", ""), unquote(environ.get("QUERY_STRING", ""))
        match = _CREDENTIAL.search(signed[0]) or _PRESIGNED.search(signed[1])
        # Unsigned calls are those of web identities, for STS, and anonymous ones, for S3.
        is_form = environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded")
        key, _, service = match.groups() if match else ("anonymous", self._region, "sts" if is_form else "s3")
        # The one region serves calls signed for any region: tools have defaults of their own.
        return Caller(self._region, self._account_id, key, self.endpoint), service

    def _aws_json(
        self, environ: dict[str, Any], start_response: Any, target: str, operation: str, caller: Caller
    ) -> Iterable[bytes]:
        body = _read_body(environ)
        try:
            handler = self._operations.get(target, {}).get(operation)
            if handler is None:
                known = target in wire.TARGETS and wire.known(target, operation)
                reason = "AWS has it, but it is not served locally" if known else "there is no such operation"
                name = f"{target}.{operation}" if operation else "a call without X-Amz-Target"
                raise AwsError("UnknownOperationException", f"{name}: {reason}")
            parameters = wire.decode(body)
            if wire.known(target, operation):
                wire.validate(target, operation, parameters)
            status, answer = 200, wire.encode(handler(parameters, caller) or {})
            if target == self._tags.target:
                self._tags.follow(operation, parameters, caller)
        except AwsError as error:
            status, answer = error.status, wire.encode_error(error)
        except AccessDenied as denied:
            status, answer = 400, wire.encode_error(AwsError("AccessDeniedException", denied.message))
        except Exception:
            log.exception("%s.%s failed", target, operation)
            fault = AwsError("InternalServiceException", f"{operation} failed inside the local AWS; see its log", 500)
            status, answer = fault.status, wire.encode_error(fault)
        return _answer(start_response, status, answer, content_type="application/x-amz-json-1.1")

    def _by_moto(self, environ: dict[str, Any], start_response: Any, service: str) -> Iterable[bytes]:
        try:
            if service == "s3":
                return self._objects(environ, start_response)
            try:
                return self._moto(environ, start_response)
            finally:
                if service == "sts":
                    self._moto_state.save(service)  # a session that a kill would make unknown
                elif environ["REQUEST_METHOD"] not in _READS:
                    self._moto_state.changed(service)
        except Exception as error:  # moto's own errors, and operations that it does not have
            # A server error would be retried, by Terraform for minutes, and fail again.
            if not isinstance(error, (NotImplementedError, ImportError)):
                log.exception("moto failed at %s %s of %s", environ["REQUEST_METHOD"], environ["PATH_INFO"], service)
            reason = f"{service}: not served by this local AWS ({type(error).__name__}: {error})"
            unknown = "UnknownOperationException" if environ.get("HTTP_X_AMZ_TARGET") else "InvalidAction"
            content_type, answer = _error(environ, service, AwsError(unknown, reason))
            return _answer(start_response, 400, answer, content_type=content_type)

    def _objects(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        reads = environ["REQUEST_METHOD"] in _READS
        match = _ONE_RANGE.fullmatch(environ.get("HTTP_RANGE", ""))
        ranged = match is not None and not (match[2] and int(match[2]) < int(match[1]))
        bodiless = environ.get("CONTENT_LENGTH") in (None, "", "0") and "HTTP_TRANSFER_ENCODING" not in environ
        for _ in range(_TRIES if bodiless else 1):
            try:
                with self._installation.request(changes=not reads, ranged=ranged):
                    answer = self._moto(environ, start_response)
            except ObjectChanged:
                continue
            if not reads and ("/" not in environ["PATH_INFO"].strip("/") or environ.get("QUERY_STRING")):
                self._moto_state.save("s3")  # a bucket, its configuration, an upload: rare, and must not be lost
            elif not reads:
                self._moto_state.changed("s3")
            return answer
        slow = b"<Error><Code>SlowDown</Code><Message>The object is being replaced; try again.</Message></Error>"
        return _answer(start_response, 503, slow, content_type="application/xml", close=True)


def _foreign(environ: Mapping[str, Any]) -> str | None:
    """Return why a request is not from a program on this machine, or None.

    It can be from a web page of another site, or from one whose DNS name was rebound to this machine.
    """
    host, origin = environ.get("HTTP_HOST", ""), environ.get("HTTP_ORIGIN")
    if not _loopback(f"//{host}"):
        return f"this local AWS answers to 127.0.0.1 and localhost alone, not to {host!r}"
    if origin and not _loopback(origin):
        return f"this local AWS does not answer web pages of {origin!r}"
    return None


def _loopback(url: str) -> bool:
    try:
        return urlsplit(url).hostname in _LOOPBACK
    except ValueError:
        return False


def _read_body(environ: Mapping[str, Any]) -> bytes:
    """Return the request's body; a body in chunks has no length, its stream ends."""
    length = environ.get("CONTENT_LENGTH") or ""
    stream = environ["wsgi.input"]
    content: bytes = stream.read(int(length)) if length.isdecimal() else b""
    return content if length or not environ.get("wsgi.input_terminated") else stream.read()


def _error(environ: Mapping[str, Any], service: str, error: AwsError) -> tuple[str, bytes]:
    """Return content type and body of an error, in the protocol of the request."""
    return wire.error_for(service, environ.get("HTTP_X_AMZ_TARGET", ""), error)


_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def _answer(
    start_response: Any, status: int, body: bytes, *, content_type: str = "text/plain", close: bool = False
) -> Iterable[bytes]:
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(body))),
        ("x-amzn-RequestId", str(uuid4())),
    ]
    if close:
        headers.append(("Connection", "close"))
    start_response(f"{status} {_REASONS.get(status, 'Error')}", headers)
    return [body]


def _plain(sentence: str) -> bytes:
    return f"{sentence}\n".encode()
