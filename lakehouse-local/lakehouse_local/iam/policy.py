"""IAM's policy documents: parsed, and matched against an access.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from lakehouse_local.errors import LocalAwsError
from lakehouse_local.iam.conditions import Condition
from lakehouse_local.iam.variables import Values, matcher

_OLD = "2008-10-17"  # the version that a document without one has: it knows no variables
_VERSIONS = (_OLD, "2012-10-17")


class PolicyError(LocalAwsError, ValueError):
    """A document that is no policy; the message gives the reason."""


@dataclass(frozen=True)
class AccessRequest:
    """An access with its caller, as policies match it.

    :ivar values: the values of the condition keys, keys in lower case
    :ivar principals: the caller's names in a policy's Principal: type (``AWS``, ``Service``, ``Federated``) -> names
    """

    action: str
    resource: str
    values: Values
    principals: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class PolicyStatement:
    """One statement. Of each pair, as Action and NotAction, the one that the document does not have is None."""

    allows: bool
    actions: tuple[str, ...] | None
    not_actions: tuple[str, ...] | None
    resources: tuple[str, ...] | None
    not_resources: tuple[str, ...] | None
    principals: Mapping[str, tuple[str, ...]] | None
    not_principals: Mapping[str, tuple[str, ...]] | None
    conditions: tuple[Condition, ...]
    variables: bool

    def covers(self, request: AccessRequest) -> bool:
        """Return True if action, resource and conditions match, whoever the caller is."""
        return (
            self._matches(request.action, self.actions, self.not_actions, request, is_arn=False)
            and self._matches(request.resource, self.resources, self.not_resources, request, is_arn=True)
            and all(condition.holds(request.values, self.variables) for condition in self.conditions)
        )

    def names(self, request: AccessRequest) -> list[tuple[str, str]]:
        """Return the caller's names that the statement of a resource's policy lists, as (type, name)."""
        if self.not_principals is not None:
            named = _named(self.not_principals, request)
            return [] if named else [("AWS", "*")]
        return _named(self.principals or {}, request)

    def _matches(
        self,
        value: str,
        included: tuple[str, ...] | None,
        excluded: tuple[str, ...] | None,
        request: AccessRequest,
        *,
        is_arn: bool,
    ) -> bool:
        values = request.values if self.variables and is_arn else None
        if included is not None:
            return any(matcher(each, values, is_arn=is_arn)(value) for each in included)
        if excluded is not None:
            return not any(matcher(each, values, is_arn=is_arn)(value) for each in excluded)
        return True  # a role's trust names no resource


@dataclass(frozen=True)
class PolicyDocument:
    """The statements of a policy document."""

    statements: tuple[PolicyStatement, ...]

    def denies(self, request: AccessRequest, *, named: bool = False) -> bool:
        """Return True if a statement denies the access explicitly.

        :param named: the statement must name the caller, as in a resource's policy
        """
        return any(
            not each.allows and each.covers(request) and (not named or each.names(request)) for each in self.statements
        )

    def allows(self, request: AccessRequest) -> bool:
        """Return True if a statement of an identity-based policy allows the access."""
        return any(each.allows and each.covers(request) for each in self.statements)

    def allows_as(self, request: AccessRequest) -> list[tuple[str, str]]:
        """Return the caller's names to which a resource's policy allows the access; none if it does not."""
        return [
            name for each in self.statements if each.allows and each.covers(request) for name in each.names(request)
        ]


@lru_cache(maxsize=512)
def parse(document: str) -> PolicyDocument:
    """Parse the JSON of a policy.

    :raises PolicyError: it is no policy
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
    return PolicyDocument(
        tuple(_statement(each, version != _OLD) for each in (found if isinstance(found, list) else [found]))
    )


def _statement(content: Any, variables: bool) -> PolicyStatement:
    if not isinstance(content, dict) or content.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"a statement needs an Effect, Allow or Deny: {content!r}")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource"), ("Principal", "NotPrincipal")):
        if one in content and other in content:
            raise PolicyError(f"a statement has {one} or {other}, not both")
    if "Action" not in content and "NotAction" not in content:
        raise PolicyError("a statement needs an Action or a NotAction")
    conditions = content.get("Condition", {})
    try:
        return PolicyStatement(
            allows=content["Effect"] == "Allow",
            actions=_texts(content.get("Action")),
            not_actions=_texts(content.get("NotAction")),
            resources=_texts(content.get("Resource")),
            not_resources=_texts(content.get("NotResource")),
            principals=_principals(content.get("Principal")),
            not_principals=_principals(content.get("NotPrincipal")),
            conditions=tuple(
                Condition.parse(operator, key, _texts(values) or ())
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
    return {type_: _texts(names) or () for type_, names in value.items()}


_ACCOUNT = re.compile(r"\d{12}")


def _named(principals: Mapping[str, Sequence[str]], request: AccessRequest) -> list[tuple[str, str]]:
    found = []
    for type_, names in principals.items():
        callers = request.principals.get(type_, ())
        for name in names:
            # An account id stands for the ARN of its root.
            full = f"arn:aws:iam::{name}:root" if _ACCOUNT.fullmatch(name) else name
            if full == "*" or full in callers:
                found.append((type_, full))
    return found
