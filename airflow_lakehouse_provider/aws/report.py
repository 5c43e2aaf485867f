"""What a script leaves of its run: a JSON object in S3."""

from __future__ import annotations

import json
from typing import Any

_LONGEST = 1 << 20


def read_report(s3: Any, uri: str) -> dict[str, Any]:
    """The object at ``s3://bucket/key``.

    :raises Exception: it is not there, too long, or not a JSON object
    """
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body = s3.get_object(Bucket=bucket, Key=key)["Body"].read(_LONGEST + 1)
    if len(body) > _LONGEST:
        raise ValueError(f"it is longer than {_LONGEST} bytes")
    report = json.loads(body)
    if not isinstance(report, dict):
        raise ValueError("it is not a JSON object")
    return report
