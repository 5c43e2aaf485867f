"""The error that ends a demo early."""

from __future__ import annotations


class DemoError(RuntimeError):
    """The demo cannot continue; the message gives the reason, the remedy, and the log."""
