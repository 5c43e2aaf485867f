"""The checks of AssumeRole before it begins a session: the members of the request, and the session policies.

Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from lakehouse_local.http.wire import AwsError, violations
from lakehouse_local.iam import policy
from lakehouse_local.iam.access import ApiCall
from lakehouse_local.iam.account import Account
from lakehouse_local.iam.policy import PolicyError

ASSUMES = ("AssumeRole", "AssumeRoleWithWebIdentity")  # they begin sessions, which are limited by session policies
MAX_POLICY = 2048  # characters of a session policy and of the ARNs of managed ones together
MAX_CHAINED = 3600  # seconds of a session that a role's session begins
DEFAULT_SECONDS = 3600
_POLICY = re.compile(r"[\t\n\r\u0020-\u00ff]+")
_NAME = re.compile(r"[\w+=,.@-]*", re.ASCII)
_MEMBERS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}


def check_request(call: ApiCall, account: Account) -> None:
    """Check the request that begins a session, as AWS does before it looks at permissions.

    :raises AwsError: ValidationError, MalformedPolicyDocument, NoSuchEntity
    """
    given = call.parameters
    found = violations("sts", call.operation, given)
    document, name = given.get("Policy"), str(given.get("RoleSessionName", ""))
    arns = [str(each.get("arn")) for each in given.get("PolicyArns") or ()]
    if document is not None and len(document) + sum(map(len, arns)) > MAX_POLICY:
        found.append(_violation(document, "policy", f"Member must have length less than or equal to {MAX_POLICY}"))
    if document and not _POLICY.fullmatch(document):
        pattern = r"[\u0009\u000A\u000D\u0020-\u00FF]+"
        found.append(_violation(document, "policy", f"Member must satisfy regular expression pattern: {pattern}"))
    if not _NAME.fullmatch(name):
        message = f"Member must satisfy regular expression pattern: {_NAME.pattern}"
        found.append(_violation(name, "roleSessionName", message))
    if found:
        errors = "error" if len(found) == 1 else "errors"
        raise _invalid(f"{len(found)} validation {errors} detected: {'; '.join(found)}")
    if document is not None:
        check_document(document)
    for arn in arns:
        if account.resources.managed_policy(arn) is None:
            raise AwsError("NoSuchEntity", f"ARN {arn} does not exist or is not attachable.", 404)


def check_duration(given: Mapping[str, Any], longest: int, *, chained: bool) -> None:
    """Check how long a session is to last.

    :param given: the request's parameters
    :param longest: the role's MaxSessionDuration, in seconds
    :param chained: the caller is itself a session of a role
    :raises AwsError: ValidationError
    """
    wanted = int(given.get("DurationSeconds") or DEFAULT_SECONDS)
    if chained and wanted > MAX_CHAINED:
        raise _invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
        )
    if wanted > longest:
        raise _invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")


def check_document(document: str) -> None:
    """Check that a text is a session policy: an identity-based policy, which names resources and no principal.

    :raises AwsError: MalformedPolicyDocument, in IAM's words
    """
    try:
        content = json.loads(document)
    except ValueError as error:
        raise _malformed(f"This policy contains invalid Json: {error}") from None
    statements = content.get("Statement") if isinstance(content, dict) else None
    for each in statements if isinstance(statements, list) else [statements]:
        if not isinstance(each, dict):
            raise _malformed("Syntax errors in policy.")
        if "Principal" in each or "NotPrincipal" in each:
            raise _malformed("Policy document should not specify a principal.")
        if unknown := sorted(set(each) - _MEMBERS):
            raise _malformed(f"Syntax errors in policy: a statement has no {', '.join(unknown)}")
        if "Resource" not in each and "NotResource" not in each:
            raise _malformed("Policy statement must contain resources.")
        for action in _texts(each.get("Action", each.get("NotAction", []))):
            if action != "*" and ":" not in action:
                raise _malformed("Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc.")
        for resource in _texts(each.get("Resource", each.get("NotResource", []))):
            if resource != "*" and not resource.startswith(("arn:", "${")):
                raise _malformed(f'Resource {resource} must be in ARN format or "*".')
    try:
        policy.parse(document)
    except PolicyError as error:
        raise _malformed(f"Syntax errors in policy: {error}") from None


def _texts(value: Any) -> list[str]:
    return [str(each) for each in (value if isinstance(value, list) else [value])]


def _violation(value: str, member: str, constraint: str) -> str:
    return f"Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"


def _malformed(message: str) -> AwsError:
    return AwsError("MalformedPolicyDocument", message)


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationError", message)
