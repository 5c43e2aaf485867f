"""The check before every request: its caller, the accesses that it needs, and AWS's error if one is not allowed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from lakehouse_local.http.wire import AwsError, Caller
from lakehouse_local.iam import judged_files
from lakehouse_local.iam.access import Access, AccessDenied, ApiCall
from lakehouse_local.iam.actions import accesses
from lakehouse_local.iam.enforcement import Enforcement
from lakehouse_local.iam.evaluate import ROLE, Principal
from lakehouse_local.iam.principals import TEMPORARY, NoSuchKey, SessionExpired
from lakehouse_local.iam.session_policy import ASSUMES, check_request
from lakehouse_local.iam.web_identity import web_identity
from lakehouse_local.moto.requests import parse_request
from lakehouse_local.s3.store import ObjectStore

_SESSION_HEADER = "HTTP_X_AMZ_SECURITY_TOKEN"
_OF_ONE_OBJECT = "HeadObject", "GetObject"
_WEB_IDENTITY = "AssumeRoleWithWebIdentity"
_OF_USERS = "GetSessionToken", "GetFederationToken"
_UNLIMITED = "GetFederationToken", "AssumeRoleWithSAML"
# Protocol -> error codes (denied, unknown key, expired session) and HTTP status.
_CODES = {
    "json": ("AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException", 400),
    "query": ("AccessDenied", "InvalidClientTokenId", "ExpiredToken", 403),
    "s3": ("AccessDenied", "InvalidAccessKeyId", "ExpiredToken", 403),
}
_INVALID = "The security token included in the request is invalid."
_NO_SUCH_KEY = "The AWS Access Key Id you provided does not exist in our records."


class Gate:
    """The check of requests.

    :param store: the objects: without the permission ListBucket, S3 does not tell that an object is missing
    """

    def __init__(self, enforcement: Enforcement, store: ObjectStore) -> None:
        self._enforcement = enforcement
        self._store = store

    def admit(self, environ: dict[str, Any], service: str, caller: Caller) -> Caller:
        """Return the caller, with a judge for what services do on its behalf.

        Without enforcement of every policy only sessions are looked at: they end, and their policies limit them.

        :param service: the service that the request is signed for
        :raises AwsError: in AWS's words, if the caller is unknown or the call is not allowed
        """
        if not self._enforcement.everything and not caller.access_key_id.startswith(TEMPORARY) and service != "sts":
            return caller
        denied, unknown, expired, status = _CODES[_protocol(environ, service)]
        call = parse_request(environ, service)
        try:
            principal = self._principal(environ, caller, call)
        except SessionExpired:
            raise AwsError(expired, "The security token included in the request is expired", status) from None
        except NoSuchKey:
            raise AwsError(unknown, _NO_SUCH_KEY if service == "s3" else _INVALID, status) from None
        unlimited = not self._enforcement.everything and not principal.session
        if call is None and not unlimited:
            path = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"
            raise AwsError(denied, f"{service}: {path} is no operation whose permissions are known here", status)
        begins = call is not None and call.service == "sts" and call.operation in ASSUMES
        if call is not None and begins:
            check_request(call, self._enforcement.account)
        try:
            if call is not None and not unlimited:
                self._enforcement.judge(principal, [*accesses(call, self._enforcement.account), *self._listing(call)])
            if call is not None and begins:
                self._enforcement.check_role(principal, call)
        except AccessDenied as error:
            raise AwsError(denied, error.message, status) from None
        if call is not None and call.service == "sts":
            _refuse_other_tokens(call, principal)
        if unlimited:
            return caller
        return replace(caller, judge=self._enforcement.on_behalf(principal, f"{service}.amazonaws.com"))

    def file(self, environ: Mapping[str, Any]) -> tuple[int, bytes]:
        """Answer a request of Spark's file system, which it makes before it reads or writes: return status and body."""
        arguments = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        try:
            principal = self._enforcement.principals.find(
                environ.get("HTTP_X_LAKEHOUSE_KEY", ""), environ.get(_SESSION_HEADER)
            )
            judge = self._enforcement.on_behalf(principal, "")
            judged_files.judge(
                judge, self._store, arguments["operation"], arguments.get("path", ""), arguments.get("target", "")
            )
        except AccessDenied as denied:
            text = f"{denied.message} (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)"
            return 403, text.encode()
        except NoSuchKey:
            return 403, _NO_SUCH_KEY.encode()
        return 200, b"ok"

    def _principal(self, environ: Mapping[str, Any], caller: Caller, call: ApiCall | None) -> Principal:
        if call is not None and call.operation == _WEB_IDENTITY:
            return web_identity(call.parameters, self._enforcement.account)
        if not self._enforcement.everything and not caller.access_key_id.startswith(TEMPORARY):
            return self._enforcement.principals.root()
        query = parse_qs(environ.get("QUERY_STRING", ""))
        token = environ.get(_SESSION_HEADER) or query.get("X-Amz-Security-Token", [None])[0]
        return self._enforcement.principals.find(caller.access_key_id, token)

    def _listing(self, call: ApiCall) -> list[Access]:
        """Return the access that a call for a missing object needs besides."""
        if call.service != "s3" or call.operation not in _OF_ONE_OBJECT:
            return []
        bucket, key = call.parameters.get("Bucket", ""), call.parameters.get("Key", "")
        try:
            there = call.parameters.get("VersionId") or self._store.exists(f"s3://{bucket}/{key}")
        except ValueError:
            return []
        return [] if there else [Access("s3:ListBucket", f"arn:aws:s3:::{bucket}")]


def _refuse_other_tokens(call: ApiCall, principal: Principal) -> None:
    """Refuse the operations that make credentials without the limits that were asked for, or that the caller has.

    :raises AwsError: AccessDenied to a session of a role, as AWS does; NotSupported here
    """
    if call.operation in _OF_USERS and principal.kind == ROLE:
        raise AwsError("AccessDenied", f"Cannot call {call.operation} with session credentials", 403)
    if call.operation in _UNLIMITED and (call.parameters.get("Policy") or call.parameters.get("PolicyArns")):
        raise AwsError(
            "NotSupported",
            f"{call.operation} with a session policy is not supported by the local AWS: use AssumeRole",
        )


def _protocol(environ: Mapping[str, Any], service: str) -> str:
    if service == "s3":
        return "s3"
    return "json" if environ.get("HTTP_X_AMZ_TARGET") or service == "airflow" else "query"
