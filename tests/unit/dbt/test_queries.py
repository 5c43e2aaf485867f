"""The Athena queries of an invocation are found and stopped, and no others."""

from __future__ import annotations

import pytest

from airflow_lakehouse_provider.dbt.queries import stop_running

MINE = '-- /* {"app": "dbt", "invocation_id": "inv-1"} */\nselect 1'
OTHER = '-- /* {"app": "dbt", "invocation_id": "inv-2"} */\nselect \'inv-1\''


class Athena:
    """Queries by id: (text, state); `late` ones show only at the second look."""

    def __init__(self, late=(), **queries):
        self.queries, self.late, self.looks, self.groups = queries, late, 0, []

    def list_query_executions(self, MaxResults, WorkGroup=None, NextToken=None):
        self.looks += 1
        self.groups.append(WorkGroup)
        return {"QueryExecutionIds": [name for name in self.queries if name not in self.late or self.looks > 1]}

    def batch_get_query_execution(self, QueryExecutionIds):
        found = [(name, *self.queries[name]) for name in QueryExecutionIds]
        return {"QueryExecutions": [{"QueryExecutionId": n, "Query": q, "Status": {"State": s}} for n, q, s in found]}

    def stop_query_execution(self, QueryExecutionId):
        self.queries[QueryExecutionId] = (self.queries[QueryExecutionId][0], "CANCELLED")


@pytest.mark.parametrize(
    ("queries", "known", "stopped"),
    [
        ({"a": (MINE, "RUNNING"), "b": (MINE, "QUEUED"), "c": (MINE, "SUCCEEDED")}, [], ["a", "b"]),
        ({"a": (OTHER, "RUNNING")}, [], []),
        ({"a": ("alter table x", "RUNNING"), "b": (OTHER, "RUNNING")}, ["a"], ["a"]),
        ({"a": ("select 1\n-- /* inv-1 */", "RUNNING")}, [], ["a"]),
        ({"a": (MINE, "FAILED")}, ["a"], []),
    ],
)
def test_what_is_stopped(queries, known, stopped):
    athena = Athena(**queries)
    assert stop_running(athena, query_ids=known, invocation_id="inv-1", work_group="dbt") == stopped
    assert set(athena.groups) == {"dbt"}


def test_a_query_that_was_on_its_way_is_waited_for():
    athena = Athena(late=("b",), a=(MINE, "RUNNING"), b=(MINE, "RUNNING"))
    assert stop_running(athena, invocation_id="inv-1", settle=0.3) == ["a", "b"]


def test_without_an_invocation_only_known_queries_are_asked_for():
    athena = Athena(a=(MINE, "RUNNING"))
    assert stop_running(athena) == []
    assert athena.looks == 0
