"""AWS errors: the transient ones, after which a wait goes on, and the messages of the others."""

from __future__ import annotations

from typing import Any

from botocore import exceptions as botocore_errors

from airflow_lakehouse_provider.errors import LakehouseError

# Error codes after which the same call may succeed. OperationTimeoutException comes with HTTP 400.
TRANSIENT_CODES = frozenset(
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

# Errors before or instead of an answer: connections, cut replies, credentials being renewed.
TRANSIENT_TYPES: tuple[type[BaseException], ...] = (
    botocore_errors.ConnectionError,
    botocore_errors.HTTPClientError,
    botocore_errors.IncompleteReadError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.MetadataRetrievalError,
    ConnectionError,
    TimeoutError,
)

CONCURRENT_RUNS = "ConcurrentRunsExceededException"
# Glue's refusals of a start for lack of room: nothing was started, and a slot comes free.
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

# Errors of a request that was never sent.
_UNSENT: tuple[type[BaseException], ...] = (
    botocore_errors.EndpointConnectionError,
    botocore_errors.ConnectTimeoutError,
    botocore_errors.ProxyConnectionError,
    botocore_errors.CredentialRetrievalError,
    botocore_errors.MetadataRetrievalError,
)

# What to do about an error code that is not transient.
ADVICE = {
    "AccessDeniedException": "Allow this action in the role that Airflow's connection uses.",
    "AccessDenied": "Allow this action in the role that Airflow's connection uses.",
    "UnauthorizedException": "Allow this action in the role that Airflow's connection uses.",
    "UnrecognizedClientException": "Check the credentials of Airflow's AWS connection.",
    "InvalidClientTokenId": "Check the credentials of Airflow's AWS connection.",
    "InvalidSignatureException": "Check the credentials of Airflow's AWS connection, and at this machine's clock.",
    "ConcurrentRunsExceededException": "Raise the job's maximum concurrency, or wait for its other runs to end.",
    "ResourceNumberLimitExceededException": "Wait for other runs to end, or ask AWS to raise the account's limit.",
}

NOT_FOUND = "EntityNotFoundException"
BAD_REQUESTS = frozenset({NOT_FOUND, "InvalidInputException", "ParamValidationError", "ValidationException"})


class AwsFailure(LakehouseError, RuntimeError):
    """AWS refuses a call, and a repetition does not help; the message is a sentence: what, why, what to do."""


class BadRequest(AwsFailure):
    """AWS refuses a request that can never succeed, so that a retry of the task is of no use."""


class NotFound(BadRequest):
    """A resource that was named does not exist."""


def code(error: BaseException) -> str:
    """Return AWS's error code, or the name of the error's class when AWS did not answer."""
    response: Any = getattr(error, "response", None)
    if isinstance(error, botocore_errors.ClientError) and isinstance(response, dict):
        return str(response.get("Error", {}).get("Code") or "Unknown")
    return type(error).__name__


def is_transient(error: BaseException) -> bool:
    """Return True if the same call may succeed later, with nothing done about it."""
    if isinstance(error, botocore_errors.ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return code(error) in TRANSIENT_CODES or status >= 500 or status == 429
    # A gateway's HTML page instead of an answer cannot be parsed.
    return isinstance(error, TRANSIENT_TYPES) or type(error).__name__ == "ResponseParserError"


def never_arrived(error: BaseException) -> bool:
    """Return True if AWS has surely not acted on the request, so that it can be repeated."""
    return isinstance(error, _UNSENT) or code(error) in EXPIRED


def sentence(error: BaseException, action: str) -> str:
    """Return why an action failed, and what to do.

    :param action: such as "start the Glue job x in us-east-1"
    """
    name, text = code(error), str(error)
    if isinstance(error, botocore_errors.ClientError):
        text = str(error.response.get("Error", {}).get("Message") or text)
    message = f"Could not {action}: {name}: {text.rstrip('. ')}."
    return f"{message} {ADVICE[name]}" if name in ADVICE else message


def refusal(error: Exception, action: str) -> AwsFailure:
    """Return the same as an exception to raise."""
    if isinstance(error, AwsFailure):
        return error
    refused = BadRequest if code(error) in BAD_REQUESTS else AwsFailure
    return refused(sentence(error, action))
