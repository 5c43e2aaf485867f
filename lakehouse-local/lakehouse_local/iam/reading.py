"""From a request to the call that it is: operation and parameters, by botocore's models of the services."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import Any

from lakehouse_local.iam.access import Call

# Botocore's name of a service that signs with another.
_NAMES = {"monitoring": "cloudwatch", "airflow": "mwaa", "elasticmapreduce": "emr"}
# The members that can be gigabytes are not looked at: what permissions need is in path, query and headers.
_STREAMS = ("PutObject", "UploadPart", "PostObject")


def read(environ: dict[str, Any], service: str) -> Call | None:
    """The call of a WSGI request, or None when it is none that botocore knows.

    The body that is read is put back. That of an object's upload is not read.

    :param service: as the request is signed for
    """
    from botocore.exceptions import UnknownServiceError
    from moto.core.parse import RequestParserError

    name = _NAMES.get(service, service)
    try:
        model = _model(name)
    except UnknownServiceError:
        return None
    found = _route(model, _request(environ, b"")) if name == "s3" else None
    streams = name == "s3" and (found is None or found[0] in _STREAMS)
    body = b"" if streams else _taken(environ)
    found = found or _route(model, _request(environ, body))
    if found is None:
        return None
    try:
        return Call(name, found[0], _parameters(model, _request(environ, body), body, *found))
    except RequestParserError:
        return None


def _request(environ: dict[str, Any], body: bytes) -> Any:
    from moto.core.request import Request

    own = {**environ, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    own.pop("HTTP_TRANSFER_ENCODING", None)
    return Request(own)


def _taken(environ: dict[str, Any]) -> bytes:
    """A request's body, put back for whoever answers."""
    length, stream = environ.get("CONTENT_LENGTH") or "", environ["wsgi.input"]
    body: bytes = stream.read(int(length)) if length.isdecimal() else b""
    if not length and environ.get("wsgi.input_terminated"):
        body = stream.read()
    environ["wsgi.input"] = BytesIO(body)
    return body


@cache
def _model(name: str) -> Any:
    from moto.core.utils import get_service_model

    return get_service_model(name)


@cache
def _routers(name: str, protocol: str) -> Any:
    from moto.core import routing

    kinds = {"json": routing.JSONRouter, "query": routing.QueryRouter, "ec2": routing.QueryRouter}
    return kinds.get(protocol, routing.RestRouter)(_model(name))


def _route(model: Any, request: Any) -> tuple[str, dict[str, Any]] | None:
    """The operation's name, and what its path says."""
    from werkzeug.exceptions import NotFound

    try:
        operation, in_path = _routers(model.service_name, _protocol(model, request)).match(request)
    except (NotFound, NotImplementedError):
        return None
    return operation.name, in_path


def _protocol(model: Any, request: Any) -> str:
    from moto.core.request import determine_request_protocol

    if request.headers.get("X-Amz-Target"):
        return "json"
    return determine_request_protocol(model, request.content_type)


def _parameters(model: Any, request: Any, body: bytes, operation: str, in_path: dict[str, Any]) -> dict[str, Any]:
    from moto.core.parse import PROTOCOL_PARSERS

    parser = PROTOCOL_PARSERS[_protocol(model, request)](model.operation_model(operation))
    asked: Any = {
        "method": request.method,
        "values": request.values,
        "headers": request.headers,
        "body": body,
        "url_path": request.path,
        "url_params": in_path,
    }
    return dict(parser.parse(asked))
