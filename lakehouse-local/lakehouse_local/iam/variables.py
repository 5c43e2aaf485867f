"""Wildcards and variables in a policy's texts.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

Values = Mapping[str, tuple[str, ...]]  # of condition keys, by their names in lower case

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_VERBATIM = ("*", "?", "$")


class Unknown(LookupError):
    """A variable that the call has no value for."""


def matcher(pattern: str, values: Values | None, *, of_arns: bool) -> Callable[[str], bool]:
    """Whether a text fits an Action (without regard to case) or a Resource.

    A wildcard of an ARN stays within its segment, unless it is the segment's last character.

    :param values: for the variables of the pattern; None: it has none
    """
    try:
        expression = _expression(_parts(pattern, values), of_arns)
    except Unknown:
        return lambda text: False
    return lambda text: bool(_compiled(expression, not of_arns).fullmatch(text))


def like(pattern: str, values: Values | None, text: str) -> bool:
    """StringLike: wildcards go over everything.

    :raises Unknown: a variable has no value
    """
    return bool(_compiled(_expression(_parts(pattern, values), False), False).fullmatch(text))


def arn_like(pattern: str, values: Values | None, text: str) -> bool:
    """ArnLike: each of the six parts between colons on its own.

    :raises Unknown: a variable has no value
    """
    filled = substituted(pattern, values)
    wanted, given = filled.split(":", 5), text.split(":", 5)
    return len(wanted) == len(given) and all(like(one, None, other) for one, other in zip(wanted, given, strict=True))


def substituted(text: str, values: Values | None) -> str:
    """A text with its variables filled in.

    :raises Unknown: a variable has no value
    """
    return "".join(part for part, _ in _parts(text, values))


def _parts(text: str, values: Values | None) -> list[tuple[str, bool]]:
    """The text in pieces, each with whether its wildcards are meant as such: a variable's value is not a pattern."""
    if values is None or "${" not in text:
        return [(text, True)]
    pieces: list[tuple[str, bool]] = []
    end = 0
    for found in _VARIABLE.finditer(text):
        pieces += [(text[end : found.start()], True), (_value(found[1], values), False)]
        end = found.end()
    return [*pieces, (text[end:], True)]


def _value(variable: str, values: Values) -> str:
    if variable in _VERBATIM:
        return variable
    name, comma, default = variable.partition(",")
    found = values.get(name.strip().lower(), ())
    if len(found) == 1:
        return found[0]
    if comma:
        return default.strip().strip("'")
    raise Unknown(name)


def _expression(parts: list[tuple[str, bool]], of_arns: bool) -> str:
    whole = []
    for number, (text, is_pattern) in enumerate(parts):
        if not is_pattern:
            whole.append(re.escape(text))
            continue
        last = number == len(parts) - 1
        for position, character in enumerate(text):
            following = text[position + 1 : position + 2]
            ends = following == ":" or (not following and last)
            if character == "*":
                whole.append(".*" if not of_arns or ends else "[^:]*")
            elif character == "?":
                whole.append("[^:]" if of_arns else ".")
            else:
                whole.append(re.escape(character))
    return "".join(whole)


@lru_cache(maxsize=4096)
def _compiled(expression: str, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
