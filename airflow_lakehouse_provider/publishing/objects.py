"""JSON documents in S3 that several processes write, each by a conditional PUT; and the files under a location."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from airflow_lakehouse_provider.publishing.names import PublishingError
from airflow_lakehouse_provider.s3_uri import split_s3_uri

_LOST = ("PreconditionFailed", "ConditionalRequestConflict", "412", "409")
_GONE = ("NoSuchKey", "404")


def read(s3: Any, uri: str) -> tuple[bytes, str] | None:
    """Return an object's content and ETag; None where there is none."""
    bucket, key = split_s3_uri(uri)
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except Exception as error:
        if _code(error) in _GONE:
            return None
        raise
    return answer["Body"].read(), answer["ETag"]


def write(s3: Any, uri: str, content: bytes, *, only_if: str | None = None) -> str | None:
    """Put an object; return its ETag, or None where the condition does not hold.

    A PUT whose reply was lost is repeated by botocore and then finds its own object: that counts as success, so the
    content must differ from that of any other writer.

    :param only_if: ``*``: there is no object yet; an ETag: the object is still this one; None: whatever is there
    """
    bucket, key = split_s3_uri(uri)
    condition = {} if only_if is None else {"IfNoneMatch": "*"} if only_if == "*" else {"IfMatch": only_if}
    try:
        answer = s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType="application/json", **condition)
    except Exception as error:
        if only_if is None or _code(error) not in (*_LOST, *_GONE):
            raise
        found = read(s3, uri)
        return found[1] if found is not None and found[0] == content else None
    etag: str = answer["ETag"]
    return etag


def keys(s3: Any, prefix: str) -> Iterator[dict[str, Any]]:
    """Yield the objects under a prefix, each as S3 lists it (Key, ETag, Size, LastModified)."""
    bucket, key = split_s3_uri(prefix)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
        yield from page.get("Contents") or ()


def files_at(s3: Any, location: str) -> dict[str, str]:
    """Return key and ETag of each file at a table's or partition's location, without markers of folders."""
    found = keys(s3, f"{location.rstrip('/')}/")
    return {item["Key"]: item["ETag"] for item in found if not item["Key"].endswith("/")}


def line(content: dict[str, Any]) -> bytes:
    """Return a document on one line, as a table of JSON in Athena needs it."""
    return json.dumps(content, separators=(",", ":"), sort_keys=True).encode()


def of_version(document: bytes, fault: str, version: int, remedy: str) -> dict[str, Any]:
    """Return the content of a document that has a version.

    :param fault: the beginning of the error's sentence; ``remedy`` is its end
    :raises PublishingError: it has another version
    """
    content = json.loads(document)
    if not isinstance(content, dict) or content.get("version") != version:
        raise PublishingError(f"{fault}: another version of the provider wrote it. {remedy}")
    return content


def _code(error: Exception) -> str:
    return str(((getattr(error, "response", None) or {}).get("Error") or {}).get("Code", ""))
