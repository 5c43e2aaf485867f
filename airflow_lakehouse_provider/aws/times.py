"""AWS's times as ISO 8601 text in UTC, and AWS's own clock."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any


def text(moment: datetime | float | None) -> str | None:
    """Return a time as ISO 8601 text in UTC."""
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, timezone.utc)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc).isoformat()


def moment(iso: str) -> datetime:
    """Return the time of ISO 8601 text; UTC where it names no zone."""
    found = datetime.fromisoformat(iso.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def now() -> datetime:
    """Return this machine's time, for bounds that need not be AWS's."""
    return datetime.now(timezone.utc)


def clock(response: dict[str, Any]) -> datetime:
    """Return the time at AWS at this response, to the second; this machine's where its headers hold none."""
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(timezone.utc)
    except (KeyError, TypeError, ValueError):
        return datetime.now(timezone.utc)
