"""S3 URIs, in one place for the whole distribution."""

from __future__ import annotations

_SCHEMES = ("s3", "s3a", "s3n")


def split_s3_uri(uri: str) -> tuple[str, str]:
    """Return bucket and key of ``s3://bucket/key`` (s3a and s3n too); the key may be empty.

    :raises ValueError: it is no S3 URI
    """
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if not separator or scheme not in _SCHEMES or not bucket or bucket.startswith("."):
        raise ValueError(f"{uri!r} is not an S3 URI: s3://bucket/key is")
    return bucket, key
