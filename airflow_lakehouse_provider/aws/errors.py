"""Which AWS errors pass by themselves, and what a person is told of the others."""

from __future__ import annotations

from typing import Any

from botocore import exceptions as botocore_errors

# Error codes after which the same call may well succeed. OperationTimeoutException comes with HTTP 400.
PASSING_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "ConcurrentModificationException",
        "EC2ThrottledException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "InternalServiceException",
        "LimitExceededException",
        "OperationTimeoutException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestExpired",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)

# Failures before or instead of an answer: connections, cut replies, credentials being renewed.
PASSING_KINDS: tuple[type[BaseException], ...] = (
    botocore_errors.ConnectionError,
    botocore_errors.HTTPClientError,
    botocore_errors.IncompleteReadError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.MetadataRetrievalError,
    ConnectionError,
    TimeoutError,
)

CONCURRENT_RUNS = "ConcurrentRunsExceededException"
# Glue's refusals of a start for want of room: nothing was started, and a slot comes free.
NO_ROOM = frozenset(
    {
        CONCURRENT_RUNS,
        "ResourceNumberLimitExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
THROTTLING = NO_ROOM - {CONCURRENT_RUNS, "ResourceNumberLimitExceededException"}
EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})

# Failures of a request that was never sent.
_UNSENT: tuple[type[BaseException], ...] = (
    botocore_errors.EndpointConnectionError,
    botocore_errors.ConnectTimeoutError,
    botocore_errors.ProxyConnectionError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.MetadataRetrievalError,
)

# What to do about an error code that does not pass.
ADVICE = {
    "AccessDeniedException": "Allow this action in the role that Airflow's connection uses.",
    "AccessDenied": "Allow this action in the role that Airflow's connection uses.",
    "UnauthorizedException": "Allow this action in the role that Airflow's connection uses.",
    "UnrecognizedClientException": "Look at the credentials of Airflow's AWS connection.",
    "InvalidClientTokenId": "Look at the credentials of Airflow's AWS connection.",
    "InvalidSignatureException": "Look at the credentials of Airflow's AWS connection, and at this machine's clock.",
    "ConcurrentRunsExceededException": "Raise the job's maximum concurrency, or wait for its other runs to end.",
    "ResourceNumberLimitExceededException": "Wait for other runs to end, or ask AWS to raise the account's limit.",
}

NOT_FOUND = "EntityNotFoundException"
BAD_REQUESTS = frozenset({NOT_FOUND, "InvalidInputException", "ParamValidationError", "ValidationException"})


class AwsFailure(RuntimeError):
    """AWS refused, and asking again does not help; says in a sentence what, and what to do."""


class BadRequest(AwsFailure):
    """What was asked for cannot be: the same request will never do."""


class NotFound(BadRequest):
    """What was named does not exist."""


def code(error: BaseException) -> str:
    """AWS's error code, or the name of the error's class when AWS did not answer."""
    response: Any = getattr(error, "response", None)
    if isinstance(error, botocore_errors.ClientError) and isinstance(response, dict):
        return str(response.get("Error", {}).get("Code") or "Unknown")
    return type(error).__name__


def passes_by_itself(error: BaseException) -> bool:
    """Whether the same call may succeed later with nothing done about it."""
    if isinstance(error, botocore_errors.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code(error) in PASSING_CODES or status >= 500 or status == 429
    # A gateway's HTML page instead of an answer cannot be parsed.
    return isinstance(error, PASSING_KINDS) or type(error).__name__ == "ResponseParserError"


def never_arrived(error: BaseException) -> bool:
    """Whether AWS has surely not done what was asked, and may do it when asked again."""
    return isinstance(error, _UNSENT) or code(error) in EXPIRED


def sentence(error: BaseException, doing: str) -> str:
    """Why ``doing`` ("start the Glue job x in us-east-1") did not come about, and what to do."""
    name, text = code(error), str(error)
    if isinstance(error, botocore_errors.ClientError):
        text = str(error.response.get("Error", {}).get("Message") or text)
    said = f"Could not {doing}: {name}: {text.rstrip('. ')}."
    return f"{said} {ADVICE[name]}" if name in ADVICE else said


def refusal(error: Exception, doing: str) -> AwsFailure:
    """The same as an exception to raise."""
    if isinstance(error, AwsFailure):
        return error
    kind = BadRequest if code(error) in BAD_REQUESTS else AwsFailure
    return kind(sentence(error, doing))
