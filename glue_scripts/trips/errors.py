"""The error of a month that is not loaded."""

from __future__ import annotations

import re


class LoadError(Exception):
    """The month stays as it was; the message gives the reason and what to do."""


def innermost(error: Exception) -> str:
    """Return the innermost reason of one of Spark's errors, without the stack."""
    reasons = [line.strip() for line in re.findall(r"(?:Caused by: |^)[\w.$]+(?:Exception|Error): (.+)", str(error))]
    reason: str = reasons[-1] if reasons else next(iter(str(error).splitlines()), type(error).__name__)
    return reason[:300]
