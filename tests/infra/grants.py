"""The grants of Terraform's policies, compared with the calls: each a pair of action and resource."""

from __future__ import annotations

import json
from dataclasses import dataclass
from fnmatch import fnmatchcase as fnmatch

from lakehouse_local.iam import evaluate as judged
from lakehouse_local.iam import policy
from lakehouse_local.iam.access import Access
from lakehouse_local.iam.evaluate import Principal, evaluate

ACCOUNT = "123456789012"


@dataclass(frozen=True)
class Pair:
    """One action on one resource, of one statement of one role."""

    role: str
    sid: str
    action: str
    resource: str

    def __str__(self):
        return f"{self.role}: {self.action} on {self.resource} ({self.sid})"


def _list(value):
    return [value] if isinstance(value, str) else list(value)


class Grants:
    """The statements of one role's policies, and the calls that were judged for it.

    :param calls: lines of the local AWS's record, of every role
    """

    def __init__(self, name, arn, statements, calls):
        self.name, self.statements = name, statements
        self.calls = [each for each in calls if each["principal"] == arn and each["allowed"]]

    def pairs(self):
        for statement in self.statements:
            key = "Resource" if "Resource" in statement else "NotResource"
            for action in _list(statement["Action"]):
                for resource in _list(statement[key]):
                    yield Pair(self.name, statement["Sid"], action, resource)

    def without(self, pair):
        """The statements less a pair."""
        for statement in self.statements:
            if statement["Sid"] != pair.sid or pair.action not in _list(statement["Action"]):
                yield statement
                continue
            others = [each for each in _list(statement["Action"]) if each != pair.action]
            elsewhere = [each for each in _list(statement.get("Resource", ())) if each != pair.resource]
            if others:
                yield {**statement, "Action": others}
            if elsewhere:
                yield {**statement, "Action": pair.action, "Resource": elsewhere}

    def is_needed(self, pair):
        """Return True if a call would be denied without it."""
        mine = [each for each in self.calls if each["action"].lower() == pair.action.lower()]
        left = self._principal(self.without(pair))
        return any(not _may(left, call) for call in mine)

    def was_called(self, pair):
        """Return True if it allows a call, even where another statement does too."""
        (statement,) = (each for each in self.statements if each["Sid"] == pair.sid)
        key = "Resource" if "Resource" in statement else "NotResource"
        alone = self._principal([{**statement, "Action": pair.action, key: pair.resource}])
        return any(_may(alone, call) for call in self.calls)

    def _principal(self, statements):
        document = policy.parse(json.dumps({"Version": "2012-10-17", "Statement": list(statements)}))
        return Principal("arn", judged.ROLE, ACCOUNT, "role", identity=(document,))


def _may(principal, call):
    context = {name: tuple(values) for name, values in call["context"].items()}
    return evaluate(principal, Access(call["action"], call["resource"], context), None, ACCOUNT, {}).allowed


def excuses(entry, pair):
    """Return True if an entry of aws_only.yaml matches a pair."""
    ends = entry.get("resources", ["*"])
    return (
        pair.role in entry["roles"]
        and any(fnmatch(pair.action, each) for each in entry["actions"])
        and any(fnmatch(pair.resource, f"*{end}") for end in ends)
        and fnmatch(pair.sid, entry.get("sid", "*"))
    )
