"""Findings of checks, and the finding that follows from a call which tests a permission."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_lakehouse_provider.aws import errors

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden"})


class CheckStatus(str, Enum):
    """The result of a check."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "not checked"


@dataclass(frozen=True)
class Finding:
    """One line of the table: what was checked, the result, what was found, and what to do."""

    what: str
    status: CheckStatus
    found: str = ""
    to_do: str = ""

    @classmethod
    def ok(cls, what: str, found: str = "") -> Finding:
        return cls(what, CheckStatus.OK, found)

    @classmethod
    def wrong(cls, what: str, found: str, to_do: str) -> Finding:
        return cls(what, CheckStatus.WRONG, found, to_do)

    @classmethod
    def unknown(cls, what: str, found: str, to_do: str = "") -> Finding:
        return cls(what, CheckStatus.UNKNOWN, found, to_do)


@dataclass(frozen=True)
class Answer:
    """AWS's response to a call: the content, or an error's code and text."""

    content: Any = None
    code: str = ""
    text: str = ""

    @property
    def denied(self) -> bool:
        return self.code in _DENIED


def call_aws(call: Callable[..., Any], **arguments: Any) -> Answer:
    """Call a method of a boto3 client; an error is returned as an answer."""
    try:
        return Answer(call(**arguments))
    except (ClientError, BotoCoreError) as error:
        text = error.response["Error"].get("Message", "") if isinstance(error, ClientError) else str(error)
        return Answer(code=errors.code(error), text=text)


def permission(action: str, resource: str, answer: Answer, *, harmless: tuple[str, ...] = (), who: str) -> Finding:
    """Return a finding: ok if the answer shows that the caller has the permission.

    :param harmless: codes of errors that AWS returns only after it has checked the permissions
    :param who: the identity that needs the permission
    """
    what = f"{action} on {resource}"
    if not answer.code or answer.code in harmless:
        return Finding.ok(what)
    if answer.denied:
        return Finding.wrong(what, answer.text or answer.code, f"allow {who} {action} on {resource}")
    return Finding.wrong(what, f"{answer.code}: {answer.text}", _advice(answer.code, resource))


def _advice(code: str, resource: str) -> str:
    if code in errors.ADVICE:
        return errors.ADVICE[code]
    if "NotFound" in code or code.startswith("NoSuch") or code == "404":
        return f"create {resource} (infra/terraform does), or correct lakehouse.yaml"
    return "check the endpoint, the region and the network"
