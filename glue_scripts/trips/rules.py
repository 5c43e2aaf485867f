"""Which rows are rejected, for which reasons, and which are kept but suspect."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from trips.arguments import MARKS, REASONS, Arguments
from trips.casting import present

_ZONES = (1, 265)
_NOVEMBER = 11  # since 2007 the clocks go back on its first Sunday
_HOUR = 3600


def reasons(
    arguments: Arguments, columns: Mapping[str, Column], uncastable: Mapping[str, Column], duplicate: Column
) -> Column:
    """The reasons to reject a row, as an integer of bits in REASONS' order; 0 for a row that is kept.

    :param columns: the canonical columns; a missing value never fails a rule about values
    :param uncastable: whether a column's value is there but cannot be cast
    """
    limits = arguments.thresholds
    pickup, dropoff = columns["pickup_at"], columns["dropoff_at"]
    total, distance = columns["total_amount"], columns["trip_distance"]
    seconds = _seconds(pickup, dropoff)
    begin, end = _month(arguments)

    def missing(name: str) -> Column:
        # A value that cannot be cast is there: it counts as uncastable, and as missing only if that is not judged.
        there = uncastable.get(name) if "uncastable" not in limits.off else None
        return columns[name].isNull() if there is None else columns[name].isNull() & ~there

    rules = {
        "pickup_missing": missing("pickup_at"),
        "dropoff_missing": missing("dropoff_at"),
        "pickup_outside_month": ~((pickup >= _time(begin)) & (pickup < _time(end))),
        "dropoff_before_pickup": (seconds < 0) & ~_clock_change(arguments, pickup, seconds),
        "trip_too_long": seconds > limits.max_hours * _HOUR,
        "distance_missing": missing("trip_distance"),
        "distance_negative": distance < 0,
        "location_unknown": _elsewhere(columns["pickup_location_id"]) | _elsewhere(columns["dropoff_location_id"]),
        "total_missing": missing("total_amount"),
        "total_implausible": F.abs(total) > limits.max_total,
        "uncastable": reduce(operator.or_, uncastable.values(), F.lit(False)),
        "duplicate": duplicate,
    }
    mask = F.lit(0)
    for bit, name in enumerate(REASONS):
        if name not in limits.off:
            mask = mask.bitwiseOR(F.when(rules[name], 1 << bit).otherwise(0))
    return mask


def marks(arguments: Arguments, columns: Mapping[str, Column], stuck_vendors: Sequence[int]) -> Column:
    """The marks of a suspect row, as an array of text that may be empty."""
    limits = arguments.thresholds
    seconds = _seconds(columns["pickup_at"], columns["dropoff_at"])
    rules = {
        "duration_long": seconds > limits.long_hours * _HOUR,
        "distance_implausible": columns["trip_distance"] > limits.max_miles,
        "clock_change": (seconds < 0) & _clock_change(arguments, columns["pickup_at"], seconds),
        "time_stuck": columns["vendor_id"].isin(list(stuck_vendors)) if stuck_vendors else F.lit(False),
    }
    return _names(rules, MARKS)


def reason_names(mask: Column) -> Column:
    """The names of an integer's bits, as an array of text."""
    return _names({name: mask.bitwiseAND(1 << bit) != 0 for bit, name in enumerate(REASONS)}, REASONS)


def stuck_vendors(frame: DataFrame, columns: Mapping[str, str], cast: Mapping[str, Column], month: int) -> list[int]:
    """Vendors of whose rows each begins and ends in the minute that is the month's number: vendor 6 in 2025-02."""
    if "vendor_id" not in columns or month > 59:
        return []
    stuck = (F.minute(cast["pickup_at"]) == month) & (F.minute(cast["dropoff_at"]) == month)
    found = (
        frame.where(present(frame, columns["vendor_id"]).isNotNull())
        .groupBy(cast["vendor_id"].alias("vendor"))
        .agg(F.min(F.coalesce(stuck, F.lit(False))).alias("stuck"))
        .where("stuck AND vendor IS NOT NULL")
        .collect()
    )
    return sorted(row["vendor"] for row in found)


def _names(rules: Mapping[str, Column], order: Sequence[str]) -> Column:
    names = F.filter(F.array(*(F.when(rules[name], F.lit(name)) for name in order)), lambda name: name.isNotNull())
    # Nearly every row has none; to find that out by filtering takes longer than all the rules do.
    return F.when(reduce(operator.or_, (F.coalesce(rules[name], F.lit(False)) for name in order)), names).otherwise(
        F.array().cast("array<string>")
    )


def _seconds(pickup: Column, dropoff: Column) -> Column:
    return (F.unix_micros(dropoff) - F.unix_micros(pickup)) / 1_000_000


def _elsewhere(location: Column) -> Column:
    return F.coalesce(~location.between(*_ZONES), F.lit(False))


def _month(arguments: Arguments) -> tuple[datetime, datetime]:
    year, month = int(arguments.year), int(arguments.month)
    return datetime(year, month, 1), datetime(year + month // 12, month % 12 + 1, 1)


def _clock_change(arguments: Arguments, pickup: Column, seconds: Column) -> Column:
    """Whether a drop-off before its pickup is the clocks' doing: in the hour that November's first Sunday has twice."""
    if int(arguments.month) != _NOVEMBER:
        return F.lit(False)
    begin, _ = _month(arguments)
    one = begin + timedelta(days=(6 - begin.weekday()) % 7, hours=1)
    return (pickup >= _time(one)) & (pickup < _time(one + timedelta(hours=1))) & (seconds >= -_HOUR)


def _time(moment: datetime) -> Column:
    # By its text: PySpark reads a datetime without a zone in the machine's own.
    return F.lit(moment.isoformat(" ")).cast("timestamp")
