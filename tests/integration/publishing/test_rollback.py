"""Back in one command: what comes back, and what refuses to."""

from __future__ import annotations

import pytest

from airflow_lakehouse_provider.publishing import objects
from airflow_lakehouse_provider.publishing.names import PublishingError


def test_the_month_before_comes_back_with_its_whole_tables(lake):
    lake.publish_month(2, [20], "totals", "recent")
    lake.publish_month(1, [1, 2, 3], "totals")
    lake.publish_month(1, [9], "totals")
    record = lake.publisher().rollback("2024-01", run="ada")
    assert (record.generation, record.kind, record.restores, record.run) == (3, "rollback", 1, "ada")
    assert lake.facts() == [(1, 3, 6), (2, 1, 20)]
    assert lake.totals() == [(1, 6), (2, 20)]


@pytest.mark.slow
def test_generation_0_is_what_was_there_before(lake):
    lake.publish_month(2, [20], "totals")
    lake.publish_month(1, [1], "totals")
    lake.publisher().rollback("2024-01")
    assert lake.facts() == [(2, 1, 20)]
    assert lake.totals() == [(2, 20)]
    with pytest.raises(PublishingError, match="already; name a generation: 1"):
        lake.publisher().rollback("2024-01")
    lake.publisher().rollback("2024-01", 1)
    assert lake.facts() == [(1, 1, 1), (2, 1, 20)]
    assert lake.totals() == [(1, 1), (2, 20)]


@pytest.mark.slow
def test_any_generation_comes_back_and_forth(lake):
    for amount in (1, 2, 3):
        lake.publish_month(1, [amount])
    for to in (1, 3, 2):
        lake.publisher().rollback("2024-01", to)
        assert lake.facts() == [(1, 1, to)]
    lake.publisher().rollback("2024-01")  # the last rollback put 2 back; before it comes 1
    assert lake.facts() == [(1, 1, 1)]


@pytest.mark.slow
def test_dbt_by_hand_after_a_rollback_replaces_the_month(lake):
    """Trap 1: a rollback moves the table's own location too."""
    lake.publish_month(1, [1, 2])
    lake.publish_month(1, [3])
    lake.publisher().rollback("2024-01")
    lake.by_hand(1, [7])
    assert lake.facts() == [(1, 1, 7)]


def test_what_was_changed_by_hand_is_not_overwritten(lake):
    lake.publish_month(1, [1])
    lake.publish_month(1, [2])
    lake.by_hand(1, [3])
    before = lake.snapshot()
    with pytest.raises(PublishingError, match="is not ours any more: somebody changed it by hand"):
        lake.publisher().rollback("2024-01")
    assert lake.snapshot() == before
    assert lake.facts() == [(1, 1, 3)]


@pytest.mark.slow
def test_files_that_were_changed_in_place_are_noticed(lake):
    """Trap 2: a location is no identity."""
    lake.publish_month(1, [1])
    lake.publish_month(1, [2])
    ((_, place),) = [(k, v) for k, v in lake.snapshot()["facts"][1].items()]
    key = next(iter(objects.files_at(lake.s3, place)))
    lake.s3.put_object(Bucket=lake.bucket, Key=f"{key}.more", Body=b"")
    with pytest.raises(PublishingError, match="is not as it was published"):
        lake.publisher().rollback("2024-01")


def test_a_generation_whose_files_are_gone_does_not_come_back_empty(lake):
    first = lake.publish_month(1, [1])
    lake.publish_month(1, [2])
    for key in first.plan[1].new_files:
        lake.s3.delete_object(Bucket=lake.bucket, Key=key)
    with pytest.raises(PublishingError, match=r"generation 1 cannot come back: 1 files at .* were deleted"):
        lake.publisher().rollback("2024-01")
    assert lake.facts() == [(1, 1, 2)]


@pytest.mark.slow
def test_a_table_that_another_month_replaced_since_is_named(lake):
    lake.publish_month(1, [1], "totals")
    lake.publish_month(1, [2], "totals")
    lake.publish_month(2, [20], "totals")
    before = lake.snapshot()
    with pytest.raises(PublishingError, match=r"replaced the tables of model\.p\.totals, which must be built again"):
        lake.publisher().rollback("2024-01")
    assert lake.snapshot() == before


@pytest.mark.slow
def test_a_whole_table_without_the_others_months_does_not_come_back(lake):
    """Between the generations of one month another month was published: the oldest table lacks that month."""
    lake.publish_month(1, [1], "totals")
    lake.publish_month(2, [20], "totals")
    lake.publish_month(1, [2], "totals")
    with pytest.raises(PublishingError, match=r"model\.p\.totals"):
        lake.publisher().rollback("2024-01", 0)
    lake.publisher().rollback("2024-01", 1)
    assert lake.totals() == [(1, 1), (2, 20)]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unit", "to", "message"),
    [
        ("2024-07", None, "2024-07 was never published"),
        ("2024-01", 2, "cannot go back to 2, which is published now; allowed: 0, 1"),
        ("2024-01", 9, "cannot go back to 9, which is no generation of it that was published; allowed: 0, 1"),
        ("../x", None, "unit is '../x'; it must be 1 to 100 letters"),
    ],
)
def test_what_cannot_come_back(lake, unit, to, message):
    lake.publish_month(1, [1])
    lake.publish_month(1, [2])
    with pytest.raises(PublishingError, match=message):
        lake.publisher().rollback(unit, to)
    assert lake.facts() == [(1, 1, 2)]


@pytest.mark.slow
def test_a_removed_month_comes_back(lake):
    lake.publish_month(1, [1, 1])
    lake.publisher().publish(lake.emptied("2024-01", "year = 2024 and month = 1"))
    assert lake.facts() == []
    lake.publisher().rollback("2024-01")
    assert lake.facts() == [(1, 2, 2)]
