"""Exclusions of a crawler's target: glob patterns in Java's syntax."""

from __future__ import annotations

import re

from lakehouse_local.http.wire import AwsError

_PART = re.compile(r"\*\*|\*|\?|\[!?[^\]]+\]|[{},]|\\.|.", re.DOTALL)


def glob(pattern: str) -> re.Pattern[str]:
    """Return a glob as a regular expression for paths relative to the target.

    ``*`` stays within a folder, ``**`` crosses folders.

    :raises AwsError: InvalidInputException for a bracket or brace that is not closed
    """
    parts: list[str] = []
    depth = 0
    for part in _PART.findall(pattern):
        if part == "{":
            depth += 1
            parts.append("(?:")
        elif part == "}" and depth:
            depth -= 1
            parts.append(")")
        elif part == "," and depth:
            parts.append("|")
        elif len(part) > 2 and part[0] == "[":
            parts.append(f"[{'^/' if part[1] == '!' else ''}{part[1:-1].lstrip('!')}]")
        else:
            parts.append({"**": ".*", "*": "[^/]*", "?": "[^/]"}.get(part) or re.escape(part.removeprefix("\\")))
    try:
        if depth:
            raise re.error("a { is not closed")
        return re.compile("".join(parts), re.DOTALL)
    except re.error as error:
        raise AwsError("InvalidInputException", f"Exclusion {pattern!r} is not a valid glob pattern: {error}") from None
