"""Every access judged, and remembered: which principal needed which action on what, and whether it may."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from lakehouse_local.iam import evaluate, policy
from lakehouse_local.iam.access import Access, AccessDenied, Call
from lakehouse_local.iam.account import Account
from lakehouse_local.iam.actions import accesses
from lakehouse_local.iam.evaluate import Principal, ResourcePolicy
from lakehouse_local.iam.principals import Principals, Session
from lakehouse_local.iam.variables import Values

CALLS = "iam-calls.jsonl"


class Enforcement:
    """The judge of one account.

    :param account: whose resources are judged
    :param calls: a file for what was judged, a JSON line for each that differs
    """

    def __init__(self, account: Account, calls: Path) -> None:
        self.principals = Principals(account.account_id)
        self.account = account
        self._region = account.region
        self._account_id = account.account_id
        self._calls = calls
        self._lock = threading.Lock()
        self._seen: set[str] = set(calls.read_text().splitlines()) if calls.exists() else set()

    def judge(self, principal: Principal, accesses: Iterable[Access], *, via: str = "") -> None:
        """Let pass what the principal may.

        :param via: the service that asks on its behalf, ``athena.amazonaws.com``
        :raises AccessDenied: at the first that it may not
        """
        for access in accesses:
            decision = self.decide(principal, access, via)
            self._remember(principal, access, via, decision.allowed)
            if not decision.allowed:
                raise AccessDenied(_sentence(principal, access, decision.reason), access)

    def decide(self, principal: Principal, access: Access, via: str = "") -> evaluate.Decision:
        return evaluate.evaluate(
            principal, access, self._resource_policy(access), self._owner(access), self._common(via)
        )

    def on_behalf(self, principal: Principal, via: str) -> Judge:
        """A judge for what a service does past the API for a principal."""
        return Judge(self, lambda: principal, via)

    def assume(self, role: str, session_name: str, service: str) -> Session:
        """A session of a role for a service, if the role's trust lets it.

        :param role: name or ARN
        :raises AccessDenied: it does not
        """
        arn = role if role.startswith("arn:") else self.account.role_arn(role)
        on_behalf = {"aws:sourceaccount": (self._account_id,)}
        self.judge(Principal(service, evaluate.SERVICE), [Access("sts:AssumeRole", arn, on_behalf)])
        return self.principals.session(arn, session_name)

    def of_session(self, session: Session) -> Judge:
        """A judge for what a service does as a role: by the policies that the role has at that moment."""
        return Judge(self, lambda: self.principals.of_role(session.role_arn, session.name), "")

    def _common(self, via: str) -> Values:
        now = datetime.now(timezone.utc)
        common: dict[str, tuple[str, ...]] = {
            # Loopback stands for TLS: nobody can listen to it who could not read the files.
            "aws:securetransport": ("true",),
            "aws:sourceip": ("127.0.0.1",),
            "aws:currenttime": (now.strftime("%Y-%m-%dT%H:%M:%SZ"),),
            "aws:epochtime": (str(int(time.time())),),
            "aws:requestedregion": (self._region,),
            "aws:viaawsservice": ("true" if via else "false",),
        }
        return (
            {**common, "aws:calledvia": (via,), "aws:calledviafirst": (via,), "aws:calledvialast": (via,)}
            if via
            else common
        )

    def _owner(self, access: Access) -> str:
        """The account of a resource: the ARN's, where it has one."""
        parts = access.resource.split(":", 5)
        return parts[4] if len(parts) == 6 and parts[4].isdigit() else self._account_id

    def _resource_policy(self, access: Access) -> ResourcePolicy | None:
        service, _, action = access.action.partition(":")
        if service == "s3":
            return _bucket_policy(self._account_id, access.resource)
        if service == "sts" and action.startswith("AssumeRole"):
            role = self.principals.role(access.resource)
            trust = role.assume_role_policy_document if role is not None else '{"Statement": []}'
            return ResourcePolicy(policy.parse(trust), needed=True, kind="role trust policy")
        if service == "kms":
            return _key_policy(self._account_id, self._region, access.resource)
        return None

    def _remember(self, principal: Principal, access: Access, via: str, allowed: bool) -> None:
        told: dict[str, Any] = {
            "principal": principal.role_arn or principal.arn,
            "action": access.action,
            "resource": access.resource,
            "context": {name: list(values) for name, values in sorted(access.context.items())},
            "via": via,
            "allowed": allowed,
        }
        line = json.dumps(told)
        with self._lock:
            if line not in self._seen:
                self._seen.add(line)
                with self._calls.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")


class Judge:
    """What a service that acts for a principal asks before it does: as if it called the API."""

    def __init__(self, enforcement: Enforcement, principal: Callable[[], Principal], via: str) -> None:
        self._enforcement = enforcement
        self._principal = principal
        self._via = via

    def __call__(self, service: str, operation: str, parameters: Mapping[str, Any]) -> None:
        """:raises AccessDenied: the principal may not"""
        needed = accesses(Call(service, operation, parameters), self._enforcement.account)
        self._enforcement.judge(self._principal(), needed, via=self._via)


def _sentence(principal: Principal, access: Access, reason: str) -> str:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html"""
    resource = f'"{access.resource}"' if access.action.startswith("s3:") else access.resource
    return f"User: {principal.arn} is not authorized to perform: {access.action} on resource: {resource} {reason}"


def _bucket_policy(account_id: str, resource: str) -> ResourcePolicy | None:
    from moto.s3.models import s3_backends

    name = resource.partition(":::")[2].partition("/")[0]
    bucket = s3_backends[account_id]["aws"].buckets.get(name) if name else None
    return ResourcePolicy(policy.parse(bucket.policy.decode())) if bucket is not None and bucket.policy else None


def _key_policy(account_id: str, region: str, resource: str) -> ResourcePolicy | None:
    from moto.kms.models import kms_backends

    key = kms_backends[account_id][region].keys.get(resource.rpartition("/")[2])
    return ResourcePolicy(policy.parse(key.policy), needed=True) if key is not None else None
