"""The base of all links: where a task keeps their addresses, and how a link finds its own.

On Airflow 2 the webserver calls a link, which finds the address among the task's XComs. On 3.x the task's own process
calls it, when it defers and when it ends; to read an XCom back for that would be a needless round trip, so the address
is kept on the operator too.
"""

from __future__ import annotations

import logging
from typing import Any

from airflow_lakehouse_provider._airflow.compat import BaseOperatorLink, pushed_value

XCOM_KEY = "aws_console_links"
_ATTRIBUTE = "_aws_console_links"
_log = logging.getLogger(__name__)


class ConsoleLink(BaseOperatorLink):  # type: ignore[misc,unused-ignore]
    """A link from a task to an address that the task stored under ``key``. It never raises: "" means no address."""

    key = ""

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        try:
            addresses = getattr(operator, _ATTRIBUTE, None) or pushed_value(ti_key, XCOM_KEY) or {}
            return str(addresses.get(self.key) or "")
        except Exception as error:
            _log.debug("No address for %s: %s", self.key, error)
            return ""


def store_addresses(operator: Any, context: Any, addresses: dict[str, str]) -> None:
    """Store the addresses of a task's links, by the link's ``key``; a failure is logged and nothing else."""
    setattr(operator, _ATTRIBUTE, addresses)
    if not getattr(operator, "do_xcom_push", True):
        return
    try:
        context["ti"].xcom_push(key=XCOM_KEY, value=addresses)
    except Exception as error:
        _log.warning("The links to the AWS console could not be stored: %s", error)
