"""Publishing a month: what readers see before, after, and when it is refused."""

from __future__ import annotations

import threading

import pytest

from airflow_lakehouse_provider.publishing.attempt import GATE_FAILED, Gate
from airflow_lakehouse_provider.publishing.names import Moved, PublishingError
from airflow_lakehouse_provider.publishing.publish import Acceptance

FAILED = Gate(GATE_FAILED, "1 of 3 tests failed: unique_facts (2 rows)", ("test.p.unique_facts.abc",))


@pytest.mark.slow
def test_the_first_publication_makes_the_tables(lake):
    published = lake.publish_month(1, [1, 2, 3], "totals", "recent")
    assert (published.generation, published.state, published.gate) == (1, "published", "passed")
    assert lake.facts() == [(1, 3, 6)]
    assert lake.totals() == [(1, 6)]
    assert lake.query(f"select count(*) from {lake.schema}.recent") == [("2",)]
    assert all(step.old is None for step in published.plan)


def test_a_month_that_is_published_again_replaces_that_month_alone(lake):
    lake.publish_month(1, [1, 2, 3])
    lake.publish_month(2, [10])
    before = lake.snapshot()["facts"][1]
    lake.publish_month(1, [5, 5], "totals")
    after = lake.snapshot()["facts"][1]
    assert lake.facts() == [(1, 2, 10), (2, 1, 10)]
    assert lake.totals() == [(1, 10), (2, 10)]
    assert after[("2024", "2")] == before[("2024", "2")]


def test_nothing_is_public_before_the_publication(lake):
    lake.publish_month(1, [1], "totals")
    before = lake.snapshot()
    uri = lake.built("2024-01", 1, [7, 7], "totals")
    assert lake.snapshot() == before
    assert lake.facts() == [(1, 1, 1)]
    lake.publisher().publish(uri)
    assert lake.facts() == [(1, 2, 14)]


@pytest.mark.slow
def test_an_attempt_is_published_once(lake):
    uri = lake.built("2024-01", 1, [1])
    first = lake.publisher().publish(uri)
    after = lake.snapshot()
    assert lake.publisher().publish(uri).generation == first.generation
    assert lake.snapshot() == after


@pytest.mark.parametrize("gate", [FAILED, None])
def test_without_a_gate_that_passed_nothing_is_published(lake, gate):
    attempt = lake.begin("2024-01", "facts")
    lake.build_month(attempt, 1, [1])
    uri = lake.end(attempt, gate)
    if gate is None:
        lake.attempts.change(uri, gate=None)
    message = "was not tested: run dbt test" if gate is None else "the gate of 2024-01 failed: 1 of 3 tests failed"
    with pytest.raises(PublishingError, match=message):
        lake.publisher().publish(uri)
    assert lake.snapshot() == {}
    assert lake.publisher().history.of("2024-01") == []


def test_a_person_may_accept_named_tests_once_and_the_record_says_who_and_why(lake):
    attempt = lake.begin("2024-01", "facts")
    lake.build_month(attempt, 1, [1])
    uri = lake.end(attempt, FAILED)
    with pytest.raises(PublishingError, match="failed"):
        lake.publisher().publish(uri, acceptance=Acceptance(("another_test",), "it is 3 a.m.", "ada"))
    published = lake.publisher().publish(uri, acceptance=Acceptance(("unique_facts",), "known duplicate", "ada"))
    assert (published.gate, published.accepted_by, published.reason) == ("accepted", "ada", "known duplicate")
    assert published.accepted == ("test.p.unique_facts.abc",)


def test_tests_are_accepted_with_a_reason():
    with pytest.raises(PublishingError, match="the two go together"):
        Acceptance(("unique_facts",))
    with pytest.raises(PublishingError, match="the two go together"):
        Acceptance((), "why not")


@pytest.mark.slow
def test_a_build_that_failed_in_a_node_is_refused_and_names_it(lake):
    uri = lake.built("2024-01", 1, [1], "totals")
    lake.attempts.change(uri, built=("model.p.facts",))
    with pytest.raises(PublishingError, match=r"not every node was built: model\.p\.totals"):
        lake.publisher().publish(uri)
    assert lake.snapshot() == {}


@pytest.mark.slow
def test_a_model_without_a_new_partition_is_refused_and_named(lake):
    lake.publish_month(1, [1])
    attempt = lake.begin("2024-02", "facts")
    uri = lake.end(attempt)
    with pytest.raises(PublishingError, match=r"model\.p\.facts built no partition .* and 2024-02 has rows"):
        lake.publisher().publish(uri)


def test_an_empty_month_loses_its_partition(lake):
    scope = "year = 2024 and month = 2"
    lake.publish_month(1, [1])
    lake.publish_month(2, [2, 2])
    published = lake.publisher().publish(lake.emptied("2024-02", scope))
    assert lake.facts() == [(1, 1, 1)]
    assert [step.values for step in published.plan] == [None, ("2024", "2")]


@pytest.mark.slow
def test_an_empty_month_needs_the_partitions_that_it_owns(lake):
    lake.publish_month(2, [2])
    with pytest.raises(PublishingError, match="is empty, and partitions is not given"):
        lake.emptied("2024-02", "")


