"""What a call is, and what it asks of IAM: actions on resources, each judged on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """A call as its service's API has it.

    :ivar service: botocore's name of it, as ``s3``, ``cloudwatch``, ``mwaa``
    :ivar operation: botocore's name of it, as ``ListObjectsV2``
    :ivar parameters: by botocore's names. Of a call with a streaming body (PutObject, UploadPart) without the body.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Access:
    """One thing that a call needs.

    :ivar action: as IAM spells it: ``s3:GetObject``
    :ivar resource: its ARN, or ``*`` where the action has no resource
    :ivar context: the condition keys of the call besides those that every call has, in lower case, each with its
        values: ``{"s3:prefix": ("a/",)}``
    """

    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class AccessDenied(Exception):
    """IAM says no; the sentence is AWS's own. No AwsError, so that nothing takes it for a thing that is missing."""

    def __init__(self, message: str, access: Access) -> None:
        super().__init__(message)
        self.message = message
        self.access = access


def request_tags(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The condition keys of the tags that a call would set."""
    found = {f"aws:requesttag/{name.lower()}": (value,) for name, value in tags.items()}
    return {**found, "aws:tagkeys": tuple(sorted(tags))} if tags else {}


def resource_tags(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """The condition keys of the tags that a resource has."""
    return {f"aws:resourcetag/{name.lower()}": (value,) for name, value in tags.items()}
