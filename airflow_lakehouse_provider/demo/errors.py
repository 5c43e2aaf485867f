"""What ends a demo before its time."""

from __future__ import annotations


class DemoError(RuntimeError):
    """The demo cannot go on; the message says why, what to do, and where the log is."""
