"""Why a month is not loaded."""

from __future__ import annotations

import re


class LoadError(Exception):
    """The month stays as it was; the message says why and what to do."""


def innermost(error: Exception) -> str:
    """The reason at the bottom of one of Spark's errors, not the stack."""
    reasons = [line.strip() for line in re.findall(r"(?:Caused by: |^)[\w.$]+(?:Exception|Error): (.+)", str(error))]
    reason: str = reasons[-1] if reasons else next(iter(str(error).splitlines()), type(error).__name__)
    return reason[:300]
