"""What ends a demo before its time."""

from __future__ import annotations

from airflow_lakehouse_provider.errors import LakehouseError


class DemoError(LakehouseError, RuntimeError):
    """The demo cannot go on; the message says why, what to do, and where the log is."""
