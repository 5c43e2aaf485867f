"""AWS's way to a decision: an explicit deny wins; then what must allow depends on who calls and whose resource it is.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from lakehouse_local.iam.access import Access
from lakehouse_local.iam.policy import Policy, Request
from lakehouse_local.iam.variables import Values

ROOT, USER, ROLE, SERVICE, FEDERATED, ANONYMOUS = "root", "user", "role", "service", "federated", "anonymous"


@dataclass(frozen=True)
class Principal:
    """Who calls, with everything that bounds it.

    :ivar arn: as messages name it: of the user, of the assumed role's session; a service's name for a service
    :ivar kind: ROOT, USER, ROLE (a session of one), SERVICE, FEDERATED (a web identity) or ANONYMOUS
    :ivar role_arn: of a session: its role's
    :ivar identity: the policies of the user with its groups, or of the role
    :ivar boundary: the permissions boundary
    :ivar session: the policies that were handed over when the role was assumed
    :ivar values: of condition keys that tell of the caller, by their names in lower case
    """

    arn: str
    kind: str
    account_id: str = ""
    role_arn: str = ""
    identity: tuple[Policy, ...] = ()
    boundary: Policy | None = None
    session: tuple[Policy, ...] = ()
    values: Values = field(default_factory=dict)

    @property
    def names(self) -> Mapping[str, tuple[str, ...]]:
        """Whom a resource's policy may name to mean it."""
        if self.kind in (SERVICE, FEDERATED):
            return {"Service" if self.kind == SERVICE else "Federated": (self.arn,)}
        if self.kind == ANONYMOUS:
            return {}
        account = f"arn:aws:iam::{self.account_id}:root"
        return {"AWS": tuple(name for name in (self.arn, self.role_arn, account) if name)}


class ResourcePolicy(NamedTuple):
    """The policy that a resource has itself.

    :ivar needed: whether an identity's policy does not do without it, even in the account: a role's trust, a key's
    """

    policy: Policy
    needed: bool = False
    kind: str = "resource-based policy"


class Decision(NamedTuple):
    """:ivar reason: why not, in AWS's words"""

    allowed: bool
    reason: str = ""


_ALLOWED = Decision(True)


def evaluate(
    principal: Principal, access: Access, resource: ResourcePolicy | None, resource_account: str, values: Values
) -> Decision:
    """Whether a principal may.

    :param resource_account: whose the resource is
    :param values: of the condition keys that every call has; those of the caller and of the access come besides
    """
    request = Request(access.action, access.resource, {**values, **principal.values, **access.context}, principal.names)
    for policies, kind in (
        (principal.identity, "an identity-based policy"),
        ((principal.boundary,), "a permissions boundary"),
        (principal.session, "a session policy"),
    ):
        if any(policy is not None and policy.denies(request) for policy in policies):
            return Decision(False, f"with an explicit deny in {kind}")
    if resource is not None and resource.policy.denies(request, named=True):
        return Decision(False, f"with an explicit deny in a {resource.kind}")
    granted = resource.policy.allows_as(request) if resource is not None else []
    if principal.kind in (SERVICE, FEDERATED, ANONYMOUS):
        return _ALLOWED if granted else _nobody(resource, access)
    if principal.account_id != resource_account:
        return _by_identity(principal, request) if granted else _nobody(resource, access)
    if resource is not None and resource.needed and not granted:
        return _nobody(resource, access)
    if principal.kind == ROOT:
        return _ALLOWED
    return _in_account(principal, request, {name for _, name in granted})


def _in_account(principal: Principal, request: Request, granted: set[str]) -> Decision:
    """A grant to the user or the session itself is enough; one to the role is, within boundary and session policy."""
    if principal.arn in granted or (principal.kind == USER and "*" in granted):
        return _ALLOWED
    if principal.role_arn in granted or "*" in granted:
        return _within_bounds(principal, request)
    return _by_identity(principal, request)


def _by_identity(principal: Principal, request: Request) -> Decision:
    if principal.kind == ROOT:
        return _ALLOWED
    if not any(policy.allows(request) for policy in principal.identity):
        return _no("identity-based policy", request.action)
    return _within_bounds(principal, request)


def _within_bounds(principal: Principal, request: Request) -> Decision:
    if principal.boundary is not None and not principal.boundary.allows(request):
        return _no("permissions boundary", request.action)
    if principal.session and not any(policy.allows(request) for policy in principal.session):
        return _no("session policy", request.action)
    return _ALLOWED


def _nobody(resource: ResourcePolicy | None, access: Access) -> Decision:
    return _no(resource.kind if resource is not None else "resource-based policy", access.action)


def _no(kind: str, action: str) -> Decision:
    return Decision(False, f"because no {kind} allows the {action} action")
