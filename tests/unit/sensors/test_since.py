"""The values that `since` may have."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import pytest

from airflow_lakehouse_provider.sensors.since import resolved

MOMENT = datetime(2024, 2, 1, 3, 4, 5, tzinfo=timezone.utc)


class Lazy(Sequence):
    """The output of a mapped task, as Airflow passes it on: a sequence that is neither list nor tuple."""

    def __init__(self, *items):
        self._items = items

    def __getitem__(self, index):
        return self._items[index]

    def __len__(self):
        return len(self._items)


def run_result(moment):
    return {"job_name": "trips", "run_id": "jr_1", "completed_on": moment and moment.isoformat()}


def pendulum_moment():
    import pendulum

    return pendulum.instance(MOMENT).in_timezone("Asia/Tokyo")


@pytest.mark.parametrize(
    "since",
    [
        "2024-02-01T03:04:05+00:00",
        "2024-02-01T03:04:05Z",
        " 2024-02-01T04:04:05+01:00 ",
        "2024-02-01T03:04:05",
        "2024-02-01 03:04:05",
        MOMENT,
        MOMENT.replace(tzinfo=None),
        MOMENT.astimezone(timezone(timedelta(hours=-5))),
        pendulum_moment(),
        run_result(MOMENT),
        [run_result(MOMENT - timedelta(days=40)), run_result(MOMENT), MOMENT - timedelta(seconds=1)],
        (MOMENT.isoformat(),),
        Lazy(run_result(MOMENT), run_result(MOMENT - timedelta(hours=1))),
        [[MOMENT], MOMENT - timedelta(days=1)],
        (moment for moment in [MOMENT]),
    ],
)
def test_a_moment(since):
    found = resolved(since)
    assert found == MOMENT
    assert found.isoformat() == "2024-02-01T03:04:05+00:00"


def test_none_is_left_out():
    assert resolved(None) is None


@pytest.mark.parametrize(
    ("since", "sentence"),
    [
        ("None", "since is the text 'None'.*check the task that it comes from"),
        ("", "since is the text ''"),
        (" null ", "since is the text ' null '"),
        ("yesterday", "'yesterday' is no time: give ISO 8601"),
        ("{'completed_on': '2024-02-01'}", "is no time.*clean.output"),
        ("[]", "is no time"),
        ([], "empty list"),
        (Lazy(), "empty list"),
        ([MOMENT, None], "None is no time"),
        (1706756645, "1706756645 is no time"),
        (True, "True is no time"),
        (b"2024", "is no time"),
        ({"state": "SUCCEEDED"}, "no completed_on"),
        ({"run_id": "jr_9", "completed_on": None}, "completed_on is None in the result of run 'jr_9'"),
    ],
)
def test_what_is_no_moment_is_refused(since, sentence):
    with pytest.raises(ValueError, match=sentence):
        resolved(since)
