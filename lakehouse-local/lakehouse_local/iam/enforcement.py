"""The judge of every access, and its record: principal, action, resource, and the decision."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lakehouse_local.iam import evaluate, policy
from lakehouse_local.iam.access import Access, AccessDenied, ApiCall
from lakehouse_local.iam.account import Account
from lakehouse_local.iam.actions import accesses
from lakehouse_local.iam.arn import account_of_arn, name_of_arn
from lakehouse_local.iam.evaluate import Principal, ResourcePolicy
from lakehouse_local.iam.principals import Principals, RoleSession
from lakehouse_local.iam.session_policy import check_duration
from lakehouse_local.iam.variables import Values

CALLS = "iam-calls.jsonl"
_TRUSTS_NOBODY = '{"Statement": []}'


class Enforcement:
    """The judge of one account.

    :param account: the account whose resources are judged
    :param calls: file of the decisions, a JSON line for each that differs
    :param everything: judge by every policy; False: by session policies alone, whoever has none may do anything
    """

    def __init__(self, account: Account, calls: Path, *, everything: bool = True) -> None:
        self.principals = Principals(account, rights=everything)
        self.account = account
        self.everything = everything
        self._calls = calls
        self._lock = threading.Lock()
        self._seen: set[str] = set(calls.read_text().splitlines()) if calls.exists() else set()

    def judge(self, principal: Principal, accesses: Iterable[Access], *, via: str = "") -> None:
        """Return if the principal is allowed all accesses.

        :param via: the service that acts on the principal's behalf, ``athena.amazonaws.com``
        :raises AccessDenied: at the first access that is not allowed
        """
        for access in accesses:
            decision = self.decide(principal, access, via)
            self._record(principal, access, via, decision.allowed)
            if not decision.allowed:
                raise AccessDenied(_sentence(principal, access, decision.reason), access)

    def decide(self, principal: Principal, access: Access, via: str = "") -> evaluate.Decision:
        """Return whether a principal is allowed an access, and AWS's reason where it is not."""
        if not self.everything:
            return evaluate.evaluate_session(principal, access, self._common_values(via))
        # The account of a resource is the ARN's, where it has one.
        owner = account_of_arn(access.resource) or self.account.account_id
        return evaluate.evaluate(principal, access, self._resource_policy(access), owner, self._common_values(via))

    def check_role(self, principal: Principal, call: ApiCall) -> None:
        """Check that a role exists and that its sessions may last as long as a call asks for.

        :raises AccessDenied: there is no such role
        :raises AwsError: ValidationError
        """
        arn = str(call.parameters.get("RoleArn"))
        role = self.account.resources.role(arn)
        if role is None:
            access = Access(f"sts:{call.operation}", arn)
            raise AccessDenied(_sentence(principal, access, ""), access)
        check_duration(call.parameters, role.max_session, chained=principal.kind == evaluate.ROLE)

    def on_behalf(self, principal: Principal, via: str) -> Judge:
        """Return a judge for the accesses of a service on a principal's behalf."""
        return Judge(self, lambda: principal, via)

    def assume(self, role: str, session_name: str, service: str) -> RoleSession:
        """Return a session of a role for a service.

        :param role: name or ARN
        :raises AccessDenied: the role's trust policy does not name the service
        """
        arn = self.account.role_arn(role)
        on_behalf = {"aws:sourceaccount": (self.account.account_id,)}
        self.judge(Principal(service, evaluate.SERVICE), [Access("sts:AssumeRole", arn, on_behalf)])
        return self.principals.start_session(arn, session_name)

    def in_session(self, session: RoleSession) -> Judge:
        """Return a judge for the accesses of a service as a role, by the policies that the role has at that moment."""
        return Judge(self, lambda: self.principals.in_role(session.role_arn, session.name), "")

    def _common_values(self, via: str) -> Values:
        """Return the condition keys that every call has."""
        now = datetime.now(timezone.utc)
        common: dict[str, tuple[str, ...]] = {
            "aws:securetransport": ("true",),
            "aws:sourceip": ("127.0.0.1",),
            "aws:currenttime": (now.strftime("%Y-%m-%dT%H:%M:%SZ"),),
            "aws:epochtime": (str(int(time.time())),),
            "aws:requestedregion": (self.account.region,),
            "aws:viaawsservice": ("true" if via else "false",),
        }
        called = ("aws:calledvia", "aws:calledviafirst", "aws:calledvialast") if via else ()
        return {**common, **dict.fromkeys(called, (via,))}

    def _resource_policy(self, access: Access) -> ResourcePolicy | None:
        service, _, action = access.action.partition(":")
        resources = self.account.resources
        if service == "s3":
            document = resources.bucket_policy(access.resource.partition(":::")[2].partition("/")[0])
            return ResourcePolicy(policy.parse(document)) if document else None
        if service == "sts" and action.startswith("AssumeRole"):
            role = resources.role(access.resource)
            trust = role.trust if role is not None else _TRUSTS_NOBODY
            return ResourcePolicy(policy.parse(trust), needed=True, name="role trust policy")
        if service == "kms":
            document = resources.key_policy(name_of_arn(access.resource))
            return ResourcePolicy(policy.parse(document), needed=True) if document is not None else None
        return None

    def _record(self, principal: Principal, access: Access, via: str, allowed: bool) -> None:
        decision: dict[str, Any] = {
            "principal": principal.role_arn or principal.arn,
            "action": access.action,
            "resource": access.resource,
            "context": {name: list(values) for name, values in sorted(access.context.items())},
            "via": via,
            "allowed": allowed,
        }
        line = json.dumps(decision)
        with self._lock:
            if line not in self._seen:
                self._seen.add(line)
                with self._calls.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")


class Judge:
    """The judge of a service that acts for a principal: each of its accesses counts as a call of the principal."""

    def __init__(self, enforcement: Enforcement, principal: Callable[[], Principal], via: str) -> None:
        self._enforcement = enforcement
        self._principal = principal
        self._via = via

    def __call__(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        """Return if the principal is allowed the call.

        :raises AccessDenied: it is not
        """
        needed = accesses(ApiCall(service, operation, parameters), self._enforcement.account)
        self._enforcement.judge(self._principal(), needed, via=self._via)


def _sentence(principal: Principal, access: Access, reason: str) -> str:
    """Return AWS's message, https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""
    resource = f'"{access.resource}"' if access.action.startswith("s3:") else access.resource
    text = f"User: {principal.arn} is not authorized to perform: {access.action} on resource: {resource} {reason}"
    return text.rstrip()
