"""Patterns of names, as the catalogue's operations take them."""

from __future__ import annotations

import re
from collections.abc import Callable

from lakehouse_local.http.wire import AwsError


def name_pattern(expression: str) -> Callable[[str], bool]:
    """GetTables' Expression and GetUserDefinedFunctions' Pattern: a regular expression, where a bare `*` is any text.

    Hive's own patterns have that star: awswrangler sends `name*`, others `name.*`; both mean a prefix.
    """
    try:
        pattern = re.compile(re.sub(r"(?<![.\])}\\])\*", ".*", expression), re.IGNORECASE)
    except re.error as error:
        raise AwsError("InvalidInputException", f"Expression {expression!r} is no pattern: {error}") from None
    return lambda name: pattern.fullmatch(name) is not None
