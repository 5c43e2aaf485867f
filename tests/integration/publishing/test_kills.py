"""A publisher that dies at any of its writes: the month is the old or the new one, and the next publisher ends it."""

from __future__ import annotations

import pytest

from airflow_lakehouse_provider.publishing import lease
from airflow_lakehouse_provider.publishing.names import Moved, PublishingError

WRITES = ("put_", "create_", "update_", "delete_", "batch_create", "batch_delete")


class Killed(BaseException):
    """The death of the process, which no code catches."""


class Dying:
    """A client of AWS in a process that dies at its n-th write, before or after AWS has carried it out."""

    def __init__(self, client, counter, at, after):
        self._client, self._counter, self._at, self._after = client, counter, at, after

    def __getattr__(self, name):
        found = getattr(self._client, name)
        if not name.startswith(WRITES):
            return found

        def call(**arguments):
            self._counter.append(name)
            number = len(self._counter)
            if number > self._at or (number == self._at and not self._after):
                raise Killed
            answer = found(**arguments)
            if number == self._at:
                raise Killed
            return answer

        return call


@pytest.fixture
def short_lease(monkeypatch):
    """A lease that a dead publisher leaves is free at once."""
    monkeypatch.setattr(lease, "LEASE_SECONDS", -1.0)


def publish_and_die(lake, uri, at, after):
    """Return True if the publisher died."""
    counter = []
    clients = {"glue": Dying(lake.glue, counter, at, after), "s3": Dying(lake.s3, counter, at, after)}
    try:
        lake.publisher(**clients).publish(uri)
    except Killed:
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
def test_killed_at_every_write_the_next_publisher_ends_it(lake, short_lease, after):
    lake.publish_month(1, [1], "totals", "recent")
    at, amount = 1, 1
    while True:
        uri = lake.built("2024-01", 1, [amount + 1], "totals", "recent")
        died = publish_and_die(lake, uri, at, after)
        assert lake.facts() in ([(1, 1, amount)], [(1, 1, amount + 1)])
        lake.publisher().publish(uri)
        assert lake.facts() == [(1, 1, amount + 1)]
        assert lake.totals() == [(1, amount + 1)]
        assert [each.state for each in lake.publisher().history.of("2024-01")] == ["published"] * (amount + 1)
        if not died:
            break
        at, amount = at + 1, amount + 1
    assert at > 8


def test_killed_in_the_middle_another_month_finishes_it_first(lake, short_lease):
    lake.publish_month(1, [1], "totals")
    uri = lake.built("2024-01", 1, [2], "totals")
    other = lake.built("2024-02", 2, [20])
    assert publish_and_die(lake, uri, 6, True)
    lake.publisher().publish(other)
    assert any("Finishing publication 2024-01/2" in line for line in lake.lines)
    assert lake.facts() == [(1, 1, 2), (2, 1, 20)]
    assert lake.totals() == [(1, 2)]


@pytest.mark.slow
def test_killed_in_the_middle_and_changed_by_hand_it_is_undone(lake, short_lease):
    lake.publish_month(1, [1], "totals")
    uri = lake.built("2024-01", 1, [2], "totals")
    assert publish_and_die(lake, uri, 7, True)
    assert lake.facts() == [(1, 1, 2)]
    lake.glue.delete_table(DatabaseName=lake.schema, Name="totals")
    with pytest.raises(Moved, match="nothing was published"):
        lake.publisher().publish(uri)
    assert any("totals was changed by somebody else: it is not there" in line for line in lake.lines)
    assert lake.facts() == [(1, 1, 1)]
    assert [each.state for each in lake.publisher().history.of("2024-01")] == ["published", "undone"]


@pytest.mark.slow
def test_a_publisher_waits_for_another_and_then_gives_up(lake):
    lake.publish_month(1, [1])
    mine = lease.Lease(lake.s3, lake.places, "mine", wait=0.5)
    with (
        lake.publisher().lease("a long publication"),
        pytest.raises(PublishingError, match=r"another publisher holds .* a long publication"),
    ):
        mine.__enter__()
    with lease.Lease(lake.s3, lake.places, "mine", wait=0.5):
        pass


def test_a_lease_that_was_taken_over_writes_nothing_more(lake, monkeypatch):
    lake.publish_month(1, [1])
    with lease.Lease(lake.s3, lake.places, "paused") as paused:
        monkeypatch.setattr(lease, "LEASE_SECONDS", -1.0)
        with lease.Lease(lake.s3, lake.places, "new"):
            with pytest.raises(lease.LeaseError, match="was lost"):
                paused.remember("s3://a/b")
            with pytest.raises(lease.LeaseError):
                paused.check()
