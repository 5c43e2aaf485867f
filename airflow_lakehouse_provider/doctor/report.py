"""What a check found, and how a call that was made to see whether it is allowed is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_lakehouse_provider.aws import errors

_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "403", "Forbidden"})


class Verdict(str, Enum):
    """What became of a check."""

    OK = "ok"
    WRONG = "wrong"
    UNKNOWN = "not checked"


@dataclass(frozen=True)
class Finding:
    """One line of the table: what was looked at, what came of it, and what to do."""

    what: str
    verdict: Verdict
    found: str = ""
    to_do: str = ""

    @classmethod
    def ok(cls, what: str, found: str = "") -> Finding:
        return cls(what, Verdict.OK, found)

    @classmethod
    def wrong(cls, what: str, found: str, to_do: str) -> Finding:
        return cls(what, Verdict.WRONG, found, to_do)

    @classmethod
    def unknown(cls, what: str, found: str, to_do: str = "") -> Finding:
        return cls(what, Verdict.UNKNOWN, found, to_do)


@dataclass(frozen=True)
class Answer:
    """What AWS answered to a call: content, or an error's code and text; neither when nothing answered."""

    content: Any = None
    code: str = ""
    text: str = ""

    @property
    def denied(self) -> bool:
        return self.code in _DENIED


def ask(call: Callable[..., Any], **arguments: Any) -> Answer:
    """Make a call of boto3's, its error as an answer."""
    try:
        return Answer(call(**arguments))
    except (ClientError, BotoCoreError) as error:
        text = error.response["Error"].get("Message", "") if isinstance(error, ClientError) else str(error)
        return Answer(code=errors.code(error), text=text)


def permission(action: str, resource: str, answer: Answer, *, harmless: tuple[str, ...] = (), who: str) -> Finding:
    """Whether an answer shows that the caller may do this.

    :param harmless: codes of errors that come after AWS has looked at the permissions
    :param who: the identity that the permission is of
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
    return "look at the endpoint, the region and the network"
