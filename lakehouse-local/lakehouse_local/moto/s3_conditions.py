"""Conditional writes of S3: the check of the condition and the write are one step, also among many writers.

moto checks If-Match and If-None-Match of PutObject, but another write can come between the check and the write.

Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

from moto.s3.exceptions import MissingKey, PreconditionFailed
from moto.s3.responses import S3Response

_STRIPES = 64
_locks = [threading.RLock() for _ in range(_STRIPES)]


def replacements() -> list[tuple[Any, str, Any]]:
    """Return (class, attribute, value) for every attribute to replace in moto's classes."""
    names = ("put_object", "copy_object", "delete_object", "_key_response_post")
    return [(S3Response, name, _one_by_one(getattr(S3Response, name))) for name in names]


def _one_by_one(write: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(write)
    def written(self: Any, *arguments: Any, **more: Any) -> Any:
        with _locks[hash((self.bucket_name, self.parse_key_name())) % _STRIPES]:
            if write.__name__ in ("copy_object", "_key_response_post"):
                _check(self)
            return write(self, *arguments, **more)

    return written


def _check(self: Any) -> None:
    """Check the conditions of CopyObject and CompleteMultipartUpload, which moto leaves out."""
    match, none = self.headers.get("If-Match"), self.headers.get("If-None-Match")
    if not match and not none:
        return
    found = self.backend.get_object(self.bucket_name, self.parse_key_name())
    if match and found is None:
        raise MissingKey
    if match and match.strip('"') != found.etag.strip('"'):
        raise PreconditionFailed("If-Match")
    if none == "*" and found is not None:
        raise PreconditionFailed("If-None-Match")
