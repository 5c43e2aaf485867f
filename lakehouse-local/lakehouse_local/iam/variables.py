"""Wildcards and variables in a policy's texts.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache

Values = Mapping[str, tuple[str, ...]]  # condition key in lower case -> its values

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_VERBATIM = ("*", "?", "$")


class UnknownVariable(LookupError):
    """A variable that has no value in this call."""


def matcher(pattern: str, values: Values | None, *, is_arn: bool) -> Callable[[str], bool]:
    """Return a test of texts against an Action (in any case) or a Resource.

    A wildcard in an ARN stays within its segment, unless it is the segment's last character.

    :param values: the values of the pattern's variables; None: the pattern has no variables
    :param is_arn: the pattern is a Resource
    """
    try:
        expression = _expression(_parts(pattern, values), is_arn)
    except UnknownVariable:
        return lambda text: False
    return lambda text: bool(_compiled(expression, not is_arn).fullmatch(text))


def like(pattern: str, values: Values | None, text: str) -> bool:
    """Return the result of StringLike: a wildcard matches any text.

    :raises UnknownVariable: a variable has no value
    """
    return bool(_compiled(_expression(_parts(pattern, values), False), False).fullmatch(text))


def arn_like(pattern: str, values: Values | None, text: str) -> bool:
    """Return the result of ArnLike, which compares each of the six parts between colons on its own.

    :raises UnknownVariable: a variable has no value
    """
    filled = substituted(pattern, values)
    expected, given = filled.split(":", 5), text.split(":", 5)
    return len(expected) == len(given) and all(
        like(one, None, other) for one, other in zip(expected, given, strict=True)
    )


def substituted(text: str, values: Values | None) -> str:
    """Return a text with the values of its variables.

    :raises UnknownVariable: a variable has no value
    """
    return "".join(part for part, _ in _parts(text, values))


def _parts(text: str, values: Values | None) -> list[tuple[str, bool]]:
    """Split a text into (piece, is a pattern): a wildcard in a variable's value is an ordinary character."""
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
    raise UnknownVariable(name)


def _expression(parts: list[tuple[str, bool]], is_arn: bool) -> str:
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
                whole.append(".*" if not is_arn or ends else "[^:]*")
            elif character == "?":
                whole.append("[^:]" if is_arn else ".")
            else:
                whole.append(re.escape(character))
    return "".join(whole)


@lru_cache(maxsize=4096)
def _compiled(expression: str, ignore_case: bool) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
