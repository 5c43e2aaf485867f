"""The error that ends a demo early."""

from __future__ import annotations

from airflow_lakehouse_provider.errors import LakehouseError


class DemoError(LakehouseError, RuntimeError):
    """The demo cannot continue; the message gives the reason, the remedy, and the log."""
