"""The marker of a task instance: of its tries one builds, and a new one ends the attempt of the last."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from airflow_lakehouse_provider.dbt import queries
from airflow_lakehouse_provider.errors import LakehouseError
from airflow_lakehouse_provider.publishing import objects
from airflow_lakehouse_provider.publishing.attempt import BUILDING, FAILED, AttemptStore, AuditAttempt
from airflow_lakehouse_provider.publishing.names import PublishingError

MARKER = "attempt.json"
# Seconds to stop the queries of the attempt before; for one whose start was on its way when dbt was killed.
_STOP_WITHIN, _SETTLE = 20.0, 0.6


class AttemptLost(LakehouseError):
    """Another try of the task has begun to build; this one must not go on."""


def take(
    s3: Any, athena: Callable[[], Any], task_uri: str, uri: str, store: AttemptStore, log: Callable[[int, str], None]
) -> None:
    """Make an attempt the one that its task builds; the queries of the one before it are stopped, and it has failed.

    :param athena: returns a client
    :param task_uri: ``s3://...`` of the task instance
    :param uri: the address of the attempt's document
    :raises AttemptLost: another try was quicker
    """
    marker = f"{task_uri}/{MARKER}"
    found = objects.read(s3, marker)
    content = objects.line({"attempt": uri})
    if objects.write(s3, marker, content, only_if=found[1] if found else "*") is None:
        raise AttemptLost(f"another try of this task begins to build at this moment ({marker}); this one ends")
    before = json.loads(found[0]).get("attempt") if found else None
    if not before:
        return
    try:
        attempt = store.read(before)
    except PublishingError:
        return  # swept, or of another version
    if attempt.state != BUILDING:
        return
    finish(s3, before, state=FAILED)
    if attempt.invocation:
        stopped = queries.stop_running(athena(), **attempt.invocation, within=_STOP_WITHIN, settle=_SETTLE)
        more = f"; Athena queries stopped: {', '.join(stopped)}" if stopped else ""
        log(logging.INFO, f"The last try's attempt {attempt.audit} is given up{more}")


def finish(s3: Any, uri: str, *, state: str, **changes: Any) -> AuditAttempt | None:
    """End an attempt and return it; None where it had ended: another try of its task gave it up."""
    while True:
        found = objects.read(s3, uri)
        if found is None:
            return None
        attempt = AuditAttempt.load(found[0], uri)
        if attempt.state != BUILDING:
            return None
        changed = replace(attempt, state=state, **changes)
        if objects.write(s3, uri, changed.dump(), only_if=found[1]) is not None:
            return changed
