"""The API call of an HTTP request: operation and parameters, by botocore's models of the services."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import Any

from lakehouse_local.iam.access import ApiCall

# Name in a signature -> botocore's name of the service, where they differ.
_NAMES = {"monitoring": "cloudwatch", "airflow": "mwaa", "elasticmapreduce": "emr"}
# Operations whose body can be gigabytes and is not read: what permissions need is in path, query and headers.
_STREAMS = ("PutObject", "UploadPart", "PostObject")


def parse_request(environ: dict[str, Any], service: str) -> ApiCall | None:
    """Return the API call of a WSGI request, or None if botocore does not know it.

    The body stays readable for others. The body of an object's upload is not read.

    :param service: the service that the request is signed for
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
    body = b"" if streams else _body(environ)
    found = found or _route(model, _request(environ, body))
    if found is None:
        return None
    try:
        return ApiCall(name, found[0], _parameters(model, _request(environ, body), body, *found))
    except RequestParserError:
        return None


def _request(environ: dict[str, Any], body: bytes) -> Any:
    from moto.core.request import Request

    own = {**environ, "wsgi.input": BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    own.pop("HTTP_TRANSFER_ENCODING", None)
    return Request(own)


def _body(environ: dict[str, Any]) -> bytes:
    """Return a request's body, and leave it readable."""
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

    routers = {"json": routing.JSONRouter, "query": routing.QueryRouter, "ec2": routing.QueryRouter}
    return routers.get(protocol, routing.RestRouter)(_model(name))


def _route(model: Any, request: Any) -> tuple[str, dict[str, Any]] | None:
    """Return the operation's name, and the parameters in its path."""
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
    content: Any = {
        "method": request.method,
        "values": request.values,
        "headers": request.headers,
        "body": body,
        "url_path": request.path,
        "url_params": in_path,
    }
    return dict(parser.parse(content))
