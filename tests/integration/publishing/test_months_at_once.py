"""Months at once: a node is built again if, by Athena's own word, it has read what another month has replaced."""

from __future__ import annotations

import pytest

from airflow_lakehouse_provider.publishing.names import Moved


def month_of_running(lake, attempt, month, condition):
    """Build a month of `running` from the months of `facts` that a condition selects; return its query."""
    facts = attempt.audit if lake.exists(attempt.audit, "facts") else lake.schema
    query = (
        f'select sum(amount) as amount, 2024 as year, {month} as month from "awsdatacatalog"."{facts}"."facts"'
        f" where {condition}"
    )
    lake.build_partitions(attempt, "running", query, [month])
    return query


def build(lake, month, condition):
    attempt = lake.begin(f"2024-{month:02d}", "facts", "running")
    lake.build_month(attempt, month, [month])
    query = month_of_running(lake, attempt, month, condition)
    return lake.end(attempt, statements={"model.p.facts": [], "model.p.running": [query]})


def test_a_month_that_reads_itself_alone_does_not_wait_for_the_others(lake):
    lake.publisher().publish(build(lake, 1, "year = 2024 and month = 1"))
    second = build(lake, 2, "year = 2024 and month = 2")
    third = build(lake, 3, "year = 2024 and month = 3")
    lake.publisher().publish(third)
    lake.publisher().publish(second)
    assert lake.query(f"select month, amount from {lake.schema}.running order by month") == [
        ("1", "1"),
        ("2", "2"),
        ("3", "3"),
    ]
    assert any("nothing of it was read" in line for line in lake.lines)


@pytest.mark.slow
@pytest.mark.parametrize("condition", ["year = 2024 and month <= 3", "amount > 0", "amount + month > 0"])
def test_a_month_that_reads_other_months_is_built_again(lake, condition):
    """Trap 9, a model that reads other months: also where the engine cannot tell that it does not."""
    lake.publisher().publish(build(lake, 1, "year = 2024 and month = 1"))
    second = build(lake, 2, "year = 2024 and month = 2")
    third = build(lake, 3, condition)
    lake.publisher().publish(second)
    before = lake.snapshot()
    with pytest.raises(Moved) as raised:
        lake.publisher().publish(third)
    assert raised.value.nodes == ("model.p.running",)
    assert lake.snapshot() == before


@pytest.mark.slow
def test_a_query_that_cannot_be_explained_counts_as_reading_everything(lake):
    lake.publish_month(1, [1])
    attempt = lake.begin("2024-03", "facts")
    lake.build_month(attempt, 3, [3])
    uri = lake.end(attempt, statements={"model.p.facts": ["select * from nowhere.at_all"]})
    lake.publish_month(2, [2])
    with pytest.raises(Moved):
        lake.publisher().publish(uri)
    assert any("it counts as reading everything" in line for line in lake.lines)


@pytest.mark.slow
def test_a_month_that_read_one_that_was_removed_since_is_built_again(lake):
    for month in (1, 2):
        lake.publisher().publish(build(lake, month, f"year = 2024 and month = {month}"))
    third, apart = build(lake, 3, "amount > 0"), build(lake, 4, "year = 2024 and month = 4")
    lake.publisher().publish(lake.emptied("2024-02", "year = 2024 and month = 2"))
    with pytest.raises(Moved) as raised:
        lake.publisher().publish(third)
    assert raised.value.nodes == ("model.p.running",)
    lake.publisher().publish(apart)


def test_what_moved_is_built_again_upon_what_is_public_now(lake):
    """Trap 9: neither month's rows are lost in the whole table; the first build of the month is carried over."""
    lake.publish_month(1, [1], "totals", "recent")
    second, third = (lake.built(f"2024-{month:02d}", month, [month], "totals", "recent") for month in (2, 3))
    lake.publisher().publish(second)
    record = lake.publisher().publish(third, rebuild=lake.rebuild)
    assert lake.facts() == [(1, 1, 1), (2, 1, 2), (3, 1, 3)]
    assert lake.totals() == [(1, 1), (2, 2), (3, 3)]
    assert lake.query(f"select count(*) from {lake.schema}.recent") == [("2",)]
    assert record.audit != lake.attempts.read(third).audit


@pytest.mark.slow
def test_a_rollback_builds_again_what_other_months_replaced_since(lake):
    lake.publish_month(1, [1], "totals")
    lake.publish_month(1, [5], "totals")
    lake.publish_month(2, [20], "totals")
    record = lake.publisher().rollback("2024-01", rebuild=lake.rebuild)
    assert (record.kind, record.restores) == ("rollback", 1)
    assert lake.facts() == [(1, 1, 1), (2, 1, 20)]
    assert lake.totals() == [(1, 1), (2, 20)]
    lake.by_hand(1, [7])
    assert lake.facts() == [(1, 1, 7), (2, 1, 20)]


@pytest.mark.slow
def test_a_rollback_to_nothing_builds_again_what_other_months_replaced_since(lake):
    lake.publish_month(1, [1], "totals")
    lake.publish_month(2, [20], "totals")
    lake.publisher().rollback("2024-01", 0, rebuild=lake.rebuild)
    assert lake.facts() == [(2, 1, 20)]
    assert lake.totals() == [(2, 20)]
