"""Why a month is not loaded."""

from __future__ import annotations


class LoadError(Exception):
    """The month stays as it was; the message says why and what to do."""
