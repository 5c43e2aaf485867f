"""API calls, and the accesses that they need: actions on resources, each judged on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lakehouse_local.errors import LocalAwsError


@dataclass(frozen=True)
class ApiCall:
    """A call of a service's API.

    :ivar service: botocore's name of the service: ``s3``, ``cloudwatch``, ``mwaa``
    :ivar operation: botocore's name of the operation: ``ListObjectsV2``
    :ivar parameters: by botocore's names; without the body of an upload (PutObject, UploadPart)
    """

    service: str
    operation: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Access:
    """One action on one resource that a call needs permission for.

    :ivar action: as IAM spells it: ``s3:GetObject``
    :ivar resource: its ARN, or ``*`` where the action has no resource
    :ivar context: the condition keys of this access besides those that every call has, in lower case, each with its
        values: ``{"s3:prefix": ("a/",)}``
    """

    action: str
    resource: str
    context: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class AccessDenied(LocalAwsError):
    """An access that IAM does not allow, with AWS's own message.

    Not an AwsError, so that no code mistakes it for a resource that is missing.
    """

    def __init__(self, message: str, access: Access) -> None:
        super().__init__(message)
        self.message = message
        self.access = access


def request_tags(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the condition keys of the tags that a call would set."""
    found = {f"aws:requesttag/{name.lower()}": (value,) for name, value in tags.items()}
    return {**found, "aws:tagkeys": tuple(sorted(tags))} if tags else {}


def resource_tags(tags: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Return the condition keys of the tags that a resource has."""
    return {f"aws:resourcetag/{name.lower()}": (value,) for name, value in tags.items()}
