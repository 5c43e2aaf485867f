"""The tables of docs/security.md: who may do what, out of the policies that Terraform makes.

terraform show -json [PLAN] | python policy_table.py
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

_ORDER = ("airflow", "glue_job", "crawler", "dbt", "fence", "analyst")


def resources(module: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Of a state's or a plan's root module, with the modules below."""
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from resources(child)


def tables(shown: dict[str, Any]) -> str:
    """One table for each role's policy."""
    root = (shown.get("planned_values") or shown["values"])["root_module"]
    policies = {
        each["index"]: json.loads(each["values"]["policy"])
        for each in resources(root)
        if each["type"] == "aws_iam_role_policy"
    }
    parts = []
    for role in sorted(policies, key=lambda name: (_ORDER.index(name) if name in _ORDER else len(_ORDER), name)):
        rows = [_row(statement) for statement in policies[role]["Statement"]]
        parts += [f"### {role}", "", "| for | actions | on | when |", "|---|---|---|---|", *rows, ""]
    return "\n".join(parts)


def _row(statement: dict[str, Any]) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", statement["Sid"]).lower()
    actions = _actions(_list(statement["Action"]))
    if "NotResource" in statement:
        places = "all but " + _listed(_list(statement["NotResource"]))
    else:
        places = _listed(_list(statement["Resource"]))
    when = "; ".join(
        f"{key} {'is' if test == 'StringEquals' else 'like'} {_codes(_list(values))}"
        for test, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
    )
    return f"| {words} | {actions} | {places} | {when} |"


def _actions(actions: Iterable[str]) -> str:
    """`glue:GetJob`, GetJobRun ...: the service once."""
    by_service: dict[str, list[str]] = {}
    for action in sorted(actions):
        service, _, name = action.partition(":")
        by_service.setdefault(service, []).append(name)
    return "; ".join(f"{service}: {', '.join(names)}" for service, names in by_service.items())


def _listed(arns: Iterable[str]) -> str:
    return _codes(re.sub(r"^arn:[\w-]+:(\w+):[^:]*:[^:]*:", r"\1:", arn) for arn in sorted(arns))


def _codes(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


if __name__ == "__main__":
    print(tables(json.load(sys.stdin)))
