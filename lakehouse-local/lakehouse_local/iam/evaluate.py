"""AWS's evaluation logic: an explicit deny wins; which policy must allow depends on the caller and the resource.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lakehouse_local.iam.access import Access
from lakehouse_local.iam.policy import AccessRequest, PolicyDocument
from lakehouse_local.iam.variables import Values

ROOT, USER, ROLE, SERVICE, FEDERATED, ANONYMOUS = "root", "user", "role", "service", "federated", "anonymous"


@dataclass(frozen=True)
class Principal:
    """A caller, with every policy that applies to it.

    :ivar arn: the ARN of the user or of the role's session; the name of a service
    :ivar kind: ROOT, USER, ROLE (a session of one), SERVICE, FEDERATED (a web identity) or ANONYMOUS
    :ivar role_arn: the role of a session
    :ivar identity: the policies of the user and its groups, or of the role
    :ivar boundary: the permissions boundary
    :ivar session: the session policies of AssumeRole
    :ivar values: the values of the condition keys about the caller, keys in lower case
    """

    arn: str
    kind: str
    account_id: str = ""
    role_arn: str = ""
    identity: tuple[PolicyDocument, ...] = ()
    boundary: PolicyDocument | None = None
    session: tuple[PolicyDocument, ...] = ()
    values: Values = field(default_factory=dict)

    @property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """The names that a resource's policy can have for it: type -> names."""
        if self.kind in (SERVICE, FEDERATED):
            return {"Service" if self.kind == SERVICE else "Federated": (self.arn,)}
        if self.kind == ANONYMOUS:
            return {}
        account = f"arn:aws:iam::{self.account_id}:root"
        return {"AWS": tuple(name for name in (self.arn, self.role_arn, account) if name)}


class ResourcePolicy(NamedTuple):
    """The policy of a resource.

    :ivar needed: an identity-based policy is not enough without it, even in the account: a role's trust, a KMS key's
    :ivar name: its name in AWS's messages
    """

    policy: PolicyDocument
    needed: bool = False
    name: str = "resource-based policy"


class Decision(NamedTuple):
    """The result of an evaluation.

    :ivar reason: AWS's words for why the access is not allowed
    """

    allowed: bool
    reason: str = ""


_ALLOWED = Decision(True)


def evaluate(
    principal: Principal, access: Access, resource: ResourcePolicy | None, resource_account: str, values: Values
) -> Decision:
    """Decide on an access of a principal.

    :param resource: the resource's own policy
    :param resource_account: id of the account that owns the resource
    :param values: the condition keys that every call has; those of the caller and of the access are added
    """
    known = {**values, **principal.values, **access.context}
    request = AccessRequest(access.action, access.resource, known, principal.names)
    for policies, name in (
        (principal.identity, "an identity-based policy"),
        ((principal.boundary,), "a permissions boundary"),
        (principal.session, "a session policy"),
    ):
        if any(policy is not None and policy.denies(request) for policy in policies):
            return Decision(False, f"with an explicit deny in {name}")
    if resource is not None and resource.policy.denies(request, named=True):
        return Decision(False, f"with an explicit deny in a {resource.name}")
    granted = resource.policy.allows_as(request) if resource is not None else []
    if principal.kind in (SERVICE, FEDERATED, ANONYMOUS):
        return _ALLOWED if granted else _not_granted(resource, access)
    if principal.account_id != resource_account:
        return _by_identity(principal, request) if granted else _not_granted(resource, access)
    if resource is not None and resource.needed and not granted:
        return _not_granted(resource, access)
    if principal.kind == ROOT:
        return _ALLOWED
    return _in_account(principal, request, {name for _, name in granted})


def evaluate_session(principal: Principal, access: Access, values: Values) -> Decision:
    """Decide by the session policies alone: without any, everything is allowed."""
    known = {**values, **principal.values, **access.context}
    request = AccessRequest(access.action, access.resource, known, principal.names)
    if any(policy.denies(request) for policy in principal.session):
        return Decision(False, "with an explicit deny in a session policy")
    return _within_session(principal, request)


def _in_account(principal: Principal, request: AccessRequest, granted: set[str]) -> Decision:
    """Decide within one account.

    A grant to the user or the session itself is enough; a grant to the role is limited by boundary and session policy.
    """
    if principal.arn in granted or (principal.kind == USER and "*" in granted):
        return _ALLOWED
    if principal.role_arn in granted or "*" in granted:
        return _within_bounds(principal, request)
    return _by_identity(principal, request)


def _by_identity(principal: Principal, request: AccessRequest) -> Decision:
    if principal.kind == ROOT:
        return _ALLOWED
    if not any(policy.allows(request) for policy in principal.identity):
        return _no("identity-based policy", request.action)
    return _within_bounds(principal, request)


def _within_bounds(principal: Principal, request: AccessRequest) -> Decision:
    if principal.boundary is not None and not principal.boundary.allows(request):
        return _no("permissions boundary", request.action)
    return _within_session(principal, request)


def _within_session(principal: Principal, request: AccessRequest) -> Decision:
    if principal.session and not any(policy.allows(request) for policy in principal.session):
        return _no("session policy", request.action)
    return _ALLOWED


def _not_granted(resource: ResourcePolicy | None, access: Access) -> Decision:
    return _no(resource.name if resource is not None else "resource-based policy", access.action)


def _no(name: str, action: str) -> Decision:
    return Decision(False, f"because no {name} allows the {action} action")