@pytest.mark.slow
def test_a_partition_outside_of_what_the_run_may_touch_is_refused(lake):
    lake.publish_month(1, [1])
    before = lake.snapshot()
    uri = lake.built("2024-02", 3, [1], scope="year = 2024 and month = 2")
    with pytest.raises(PublishingError, match=r"built the partition year=2024/month=3 .* outside of partitions="):
        lake.publisher().publish(uri)
    assert lake.snapshot() == before


@pytest.mark.slow
def test_an_expression_that_glue_does_not_accept(lake):
    lake.publish_month(1, [1])
    uri = lake.built("2024-02", 2, [1], scope="nonsense ===")
    with pytest.raises(PublishingError, match="partitions is 'nonsense ===', which Glue does not accept"):
        lake.publisher().publish(uri)


@pytest.mark.slow
def test_a_column_added_at_the_end_is_added_and_others_are_refused(lake):
    lake.publish_month(1, [1])
    attempt = lake.begin("2024-02", "facts")
    lake.query(f"alter table {attempt.audit}.facts add columns (tip int)")
    lake.query(
        f"insert into {attempt.audit}.facts select * from (values (4, 2, 2024, 2)) as t (amount, tip, year, month)"
    )
    lake.publisher().publish(lake.end(attempt))
    assert lake.query(f"select month, amount, tip from {lake.schema}.facts order by month") == [
        ("1", "1", None),
        ("2", "4", "2"),
    ]
    attempt = lake.begin("2024-03", "facts")
    lake.query(f"alter table {attempt.audit}.facts replace columns (tip int)")
    lake.query(f"insert into {attempt.audit}.facts select * from (values (2, 2024, 3)) as t (tip, year, month)")
    before = lake.snapshot()
    with pytest.raises(PublishingError, match=r"column amount of .* was removed"):
        lake.publisher().publish(lake.end(attempt))
    assert lake.snapshot() == before


@pytest.mark.slow
def test_files_that_are_not_the_attempts_own_are_refused(lake):
    attempt = lake.begin("2024-01", "facts")
    lake.query(
        f"create table {attempt.audit}.facts with (external_location='s3://{lake.bucket}/elsewhere/facts',"
        " partitioned_by=ARRAY['year', 'month']) as select 1 as amount, 2024 as year, 1 as month"
    )
    with pytest.raises(PublishingError, match="not this attempt's own"):
        lake.publisher().publish(lake.end(attempt))


@pytest.mark.slow
def test_a_partition_without_files_is_refused(lake):
    lake.publish_month(1, [1])
    uri = lake.built("2024-01", 1, [2])
    audit = lake.attempts.read(uri).audit
    for item in lake.s3.list_objects_v2(Bucket=lake.bucket, Prefix=f"tables/generations/{audit}/")["Contents"]:
        lake.s3.delete_object(Bucket=lake.bucket, Key=item["Key"])
    with pytest.raises(PublishingError, match="has no files"):
        lake.publisher().publish(uri)
    assert lake.facts() == [(1, 1, 1)]


def test_dbt_by_hand_after_a_publication_replaces_the_month(lake):
    """Trap 1: without a fresh location of the table, an INSERT would land beside files of an older build."""
    lake.publish_month(1, [1, 2, 3])
    lake.publish_month(1, [4, 5])
    lake.by_hand(1, [6])
    assert lake.facts() == [(1, 1, 6)]
    lake.publish_month(1, [7, 7])
    lake.by_hand(1, [8])
    assert lake.facts() == [(1, 1, 8)]


@pytest.mark.slow
def test_two_months_at_once_are_both_published(lake):
    lake.publish_month(1, [1])
    second, third = lake.built("2024-02", 2, [2]), lake.built("2024-03", 3, [3])
    lake.publisher().publish(second)
    lake.publisher().publish(third)
    assert lake.facts() == [(1, 1, 1), (2, 1, 2), (3, 1, 3)]


def test_a_whole_table_that_another_month_replaced_is_not_overwritten(lake):
    """Trap 9: the lost update of two months at once with a whole table downstream."""
    lake.publish_month(1, [1], "totals")
    second, third = lake.built("2024-02", 2, [2], "totals"), lake.built("2024-03", 3, [3], "totals")
    lake.publisher().publish(second)
    before = lake.snapshot()
    with pytest.raises(Moved, match="nothing was published") as raised:
        lake.publisher().publish(third)
    assert raised.value.nodes == ("model.p.totals",)
    assert lake.snapshot() == before


@pytest.mark.slow
def test_the_same_month_that_another_attempt_published_meanwhile_is_not_overwritten(lake):
    lake.publish_month(1, [1])
    older, newer = lake.built("2024-01", 1, [2]), lake.built("2024-01", 1, [3])
    lake.publisher().publish(newer)
    with pytest.raises(Moved) as raised:
        lake.publisher().publish(older)
    assert raised.value.nodes == ("model.p.facts",)
    assert lake.facts() == [(1, 1, 3)]


@pytest.mark.slow
def test_publishers_at_once_take_turns(lake):
    lake.publish_month(1, [1])
    months = [lake.built(f"2024-{month:02d}", month, [month]) for month in range(2, 6)]
    threads = [threading.Thread(target=lake.publisher().publish, args=[uri]) for uri in months]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lake.facts() == [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 1, 4), (5, 1, 5)]
