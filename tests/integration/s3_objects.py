"""Objects in S3 by their URI, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


def _split(uri: str) -> tuple[str, str]:
    parts = urlsplit(uri)
    return parts.netloc, parts.path.lstrip("/")


def upload(s3: Any, uri: str, path: Path) -> None:
    """Write a file to an object."""
    s3.upload_file(str(path), *_split(uri))


def read(s3: Any, uri: str) -> bytes:
    """Return an object's content."""
    bucket, key = _split(uri)
    content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    return content


def uris(s3: Any, prefix: str) -> list[str]:
    """Return the URIs that begin with a prefix."""
    bucket, key = _split(prefix)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key)
    return [f"s3://{bucket}/{each['Key']}" for page in pages for each in page.get("Contents", ())]
