"""dbt's JSON log, line by line."""

from __future__ import annotations

import json
import logging

import pytest

from airflow_lakehouse_provider.dbt.events import DbtEvent, LogReader

QUERY = "0b5d3a3e-3a0e-4d1f-9b7e-0123456789ab"


def log_line(message, name="Note", level="info", **data):
    info = {"msg": message, "name": name, "level": level, "invocation_id": "abc", "thread": "Thread-1"}
    return json.dumps({"data": data, "info": info}) + "\n"


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        (log_line("1 of 6 OK created", "LogModelResult"), logging.INFO, "1 of 6 OK created"),
        (log_line("\x1b[32mgreen\x1b[0m", level="warn"), logging.WARNING, "green"),
        (log_line("broke", level="error"), logging.ERROR, "broke"),
        (log_line("1 of 6 START", "LogStartLine"), logging.DEBUG, "1 of 6 START"),
        (log_line("deep", level="debug"), logging.DEBUG, "deep"),
        ("plain text\n", logging.INFO, "plain text"),
        ("{not json\n", logging.INFO, "{not json"),
        ('{"data": {}}\n', logging.INFO, '{"data": {}}'),
        ('{"info": 3}\n', logging.INFO, '{"info": 3}'),
        ("\n", logging.INFO, ""),
    ],
)
def test_lines_become_events(line, level, message):
    event = DbtEvent.parse(line)
    assert (event.level, event.message) == (level, message)


def test_what_only_the_log_tells():
    log = LogReader()
    node = {"unique_id": "model.shop.orders"}
    for line in (
        "Traceback (most recent call last):\n",
        log_line("Running with dbt=1.11.16", "MainReportVersion", version="=1.11.16"),
        log_line("Athena query 00000000-0000-0000-0000-000000000000 started", level="debug", node_info=node),
        log_line(f"Athena query {QUERY} started", level="debug", node_info=node),
        log_line(f"Athena query {QUERY} has state SUCCEEDED", level="debug", node_info=node),
        log_line("Athena query 11111111-1111-1111-1111-111111111111 started", level="debug", node_info={}),
        log_line("Nothing to do.", "NothingToDo", "warn"),
        log_line(
            "Encountered an error:\nCompilation Error\n  oh",
            "MainEncounteredError",
            "error",
            exc="Compilation Error\n oh",
        ),
    ):
        log.read(line)
    assert log.version == "1.11.16"
    assert log.invocation_id == "abc"
    assert log.queries == {"model.shop.orders": QUERY}
    assert log.nothing_selected
    assert log.error == "Compilation Error\n oh"
    assert list(log.tail) == ["Traceback (most recent call last):"]


def test_the_query_of_the_older_connection_manager():
    log = LogReader()
    log.read(log_line(f"Athena query ID {QUERY}", level="debug", node_info={"unique_id": "model.a.b"}))
    assert log.queries == {"model.a.b": QUERY}
