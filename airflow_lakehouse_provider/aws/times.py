"""AWS's times, as text that travels: ISO 8601 in UTC; and AWS's own clock."""

from __future__ import annotations

from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any


def text(moment: datetime | float | None) -> str | None:
    """ISO 8601 in UTC, with its zone."""
    if moment is None:
        return None
    if not isinstance(moment, datetime):
        moment = datetime.fromtimestamp(moment, timezone.utc)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc).isoformat()


def moment(iso: str) -> datetime:
    """What ``text`` wrote."""
    found = datetime.fromisoformat(iso.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=timezone.utc)


def now() -> datetime:
    """This machine's time, for bounds that do not have to be AWS's."""
    return datetime.now(timezone.utc)


def clock(response: dict[str, Any]) -> datetime:
    """The time at AWS when it gave this answer, to the second; this machine's where the answer does not say."""
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    try:
        return parsedate_to_datetime(headers["date"]).astimezone(timezone.utc)
    except (KeyError, TypeError, ValueError):
        return datetime.now(timezone.utc)
