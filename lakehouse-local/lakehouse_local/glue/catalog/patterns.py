"""Patterns of names in the requests of the Data Catalog."""

from __future__ import annotations

import re
from collections.abc import Callable

from lakehouse_local.http.wire import AwsError


def name_pattern(expression: str) -> Callable[[str], bool]:
    """Return a test of names for GetTables' Expression or GetUserDefinedFunctions' Pattern.

    It is a regular expression in which a bare `*` means any text, as in Hive's patterns: awswrangler sends `name*`,
    others `name.*`; both mean a prefix.

    :raises AwsError: InvalidInputException if it is no regular expression
    """
    try:
        pattern = re.compile(re.sub(r"(?<![.\])}\\])\*", ".*", expression), re.IGNORECASE)
    except re.error as error:
        raise AwsError(
            "InvalidInputException", f"Expression {expression!r} is not a regular expression: {error}"
        ) from None
    return lambda name: pattern.fullmatch(name) is not None
