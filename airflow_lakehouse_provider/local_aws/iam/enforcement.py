"""Every access judged, and remembered: which principal needed which action on what, and whether it may."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

from airflow_lakehouse_provider.local_aws.iam import evaluate, policy
from airflow_lakehouse_provider.local_aws.iam.access import Access, AccessDenied
from airflow_lakehouse_provider.local_aws.iam.evaluate import Principal, ResourcePolicy
from airflow_lakehouse_provider.local_aws.iam.principals import Principals
from airflow_lakehouse_provider.local_aws.iam.variables import Values

CALLS = "iam-calls.jsonl"


class Judge(Protocol):
    """What a service that acts for a caller asks before it does."""

    def __call__(self, *accesses: Access) -> None:
        """:raises AccessDenied: the caller may not"""


class Enforcement:
    """The judge of one account.

    :param calls: a file for what was judged, a JSON line for each that differs
    """

    def __init__(self, region: str, account_id: str, calls: Path) -> None:
        self.principals = Principals(account_id)
        self._region = region
        self._account_id = account_id
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
        return lambda *accesses: self.judge(principal, accesses, via=via)

    def trusts(self, role_arn: str, service: str) -> bool:
        """Whether a role lets a service assume it, on behalf of this account."""
        return self.decide(
            Principal(service, evaluate.SERVICE),
            Access("sts:AssumeRole", role_arn, {"aws:sourceaccount": (self._account_id,)}),
        ).allowed

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
