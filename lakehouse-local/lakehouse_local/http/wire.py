"""AWS JSON 1.1, the protocol of Glue and Athena: callers, errors, operations, validation, encoding."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timezone
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol
from xml.sax.saxutils import escape

from lakehouse_local.errors import LocalAwsError

if TYPE_CHECKING:
    from lakehouse_local.iam.enforcement import Judge

Handler = Callable[[dict[str, Any], "Caller"], dict[str, Any]]


class AwsError(LocalAwsError):
    """An error that AWS returns to the client: its code, message, HTTP status, and further members of the answer."""

    def __init__(self, code: str, message: str, status: int = 400, **extra: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.extra = extra


@dataclass(frozen=True)
class Caller:
    """The caller of a request, from its signature, which is read and not verified.

    :ivar judge: the judge of what a service does for the caller; None allows everything
    """

    region: str = "us-east-1"
    account_id: str = "123456789012"
    access_key_id: str = "local"
    endpoint: str = ""
    judge: Judge | None = None

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource of the caller's account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"


class JsonService(Protocol):
    """One family of operations; families of one target are merged by the server."""

    @property
    def target(self) -> str:
        """One of :data:`TARGETS`: the part of X-Amz-Target before the dot."""

    @property
    def operations(self) -> Mapping[str, Handler]:
        """Operation -> its handler."""

    def close(self) -> None:
        """Stop everything that the service started."""


# target -> (botocore's name of the service, the error code for members out of bounds)
TARGETS = {
    "AWSGlue": ("glue", "ValidationException"),
    "AmazonAthena": ("athena", "InvalidRequestException"),
}


_REST_JSON = ("airflow",)


def encode(answer: Mapping[str, Any]) -> bytes:
    """Return an answer as JSON; times become epoch seconds."""
    return json.dumps(answer, default=_encoded, ensure_ascii=False).encode()


def encode_error(error: AwsError) -> bytes:
    """Return an error as JSON. AWS's services differ in the case of `message`; botocore reads both."""
    return encode({"__type": error.code, "message": error.message, "Message": error.message, **error.extra})


def error_for(service: str, operation: str, error: AwsError) -> tuple[str, bytes]:
    """Return content type and body of an error, in the protocol of the request.

    :param operation: that of X-Amz-Target; empty for the other protocols
    """
    if operation or service in _REST_JSON:
        return "application/x-amz-json-1.1", encode_error(error)
    content = f"<Code>{escape(error.code)}</Code><Message>{escape(error.message)}</Message>"
    return "application/xml", f"<ErrorResponse><Error>{content}</Error>{content}</ErrorResponse>".encode()


def decode(body: bytes) -> dict[str, Any]:
    """Parse a request's body.

    :raises AwsError: SerializationException if it is no JSON object
    """
    try:
        parameters = json.loads(body or b"{}")
    except ValueError:
        raise AwsError("SerializationException", "the request's body is not valid JSON") from None
    if not isinstance(parameters, dict):
        raise AwsError("SerializationException", "the request's body must be a JSON object")
    return parameters


def validate(target: str, operation: str, parameters: dict[str, Any]) -> None:
    """Check a request against botocore's model: required members, types, bounds and enumerations.

    Members that the model does not know are ignored, as AWS ignores them.

    :raises AwsError: SerializationException for a wrong type, else the target's validation error in AWS's wording
    """
    service, code = TARGETS[target]
    found = violations(service, operation, parameters)
    if found:
        errors = "error" if len(found) == 1 else "errors"
        raise AwsError(code, f"{len(found)} validation {errors} detected: {'; '.join(found)}")


