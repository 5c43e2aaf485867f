"""The faults of the TLC's files, planted at measured rates, and counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from airflow_lakehouse_provider.month import Month
from airflow_lakehouse_provider.sample_data.trips import MONEY, Ints, Trips, month_bounds

_DAY = 86_400
# A file with at least so many rows has every fault at least once.
_ALL_FAULTS_FROM = 1_000
# Rows per million. Where the TLC's own rate is close to zero, about that of the green files.
_REJECTED = {
    "pickup_missing": 20,
    "dropoff_missing": 20,
    "pickup_outside_month": 400,
    "dropoff_before_pickup": 300,
    "trip_too_long": 60,
    "distance_missing": 40,
    "distance_negative": 60,
    "location_unknown": 80,
    "total_missing": 30,
    "total_implausible": 20,
    "uncastable": 20,
    "duplicate": 100,
}
_KEPT = {"reversal": 5_400, "duration_long": 2_000, "distance_implausible": 800}
_CLOCK_CHANGE = 60
_STUCK = 15_000
_LOCATIONS_FROM = Month(2016, 7)
# Vendor 6 wrote the month's number as the minute, in green files of 2025.
_STUCK_MONTHS = Month.range(Month(2025, 1), Month(2025, 6))


def plant_faults(rng: np.random.Generator, table: Trips, service: str, month: Month) -> dict[str, Any]:
    """Plant the faults into a table of clean trips; return the counts of a correct load."""
    spare = _Rows(rng.permutation(table.rows).astype(np.int64))
    reasons: dict[str, int] = {}
    marks = {"duration_long": 0, "distance_implausible": 0, "clock_change": 0, "time_stuck": 0}
    # Copies first: they copy rows without a fault, which get none later.
    for fault, rate in (("duplicate", _REJECTED["duplicate"]), ("reversal", _KEPT["reversal"])):
        targets = spare.take(rate)
        sources = spare.take_exactly(len(targets))
        targets = targets[: len(sources)]
        table.copy_rows(sources, targets)
        if fault == "duplicate":
            reasons[fault] = len(targets)
        else:
            reversals = len(targets)
            for name in (*MONEY, "total_amount"):
                table.values[name][targets] *= -1
    for reason, rate in _REJECTED.items():
        if reason != "duplicate" and not (reason == "location_unknown" and month < _LOCATIONS_FROM):
            rows = spare.take(rate)
            _FAULTS[reason](rng, table, rows, month)
            reasons[reason] = len(rows)
    long, far = spare.take(_KEPT["duration_long"]), spare.take(_KEPT["distance_implausible"])
    table.values["dropoff_at"][long] = table.values["pickup_at"][long] + rng.integers(82_800, _DAY, len(long))
    table.values["trip_distance"][far] = rng.integers(50_100, 20_000_000, len(far))
    marks["duration_long"], marks["distance_implausible"] = len(long), len(far)
    if month.month == 11:
        marks["clock_change"] = _turn_the_clock_back(rng, table, spare.take(_CLOCK_CHANGE), month)
    if service == "green" and month in _STUCK_MONTHS:
        rows = spare.take(_STUCK)
        before = _stop_the_minutes(rng, table, rows, month)
        marks["time_stuck"] = len(rows) - before
        reasons["dropoff_before_pickup"] += before
    quarantined = sum(reasons.values())
    return {
        "service": service,
        "month": str(month),
        "rows": table.rows,
        "kept": table.rows - quarantined,
        "quarantined": quarantined,
        "reasons": {reason: rows for reason, rows in sorted(reasons.items()) if rows},
        "suspect": marks,
        "reversals": reversals,
    }


class _Rows:
    """Rows that have no fault yet, in random order."""

    def __init__(self, order: Ints) -> None:
        self._order = order
        self._taken = 0

    def take(self, per_million: int) -> Ints:
        rows = len(self._order)
        wanted = round(rows * per_million / 1_000_000)
        return self.take_exactly(max(wanted, 1) if rows >= _ALL_FAULTS_FROM else wanted)

    def take_exactly(self, count: int) -> Ints:
        self._taken += count
        return self._order[self._taken - count : self._taken]


def _missing(*names: str) -> Any:
    def fault(rng: np.random.Generator, table: Trips, rows: Ints, month: Month) -> None:
        for name in names:
            table.missing[name][rows] = True

    return fault


def _outside(rng: np.random.Generator, table: Trips, rows: Ints, month: Month) -> None:
    # The next month's first night mostly; some of a meter whose year is wrong.
    begin, end = month_bounds(month)
    duration = table.values["dropoff_at"][rows] - table.values["pickup_at"][rows]
    shifted = np.where(rng.integers(0, 4, len(rows)) < 3, end, begin - 365 * _DAY * 3)
    table.values["pickup_at"][rows] = shifted + rng.integers(0, 6 * 3600, len(rows))
    table.values["dropoff_at"][rows] = table.values["pickup_at"][rows] + duration


def _before(rng: np.random.Generator, table: Trips, rows: Ints, month: Month) -> None:
    # More than the hour by which the clocks change
    table.values["dropoff_at"][rows] = table.values["pickup_at"][rows] - rng.integers(3_700, 30_000, len(rows))


def _too_long(rng: np.random.Generator, table: Trips, rows: Ints, month: Month) -> None:
    table.values["dropoff_at"][rows] = table.values["pickup_at"][rows] + rng.integers(_DAY + 1, 20 * _DAY, len(rows))


def _negative_distance(rng: np.random.Generator, table: Trips, rows: Ints, month: Month) -> None:
    table.values["trip_distance"][rows] = -rng.integers(1, 3_000, len(rows))


def _nowhere(rng: np.random.Generator, table: Trips, rows: Ints, month: Month) -> None:
    name = ("pickup_location_id", "dropoff_location_id")[int(rng.integers(0, 2))]
    table.values[name][rows] = np.where(rng.integers(0, 2, len(rows)) == 0, 0, rng.integers(266, 999, len(rows)))


def _too_dear(rng: np.random.Generator, table: Trips, rows: Ints, month: Month) -> None:
    table.values["total_amount"][rows] = rng.integers(1_000_001, 90_000_000, len(rows))


def _not_a_number(rng: np.random.Generator, table: Trips, rows: Ints, month: Month) -> None:
    table.not_a_number["tolls_amount"][rows] = True


_FAULTS = {
    "pickup_missing": _missing("pickup_at"),
    "dropoff_missing": _missing("dropoff_at"),
    "pickup_outside_month": _outside,
    "dropoff_before_pickup": _before,
    "trip_too_long": _too_long,
    "distance_missing": _missing("trip_distance"),
    "distance_negative": _negative_distance,
    "location_unknown": _nowhere,
    "total_missing": _missing("total_amount"),
    "total_implausible": _too_dear,
    "uncastable": _not_a_number,
}


def _sundays(month: Month) -> Iterator[int]:
    begin, end = month_bounds(month)
    for day in range(begin, end, _DAY):
        if (day // _DAY + 3) % 7 == 6:
            yield day


def _turn_the_clock_back(rng: np.random.Generator, table: Trips, rows: Ints, month: Month) -> int:
    """Trips that begin in the first 1 o'clock hour of November's first Sunday and end in the second."""
    pickup = next(_sundays(month)) + 3_600 + rng.integers(1_800, 3_600, len(rows))
    table.values["pickup_at"][rows] = pickup
    table.values["dropoff_at"][rows] = pickup + rng.integers(60, 1_700, len(rows)) - 3_600
    return len(rows)


def _stop_the_minutes(rng: np.random.Generator, table: Trips, rows: Ints, month: Month) -> int:
    """Make the rows vendor 6's, both minutes the month's number; how many end before they begin."""
    pickup = table.values["pickup_at"][rows] // 3_600 * 3_600 + month.month * 60 + rng.integers(0, 30, len(rows))
    hours = rng.integers(0, 7, len(rows)) // 2 - 1  # -1, -1, 0, 0, 1, 1, 2
    table.values["vendor_id"][rows] = 6
    table.values["pickup_at"][rows] = pickup
    table.values["dropoff_at"][rows] = pickup + hours * 3_600 + rng.integers(0, 30, len(rows))
    return int(np.count_nonzero(hours < 0))
