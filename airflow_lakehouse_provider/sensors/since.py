"""The time after which a crawl must have started: ISO 8601 text, a datetime, a Glue job run's result, or several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any

_ALLOWED = (
    "give ISO 8601 text such as 2024-02-01T03:04:05+00:00, a datetime, the result of GlueMonthlyJobOperator "
    "(clean.output), or a list of these"
)


def resolved(since: Any) -> datetime | None:
    """Return the time in UTC; the latest of several; None for None.

    :raises ValueError: naming the value and what is allowed
    """
    return None if since is None else _moment(since, since)


def _moment(value: Any, whole: Any) -> datetime:
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, datetime):
        return _utc(value)
    if isinstance(value, Mapping):
        if "completed_on" not in value:
            raise ValueError(f"since: this mapping has no completed_on ({', '.join(map(str, value))}): {_ALLOWED}")
        if value["completed_on"] is None:
            raise ValueError(f"since: completed_on is None in the result of run {value.get('run_id')!r}: {_ALLOWED}")
        return _moment(value["completed_on"], whole)
    # The output of a mapped task is a lazy sequence of Airflow's, not a list.
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        moments = [_moment(item, whole) for item in value]
        if not moments:
            raise ValueError(f"since is an empty list, so that there is no load to cover: {_ALLOWED}")
        return max(moments)
    raise ValueError(f"since: {value!r} is no time: {_ALLOWED}")


def _from_text(text: str) -> datetime:
    stripped = text.strip()
    if stripped.lower() in ("", "none", "null"):
        raise ValueError(
            f"since is the text {text!r}, to which a template of an absent value renders: "
            f"check the task that it comes from, leave since out, or {_ALLOWED}"
        )
    try:
        return _utc(datetime.fromisoformat(stripped.replace("Z", "+00:00")))
    except ValueError:
        raise ValueError(f"since: {text!r} is no time: {_ALLOWED}") from None


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    # A plain datetime, also for a pendulum one, so that all compare and print alike.
    moment = moment.astimezone(timezone.utc)
    return datetime.fromtimestamp(moment.timestamp(), timezone.utc)
