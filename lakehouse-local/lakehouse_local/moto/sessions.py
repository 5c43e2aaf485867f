"""Role sessions as moto's STS keeps them, with what moto leaves out: the managed policies, and an end of their own."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from moto.core.utils import utcnow
from moto.sts.responses import TokenResponse

SECONDS = "LAKEHOUSE_SESSION_SECONDS"
_ARNS = "lakehouse_policy_arns"


def install() -> None:
    """Change the operations of moto's STS that begin a session."""
    for name in ("assume_role", "assume_role_with_web_identity"):
        original = getattr(TokenResponse, name)
        if not hasattr(original, _ARNS):  # they are global, and a second local AWS of the process finds them changed
            setattr(TokenResponse, name, _complete(original))


def policy_arns_of(session: Any) -> tuple[str, ...]:
    """Return the managed policies that limit a session of moto's."""
    return tuple(getattr(session, _ARNS, ()))


def seconds() -> int | None:
    """Return after how many seconds every session ends, None for as long as it was asked for.

    :raises ValueError: LAKEHOUSE_SESSION_SECONDS is not a whole number from 1 on
    """
    text = os.environ.get(SECONDS)
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ValueError(f"{SECONDS} must be a whole number from 1 on, not {text!r}")
    return int(text)


def _complete(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def assume(self: Any) -> Any:
        answer = original(self)
        session = answer.result["Credentials"]
        given = self._get_param("PolicyArns") or []
        setattr(session, _ARNS, tuple(str(each.get("arn") or each.get("Arn")) for each in given))
        if (shorter := seconds()) is not None:
            session.expiration = min(session.expiration, utcnow() + timedelta(seconds=shorter))
        return answer

    setattr(assume, _ARNS, ())
    return assume
