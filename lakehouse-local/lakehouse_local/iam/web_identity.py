"""The caller of AssumeRoleWithWebIdentity: whom its token names, of an identity provider that the account knows.

The token's claims are read, its signature is not checked: no provider's keys are at hand on loopback.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from lakehouse_local.http.wire import AwsError
from lakehouse_local.iam.account import Account
from lakehouse_local.iam.evaluate import FEDERATED, Principal


def identity_of(parameters: Mapping[str, Any], account: Account) -> Principal:
    """:raises AwsError: InvalidIdentityToken when it is no token"""
    claims = _claims(str(parameters.get("WebIdentityToken", "")))
    host = str(claims.get("iss", "")).removeprefix("https://").rstrip("/")
    arn = f"arn:{account.partition}:iam::{account.account_id}:oidc-provider/{host}"
    values = {f"{host}:{name}".lower(): _values(value) for name, value in claims.items()}
    return Principal(arn, FEDERATED, account.account_id, values=values)


def _claims(token: str) -> dict[str, Any]:
    try:
        _, payload, _ = token.split(".")
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise AwsError("InvalidIdentityToken", "The ID Token provided is not a valid JWT.")
    return found


def _values(claim: Any) -> tuple[str, ...]:
    return tuple(str(each) for each in claim) if isinstance(claim, list) else (str(claim),)