def violations(service: str, operation: str, parameters: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a request by botocore's model, in AWS's wording.

    :raises AwsError: SerializationException for a wrong type
    """
    shape = _model(service).operation_model(operation).input_shape
    found: list[str] = []
    if shape is not None:
        _check(shape, parameters, "", found)
    return found


def known(target: str, operation: str) -> bool:
    """Return True if AWS has the operation."""
    return operation in _model(TARGETS[target][0]).operation_names


def page(
    items: Sequence[Any], request: Mapping[str, Any], *, limit: int, default: int | None = None
) -> tuple[list[Any], dict[str, str]]:
    """Return one page of a list, and the answer's NextToken member if there are more.

    The token is an offset: if the list changes between two pages, items that moved can be repeated or missing.

    :param limit: the largest page
    :param default: the page's size without MaxResults; None: ``limit``
    :raises AwsError: InvalidInputException for a token that no answer contained
    """
    start = 0
    if token := request.get("NextToken"):
        if not (str(token).isascii() and str(token).isdigit()):
            raise AwsError("InvalidInputException", f"NextToken {token!r} is not one that an earlier page gave")
        start = int(token)
    size = min(int(request.get("MaxResults") or default or limit), limit)
    more = {"NextToken": str(start + size)} if start + size < len(items) else {}
    return list(items[start : start + size]), more


def epoch(moment: datetime | None = None) -> float:
    """Return seconds since 1970, to the millisecond, of a moment, by default now."""
    return round((moment or datetime.now(timezone.utc)).timestamp(), 3)


def _encoded(value: Any) -> Any:
    if isinstance(value, datetime):
        return epoch(value if value.tzinfo else value.replace(tzinfo=timezone.utc))
    if isinstance(value, date):
        return epoch(datetime(value.year, value.month, value.day, tzinfo=timezone.utc))
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} cannot be part of an answer")


@cache
def _model(service: str) -> Any:
    from botocore.loaders import Loader
    from botocore.model import ServiceModel

    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


_TYPES: dict[str, tuple[type, ...]] = {
    "structure": (dict,),
    "map": (dict,),
    "list": (list,),
    "string": (str,),
    "blob": (str,),
    "boolean": (bool,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float, str),
}


def _check(shape: Any, value: Any, path: str, violations: list[str]) -> None:
    type_ = shape.type_name
    number = type_ in ("integer", "long", "float", "double", "timestamp")
    if not _has_type(type_, value) or (number and _has_type("boolean", value)):
        raise AwsError("SerializationException", f"{path or 'the request'} must be of type {type_}, not {value!r}")
    if type_ == "structure":
        for name, member in shape.members.items():
            below = f"{path}.{_lower(name)}" if path else _lower(name)
            if value.get(name) is not None:
                _check(member, value[name], below, violations)
            elif name in shape.required_members:
                violations.append(f"Value null at '{below}' failed to satisfy constraint: Member must not be null")
        return
    violation = _violation(shape, type_, value)
    if violation:
        violations.append(f"Value '{_short(value)}' at '{path}' failed to satisfy constraint: {violation}")
    if type_ == "list":
        for index, item in enumerate(value, 1):
            _check(shape.member, item, f"{path}.{index}.member", violations)
    elif type_ == "map":
        for key, item in value.items():
            if item is not None:
                _check(shape.value, item, f"{path}.{key}.member", violations)


def _has_type(type_: str, value: Any) -> bool:
    return isinstance(value, _TYPES[type_])


def _violation(shape: Any, type_: str, value: Any) -> str | None:
    limits = shape.metadata
    if type_ == "string" and limits.get("enum") and value not in limits["enum"]:
        return f"Member must satisfy enum value set: [{', '.join(limits['enum'])}]"
    if type_ not in ("string", "list", "map", "integer", "long", "float", "double"):
        return None
    sized = type_ in ("string", "list", "map")
    size = len(value) if sized else value
    measure = "have length" if sized else "have value"
    if (low := limits.get("min")) is not None and size < low:
        return f"Member must {measure} greater than or equal to {low}"
    if (high := limits.get("max")) is not None and size > high:
        return f"Member must {measure} less than or equal to {high}"
    return None


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]
