"""The caller of AssumeRoleWithWebIdentity, from the claims of its token.

The token's signature is not checked: the local AWS has no identity provider's keys.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from lakehouse_local.http.wire import AwsError
from lakehouse_local.iam.account import Account
from lakehouse_local.iam.evaluate import FEDERATED, Principal


def web_identity(parameters: Mapping[str, Any], account: Account) -> Principal:
    """Return the caller.

    :param parameters: the call's parameters
    :raises AwsError: InvalidIdentityToken if the token is no JWT
    """
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
