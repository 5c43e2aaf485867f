"""IAM's policy documents: read, and matched against one access.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lakehouse_local.iam.conditions import Condition
from lakehouse_local.iam.variables import Values, matcher

_OLD = "2008-10-17"  # the version that a document without one has: it knows no variables
_VERSIONS = (_OLD, "2012-10-17")


class PolicyError(ValueError):
    """A document that is no policy; the message says why."""


@dataclass(frozen=True)
class Request:
    """An access, with all that conditions may ask of it.

    :ivar values: of the condition keys, lower-case
    :ivar principals: whom a policy may name to mean the caller: kind (``AWS``, ``Service``, ``Federated``) -> names
    """

    action: str
    resource: str
    values: Values
    principals: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Statement:
    """One statement. Of each pair only the one that the document has is not None."""

    allows: bool
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principals: Mapping[str, tuple[str, ...]] | None
    not_principals: Mapping[str, tuple[str, ...]] | None
    conditions: tuple[Condition, ...]
    variables: bool

    def covers(self, request: Request) -> bool:
        """Whether action, resource and conditions fit, whoever calls."""
        return (
            self._fits(request.action, self.actions, self.not_actions, request, of_arns=False)
            and self._fits(request.resource, self.resources, self.not_resources, request, of_arns=True)
            and all(condition.holds(request.values, self.variables) for condition in self.conditions)
        )

    def names(self, request: Request) -> list[tuple[str, str]]:
        """The caller's names by which the statement means it, as (kind, name); of a resource's policy."""
        if self.not_principals is not None:
            named = _named(self.not_principals, request)
            return [] if named else [("AWS", "*")]
        return _named(self.principals or {}, request)

    def _fits(
        self,
        value: str,
        wanted: tuple[str, ...] | None,
        unwanted: tuple[str, ...] | None,
        request: Request,
        *,
        of_arns: bool,
    ) -> bool:
        values = request.values if self.variables and of_arns else None
        if wanted is not None:
            return any(matcher(each, values, of_arns=of_arns)(value) for each in wanted)
        if unwanted is not None:
            return not any(matcher(each, values, of_arns=of_arns)(value) for each in unwanted)
        return True  # a role's trust names no resource


@dataclass(frozen=True)
class Policy:
    """A document's statements."""

    statements: tuple[Statement, ...]

    def denies(self, request: Request, *, named: bool = False) -> bool:
        """Whether a statement refuses explicitly.

        :param named: whether it must name the caller, as in a resource's policy
        """
        return any(
            not each.allows and each.covers(request) and (not named or each.names(request)) for each in self.statements
        )

    def allows(self, request: Request) -> bool:
        """Whether a statement of an identity's policy allows."""
        return any(each.allows and each.covers(request) for each in self.statements)

    def allows_as(self, request: Request) -> list[tuple[str, str]]:
        """By which names of the caller a resource's policy allows: none when it does not."""
        return [
            name for each in self.statements if each.allows and each.covers(request) for name in each.names(request)
        ]


@lru_cache(maxsize=512)
def parse(document: str) -> Policy:
    """A policy from its JSON.

    :raises PolicyError: it is none
    """
    try:
        content = json.loads(document)
    except ValueError as error:
        raise PolicyError(f"the policy is not JSON: {error}") from None
    if not isinstance(content, dict) or "Statement" not in content:
        raise PolicyError("a policy is a JSON object with a Statement")
    version = content.get("Version", _OLD)
    if version not in _VERSIONS:
        raise PolicyError(f"Version {version!r} is not one of {', '.join(_VERSIONS)}")
    found = content["Statement"]
    return Policy(tuple(_statement(each, version != _OLD) for each in (found if isinstance(found, list) else [found])))


def _statement(content: Any, variables: bool) -> Statement:
    if not isinstance(content, dict) or content.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"a statement needs an Effect, Allow or Deny: {content!r}")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal")):
        if one in content and other in content:
            raise PolicyError(f"a statement has {one} or {other}, not both")
    if "Action" not in content and "NotAction" not in content:
        raise PolicyError("a statement needs an Action or a NotAction")
    conditions = content.get("Condition", {})
    try:
        return Statement(
            allows=content["Effect"] == "Allow",
            actions=_texts(content.get("Action")),
            not_actions=_texts(content.get("NotAction")),
            resources=_texts(content.get("Resource")),
            not_resources=_texts(content.get("NotResource")),
            principals=_principals(content.get("Principal")),
            not_principals=_principals(content.get("NotPrincipal")),
            conditions=tuple(
                Condition.of(operator, key, _texts(values) or ())
                for operator, keys in conditions.items()
                for key, values in keys.items()
            ),
            variables=variables,
        )
    except (AttributeError, ValueError) as error:
        raise PolicyError(f"a statement's condition cannot be read: {error}") from None


def _texts(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    return tuple(_text(each) for each in (value if isinstance(value, list) else [value]))


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _principals(value: Any) -> dict[str, tuple[str, ...]] | None:
    if value is None:
        return None
    if value == "*":
        return {"AWS": ("*",)}
    if not isinstance(value, dict):
        raise PolicyError(f"a Principal is '*' or an object of AWS, Service, Federated: {value!r}")
    return {kind: _texts(names) or () for kind, names in value.items()}


_ACCOUNT = re.compile(r"\d{12}")


def _named(principals: Mapping[str, Sequence[str]], request: Request) -> list[tuple[str, str]]:
    found = []
    for kind, names in principals.items():
        callers = request.principals.get(kind, ())
        for name in names:
            # An account's bare number means its root, as the ARN does.
            full = f"arn:aws:iam::{name}:root" if _ACCOUNT.fullmatch(name) else name
            if full == "*" or full in callers:
                found.append((kind, full))
    return found
