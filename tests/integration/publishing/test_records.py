"""The records of publications: as a table in Athena, and as the reason to leave a build out."""

from __future__ import annotations

import pytest

from airflow_lakehouse_provider.publishing import record
from airflow_lakehouse_provider.publishing.attempt import GATE_FAILED, Gate
from airflow_lakehouse_provider.publishing.catalogue import Catalogue
from airflow_lakehouse_provider.publishing.names import PublishingError
from airflow_lakehouse_provider.publishing.publish import unchanged
from airflow_lakehouse_provider.publishing.table import make_table

FAILED = Gate(GATE_FAILED, "1 of 3 tests failed: unique_facts (2 rows)", ("test.p.unique_facts.abc",))


def test_publications_rollbacks_and_failed_gates_are_rows_in_athena(lake):
    lake.publish_month(1, [1])
    lake.publish_month(1, [2])
    lake.publisher().rollback("2024-01")
    attempt = lake.begin("2024-02", "facts")
    lake.publisher().history.record_gate(attempt, FAILED, "dag/run")
    rows = lake.query(
        "select unit, generation, kind, state, gate, gate_message, cardinality(failed_tests), restores, run,"
        f" cast(recorded_at as timestamp) > timestamp '2024-01-01' from {lake.schema}.publications"
        " order by unit, generation"
    )
    message = FAILED.message
    assert rows == [
        ("2024-01", "1", "publication", "published", "passed", "", "0", None, "dag/2024-01", "true"),
        ("2024-01", "2", "publication", "published", "passed", "", "0", None, "dag/2024-01", "true"),
        ("2024-01", "3", "rollback", "published", "", "", "0", "1", "", "true"),
        ("2024-02", None, "gate", "refused", "failed", message, "1", None, "dag/run", "true"),
    ]


@pytest.mark.slow
def test_a_table_of_that_name_that_shows_something_else_is_left_alone(lake):
    lake.query(
        f"create table {lake.schema}.publications with (external_location='s3://{lake.bucket}/books') as select 1 as a"
    )
    with pytest.raises(PublishingError, match=r"publications is a table at .*/books, and the publications lie at"):
        make_table(Catalogue(lake.glue), lake.schema, lake.places)
    assert lake.query(f"select a from {lake.schema}.publications") == [("1",)]


def test_a_unit_of_the_project_alone_is_not_built_again_while_it_is_as_published(lake, monkeypatch):
    def of(code, days):
        found = unchanged(Catalogue(lake.glue), lake.publisher().history, "2024-01", code, days)
        return found and found.generation

    assert of("v1", 31) is None
    attempt = lake.begin("2024-01", "facts", "totals", code="v1")
    lake.build_month(attempt, 1, [1])
    lake.build_totals(attempt)
    lake.publisher().publish(lake.end(attempt))
    assert of("v1", 31) == 1
    assert of("v1", None) is None
    assert of("v2", 31) is None
    monkeypatch.setattr(record, "age_days", lambda _: 32.0)
    monkeypatch.setattr("airflow_lakehouse_provider.publishing.publish.age_days", lambda _: 32.0)
    assert of("v1", 31) is None
    monkeypatch.undo()
    lake.glue.delete_table(DatabaseName=lake.schema, Name="totals")
    assert of("v1", 31) is None


@pytest.mark.slow
def test_two_runs_at_once_publish_a_unit_of_the_project_alone_once(lake):
    first, second = (lake.begin("reference", "totals", code="v1", unchanged_days=31.0) for _ in range(2))
    lake.publish_month(1, [1])
    for attempt in (first, second):
        lake.build_totals(attempt)
        lake.end(attempt)
    uris = [lake.attempts.uri(each.audit) for each in (first, second)]
    assert lake.publisher().publish(uris[0]).generation == 1
    assert lake.publisher().publish(uris[1]).generation == 1
    assert [each.generation for each in lake.publisher().history.of("reference")] == [1]
