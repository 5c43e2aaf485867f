"""Month: parsing, counting, partition values, and what a wrong one is told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_lakehouse_provider.month import Month

months = st.builds(Month, st.integers(2000, 2099), st.integers(1, 12))


@given(months)
def test_text_round_trips(month):
    assert Month.parse(str(month)) == month
    assert Month.of(month.year_text, month.month_text) == month


@given(months, st.integers(-200, 200))
def test_plus_counts_calendar_months(month, count):
    total = month.year * 12 + month.month - 1 + count
    if 2000 * 12 <= total < 2100 * 12:
        later = month.plus(count)
        assert (later.year * 12 + later.month - 1) == total
        assert later.plus(-count) == month
        assert (later > month) == (count > 0)
    else:
        with pytest.raises(ValueError, match="year must be a whole number from 2000 to 2099"):
            month.plus(count)


def test_a_month_ends_where_the_next_begins():
    december = Month(2023, 12)
    assert december.end == december.next().start == Month(2024, 1).start
    assert december.start.isoformat() == "2023-12-01T00:00:00+00:00"
    assert (december.year_text, Month(2024, 3).month_text) == ("2023", "03")


def test_range_holds_both_ends():
    assert [str(m) for m in Month.range(Month(2023, 11), Month(2024, 2))] == [
        "2023-11",
        "2023-12",
        "2024-01",
        "2024-02",
    ]
    assert Month.range(Month(2024, 2), Month(2024, 1)) == []


@pytest.mark.parametrize(
    ("year", "month", "said"),
    [
        (2024, 13, "month must be a whole number from 1 to 12, not 13"),
        (2024, 0, "month must be a whole number from 1 to 12, not 0"),
        (24, 1, "year must be a whole number from 2000 to 2099, not 24"),
        ("24", "01", "year must be a whole number from 2000 to 2099, not 24"),
        ("", "01", "year must be a whole number, not ''"),
        ("2024", "1.5", "month must be a whole number, not '1.5'"),
        (None, 1, "year must be a whole number, not None"),
        (2024, True, "month must be a whole number, not True"),
    ],
)
def test_a_wrong_month_is_named(year, month, said):
    with pytest.raises(ValueError) as caught:
        Month.of(year, month)
    assert str(caught.value) == said


@pytest.mark.parametrize("text", ["2024", "2024-1-1", "Jan 2024", "", None, 202401, "٢٠٢٤-01-"])
def test_text_that_is_no_month_is_refused(text):
    with pytest.raises(ValueError, match="month must be YYYY-MM, such as 2024-01, not"):
        Month.parse(text)
