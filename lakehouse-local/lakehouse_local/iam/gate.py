"""The gate before every request: who calls, what the call needs, and AWS's answer where that may not be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

from lakehouse_local.http.wire import AwsError, Caller
from lakehouse_local.iam import judged_files
from lakehouse_local.iam.access import Access, AccessDenied, Call
from lakehouse_local.iam.actions import accesses
from lakehouse_local.iam.enforcement import Enforcement
from lakehouse_local.iam.evaluate import Principal
from lakehouse_local.iam.principals import Expired, NoSuchKey
from lakehouse_local.iam.reading import read
from lakehouse_local.iam.web_identity import identity_of
from lakehouse_local.s3.store import ObjectStore

_SESSION_HEADER = "HTTP_X_AMZ_SECURITY_TOKEN"
_NO_LISTING = "HeadObject", "GetObject"
_WEB_IDENTITY = "AssumeRoleWithWebIdentity"
# The codes of a service's protocol: JSON, the query protocol of XML, S3's.
_CODES = {
    "json": ("AccessDeniedException", "UnrecognizedClientException", "ExpiredTokenException", 400),
    "query": ("AccessDenied", "InvalidClientTokenId", "ExpiredToken", 403),
    "s3": ("AccessDenied", "InvalidAccessKeyId", "ExpiredToken", 403),
}
_INVALID = "The security token included in the request is invalid."
_NO_SUCH_KEY = "The AWS Access Key Id you provided does not exist in our records."


class Gate:
    """Admits requests.

    :param store: tells whether an object is there: without ListBucket S3 does not say that one is missing
    """

    def __init__(self, enforcement: Enforcement, store: ObjectStore) -> None:
        self._enforcement = enforcement
        self._store = store

    def admit(self, environ: dict[str, Any], service: str, caller: Caller) -> Caller:
        """The caller, with a judge of what services do on its behalf.

        :raises AwsError: in AWS's words, who calls or what for is refused
        """
        denied, unknown, expired, status = _CODES[_protocol(environ, service)]
        call = read(environ, service)
        try:
            principal = self._principal(environ, caller, call)
        except Expired:
            raise AwsError(expired, "The security token included in the request is expired", status) from None
        except NoSuchKey:
            raise AwsError(unknown, _NO_SUCH_KEY if service == "s3" else _INVALID, status) from None
        if call is None:
            path = f"{environ['REQUEST_METHOD']} {environ.get('PATH_INFO', '')}"
            raise AwsError(denied, f"{service}: {path} is no operation whose permissions are known here", status)
        try:
            self._enforcement.judge(principal, [*accesses(call, self._enforcement.account), *self._listing(call)])
        except AccessDenied as error:
            raise AwsError(denied, error.message, status) from None
        return replace(caller, judge=self._enforcement.on_behalf(principal, f"{service}.amazonaws.com"))

    def file(self, environ: Mapping[str, Any]) -> tuple[int, bytes]:
        """Status and text of the answer to Spark's file system, which asks before it reads or writes."""
        asked = {name: values[0] for name, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
        try:
            principal = self._enforcement.principals.of_key(
                environ.get("HTTP_X_LAKEHOUSE_KEY", ""), environ.get(_SESSION_HEADER)
            )
            judge = self._enforcement.on_behalf(principal, "")
            judged_files.judge(judge, self._store, asked["operation"], asked.get("path", ""), asked.get("target", ""))
        except AccessDenied as denied:
            said = f"{denied.message} (Service: Amazon S3; Status Code: 403; Error Code: AccessDenied)"
            return 403, said.encode()
        except NoSuchKey:
            return 403, _NO_SUCH_KEY.encode()
        return 200, b"ok"

    def _principal(self, environ: Mapping[str, Any], caller: Caller, call: Call | None) -> Principal:
        if call is not None and call.operation == _WEB_IDENTITY:
            return identity_of(call.parameters, self._enforcement.account)
        query = parse_qs(environ.get("QUERY_STRING", ""))
        token = environ.get(_SESSION_HEADER) or query.get("X-Amz-Security-Token", [None])[0]
        return self._enforcement.principals.of_key(caller.access_key_id, token)

    def _listing(self, call: Call) -> list[Access]:
        """What an object that is not there needs besides."""
        if call.service != "s3" or call.operation not in _NO_LISTING:
            return []
        bucket, key = call.parameters.get("Bucket", ""), call.parameters.get("Key", "")
        try:
            there = call.parameters.get("VersionId") or self._store.exists(f"s3://{bucket}/{key}")
        except ValueError:
            return []
        return [] if there else [Access("s3:ListBucket", f"arn:aws:s3:::{bucket}")]


def _protocol(environ: Mapping[str, Any], service: str) -> str:
    if service == "s3":
        return "s3"
    return "json" if environ.get("HTTP_X_AMZ_TARGET") or service == "airflow" else "query"
