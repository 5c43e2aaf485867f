"""Addresses of S3, ``s3://bucket/key``."""

from __future__ import annotations

SCHEME = "s3://"


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of an ``s3://`` address; the key is empty where it names a bucket alone.

    :raises ValueError: naming the address, when it is none of S3
    """
    bucket, _, key = uri.removeprefix(SCHEME).partition("/")
    if not uri.startswith(SCHEME) or not bucket:
        raise ValueError(f"{uri!r} is not an address in S3: it must be s3://bucket/key")
    return bucket, key
