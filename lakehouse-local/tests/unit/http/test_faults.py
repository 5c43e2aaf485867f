"""Fault injection: the script, the calls that it applies to, and the effect of each fault."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lakehouse_local.http.faults import Faults


class Served:
    """A service behind the faults: counts the calls that it does."""

    def __init__(self, *script: dict[str, Any]) -> None:
        self.faults = Faults()
        self.done = 0
        self.status = ""
        status, answer = self.faults.control("PUT", json.dumps(script).encode())
        assert status == 200, answer

    def call(self, service: str = "glue", operation: str = "StartJobRun", method: str = "POST") -> bytes:
        def respond(start_response: Any) -> list[bytes]:
            self.done += 1
            start_response("200 OK", [])
            return [b"done"]

        def start_response(status: str, headers: list[tuple[str, str]]) -> None:
            self.status = status

        environ = {"REQUEST_METHOD": method}
        return b"".join(self.faults.answer(environ, service, operation, respond, start_response))

    def left(self) -> list[dict[str, Any]]:
        _, answer = self.faults.control("GET", b"")
        found: list[dict[str, Any]] = json.loads(answer)
        return found


@pytest.mark.parametrize(("fault", "done"), [("refuse", 0), ("drop-reply", 1)])
def test_a_connection_that_is_cut(fault: str, done: int) -> None:
    served = Served({"fault": fault})
    with pytest.raises(ConnectionResetError):
        served.call()
    assert served.done == done
    assert served.call() == b"done"


@pytest.mark.parametrize(("fault", "done"), [("error", 0), ("false-error", 1)])
def test_an_error(fault: str, done: int) -> None:
    served = Served({"fault": fault, "code": "SlowDown", "message": "later"})
    answer = json.loads(served.call())
    assert (answer["__type"], answer["message"], served.status[:3]) == ("SlowDown", "later", "503")
    assert served.done == done
    assert served.call() == b"done"


@pytest.mark.parametrize("fault", ["delay", "late-reply"])
def test_a_call_that_takes_long_is_done(fault: str) -> None:
    served = Served({"fault": fault, "seconds": 0.01})
    assert (served.call(), served.done, served.left()) == (b"done", 1, [])


def test_only_the_calls_that_are_named_and_only_so_many() -> None:
    served = Served({"fault": "refuse", "service": "glue", "operation": "StartJobRun", "after": 1, "times": 2})
    assert served.call("athena") == served.call(operation="GetJobRun") == served.call() == b"done"
    for _ in range(2):
        assert [fault["times"] for fault in served.left()] == [2]
        with pytest.raises(ConnectionResetError):
            served.call()
    assert served.left() == []
    assert served.call() == b"done"


def test_a_fault_without_end_until_the_script_is_removed() -> None:
    served = Served({"fault": "refuse", "times": None, "method": "PUT"})
    for _ in range(5):
        with pytest.raises(ConnectionResetError):
            served.call("s3", "", "PUT")
    assert served.call("s3", "", "GET") == b"done"
    assert served.faults.control("DELETE", b"") == (200, b"[]")
    assert served.call("s3", "", "PUT") == b"done"


def test_the_nth_of_several_operations_fails() -> None:
    writes = ["UpdateTable", "UpdatePartition"]
    served = Served({"fault": "refuse", "service": ["glue", "s3"], "operation": writes, "after": 2})
    for operation in ("UpdateTable", "GetTable", "UpdatePartition", "GetTable"):
        assert served.call("glue", operation) == b"done"
    with pytest.raises(ConnectionResetError):
        served.call("glue", "UpdateTable")
    assert served.call("glue", "UpdateTable") == b"done"


@pytest.mark.parametrize(
    ("service", "operation", "opening"),
    [("glue", "UpdateTable", b"{"), ("airflow", "", b"{"), ("s3", "", b"<"), ("sts", "", b"<")],
)
def test_an_error_speaks_the_services_protocol(service: str, operation: str, opening: bytes) -> None:
    answer = Served({"fault": "error", "code": "SlowDown"}).call(service, operation)
    assert answer.startswith(opening)
    assert b"SlowDown" in answer


def test_a_fault_that_is_over_after_a_time() -> None:
    assert Served({"fault": "refuse", "lasts": 0}).call() == b"done"


@pytest.mark.parametrize(
    "script", ["", "{", '{"fault": "refuse"}', '[{"fault": "lose"}]', '[{"fault": "refuse", "often": 2}]',
               '[{"fault": "refuse", "operation": []}]', '[{"fault": "refuse", "method": ["PUT", 1]}]',
               '[{"fault": "refuse", "times": -1}]', '[{"fault": "delay", "seconds": "1"}]']
)  # fmt: skip
def test_what_is_no_script_leaves_the_one_before(script: str) -> None:
    served = Served({"fault": "refuse"})
    status, answer = served.faults.control("PUT", script.encode())
    assert (status, b"A script of faults is a JSON list of objects" in answer) == (400, True)
    assert len(served.left()) == 1
