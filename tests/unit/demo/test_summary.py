"""Row counts that add up, or are reported."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

pytest.importorskip("pyarrow", reason="needs the extra 'local'")

from airflow_lakehouse_provider.demo.summary import Load, print_loads, print_marts
from airflow_lakehouse_provider.month import Month

JANUARY = Month(2024, 1)


def load(**changes):
    counts = {"raw": 100, "kept": 97, "rows_quarantined": 3, "facts": 97, "tests": 4, "tests_passed": 4}
    return Load(service="yellow", month=JANUARY, quarantined={"duplicate": 2, "distance": 2}, **(counts | changes))


def test_counts_that_add_up_have_no_differences():
    assert load().differences == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"raw": 101}, "yellow 2024-01: the raw file has 101 rows, but 97 were kept and 3 quarantined"),
        ({"rows_quarantined": 2}, "yellow 2024-01: the raw file has 100 rows, but 97 were kept and 2 quarantined"),
        ({"facts": 194}, "yellow 2024-01: 97 rows were kept, but fct_trips has 194"),
        ({"facts": 0}, "yellow 2024-01: 97 rows were kept, but fct_trips has 0"),
    ],
)
def test_a_lost_or_doubled_row_is_reported(changes, sentence):
    assert sentence in load(**changes).differences


def shown(show, *arguments):
    out = io.StringIO()
    show(Console(file=out, width=100), *arguments)
    return out.getvalue()


def test_the_months_are_shown_with_their_reasons():
    text = shown(print_loads, [load()])
    assert "quarantined of yellow 2024-01: distance 2, duplicate 2" in text
    assert "4 of 4 passed" in text


def test_bars_are_as_long_as_their_days_earned():
    text = shown(print_marts, [["JFK Airport", "Queens", "1234"]], [("2024-01-01", 50.0), ("2024-01-02", 100.0)])
    assert "1,234" in text
    first, second = (line.count("█") for line in text.splitlines() if line.startswith("2024-01-0"))
    assert second == 2 * first == 40


def test_no_trips_are_no_error():
    assert "Revenue by day" in shown(print_marts, [], [])
