"""The calls of S3 beside Spark's reading and writing: list, get, put, copy, delete. Each call is atomic in itself."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

from trips.errors import LoadError


@dataclass(frozen=True)
class Object:
    """An object in a listing."""

    uri: str
    size: int
    etag: str


def split(uri: str) -> tuple[str, str]:
    """Return the bucket and the key of an S3 URI."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key


class Storage:
    """A client of S3, which has no rename and shows a PUT completely or not at all."""

    def __init__(self, client: Any = None) -> None:
        self._s3 = client or boto3.client("s3")

    def list(self, prefix: str) -> Iterator[Object]:
        """Yield the objects whose URI begins with this, by name, without markers of folders."""
        bucket, key = split(prefix)
        try:
            for page in self._s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=key):
                for each in page.get("Contents", ()):
                    if not each["Key"].endswith("/"):
                        yield Object(f"s3://{bucket}/{each['Key']}", each["Size"], each["ETag"].strip('"'))
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "NoSuchBucket":
                raise LoadError(f"the bucket of {prefix} does not exist: correct the argument, or create it") from error
            if code == "AccessDenied":
                raise LoadError(f"the job's role may not list {prefix}: allow it s3:ListBucket there") from error
            raise

    def get(self, uri: str) -> bytes:
        bucket, key = split(uri)
        content: bytes = self._s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        return content

    def put(self, uri: str, content: bytes) -> None:
        bucket, key = split(uri)
        self._s3.put_object(Bucket=bucket, Key=key, Body=content)

    def copy(self, source: str, target: str) -> None:
        from_bucket, from_key = split(source)
        bucket, key = split(target)
        # Not one CopyObject: that refuses more than 5 GB.
        self._s3.copy({"Bucket": from_bucket, "Key": from_key}, bucket, key)

    def delete(self, uris: Iterable[str]) -> None:
        for uri in uris:
            bucket, key = split(uri)
            self._s3.delete_object(Bucket=bucket, Key=key)
