"""The rules: reasons to reject a row, and marks of rows that are kept but suspect."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from trips.arguments import MARKS, REASONS, Arguments
from trips.columns import MONEY

_ZONES = (1, 265)
_MOST_MONEY = Decimal("99999999.99")
_NOVEMBER = 11  # since 2007 the clocks go back on its first Sunday
_FIRST_ROWS = 5_000
_HOUR = 3_600_000_000  # microseconds


def reasons(
    arguments: Arguments,
    columns: Mapping[str, Column],
    there: Mapping[str, Column],
    *,
    uncastable: Column,
    duplicate: Column,
) -> Column:
    """Return the reasons to reject a row, as an integer of bits in REASONS' order; 0 for a row that is kept.

    :param columns: the canonical columns; a missing value never fails a rule about values
    :param there: whether the file has a value, even one that cannot be cast; without columns that the file lacks
    :param uncastable: whether some value of the row cannot be cast
    """
    limits = arguments.thresholds
    pickup, dropoff = columns["pickup_at"], columns["dropoff_at"]
    total, distance = columns["total_amount"], columns["trip_distance"]
    duration = _microseconds(pickup, dropoff)
    begin, end = arguments.month.start, arguments.month.end

    def missing(name: str) -> Column:
        # A value that cannot be cast is not missing: it is uncastable, and missing only if that is not judged.
        return ~there[name] if name in there and "uncastable" not in limits.off else columns[name].isNull()

    rules = {
        "pickup_missing": missing("pickup_at"),
        "dropoff_missing": missing("dropoff_at"),
        "pickup_outside_month": ~((pickup >= _time(begin)) & (pickup < _time(end))),
        "dropoff_before_pickup": (duration < 0) & ~_clock_change(arguments, pickup, duration),
        "trip_too_long": duration > _limit(limits.max_hours),
        "distance_missing": missing("trip_distance"),
        "distance_negative": distance < 0,
        "location_unknown": _elsewhere(columns["pickup_location_id"]) | _elsewhere(columns["dropoff_location_id"]),
        "total_missing": missing("total_amount"),
        "total_implausible": ~total.between(-_cents(limits.max_total), _cents(limits.max_total)),
        "uncastable": uncastable,
        "duplicate": duplicate,
    }
    mask = F.lit(0)
    for bit, name in enumerate(REASONS):
        if name not in limits.off:
            mask = mask.bitwiseOR(F.when(rules[name], 1 << bit).otherwise(0))
    return mask


def marks(arguments: Arguments, columns: Mapping[str, Column], stuck_vendors: Sequence[int]) -> Column:
    """Return the marks of a suspect row, as an array of text that may be empty."""
    limits = arguments.thresholds
    duration = _microseconds(columns["pickup_at"], columns["dropoff_at"])
    rules = {
        "duration_long": duration > _limit(limits.long_hours),
        "distance_implausible": columns["trip_distance"] > limits.max_miles,
        "clock_change": (duration < 0) & _clock_change(arguments, columns["pickup_at"], duration),
        "time_stuck": columns["vendor_id"].isin(list(stuck_vendors)) if stuck_vendors else F.lit(False),
    }
    return _names(rules, MARKS)


def reason_names(mask: Column) -> Column:
    """Return the names of an integer's bits, as an array of text."""
    return _names({name: mask.bitwiseAND(1 << bit) != 0 for bit, name in enumerate(REASONS)}, REASONS)


def stuck_vendors(frame: DataFrame, columns: Mapping[str, str], cast: Mapping[str, Column], month: int) -> list[int]:
    """Return vendors whose every row begins and ends in the minute of the month's number: vendor 6 in 2025-02."""
    if "vendor_id" not in columns or month > 59:
        return []
    stuck = (F.minute(cast["pickup_at"]) == month) & (F.minute(cast["dropoff_at"]) == month)
    rows = frame.select(cast["vendor_id"].alias("vendor"), F.coalesce(stuck, F.lit(False)).alias("stuck"))
    # The first rows mostly clear every vendor; of a file without another vendor, hardly a value is read then.
    first = rows.limit(_FIRST_ROWS).collect()
    cleared = {row["vendor"] for row in first if not row["stuck"]} - {None}
    others = rows.where(F.col("vendor").isNotNull() & ~F.col("vendor").isin(cleared))
    if not others.head(1):
        return []
    found = others.groupBy("vendor").agg(F.min("stuck").alias("stuck")).where("stuck").collect()
    return sorted(row["vendor"] for row in found)


def _names(rules: Mapping[str, Column], order: Sequence[str]) -> Column:
    # Not by a filter of an array: Spark does not compile it, and then compiles nothing of the whole row.
    names = F.split(F.concat_ws(",", *(F.when(rules[name], F.lit(name)) for name in order)), ",")
    # Nearly every row has none, and that check is faster than making an array.
    return F.when(reduce(operator.or_, (F.coalesce(rules[name], F.lit(False)) for name in order)), names).otherwise(
        F.array().cast("array<string>")
    )


def _microseconds(pickup: Column, dropoff: Column) -> Column:
    return F.unix_micros(dropoff) - F.unix_micros(pickup)


def _limit(hours: float) -> int:
    """Return hours in microseconds, within a bigint's range."""
    return min(round(hours * _HOUR), 2**63 - 1)


def _cents(limit: float) -> Column:
    """Return the largest amount of money that is not above a limit: comparing amounts as doubles takes far longer."""
    whole = Decimal(str(limit)).quantize(Decimal("0.01"), ROUND_FLOOR)
    return F.lit(min(whole, _MOST_MONEY)).cast(MONEY)


def _elsewhere(location: Column) -> Column:
    return ~location.between(*_ZONES)


def _clock_change(arguments: Arguments, pickup: Column, duration: Column) -> Column:
    """Return true for a drop-off before its pickup in the hour that November's first Sunday has twice."""
    if arguments.month.month != _NOVEMBER:
        return F.lit(False)
    begin = arguments.month.start
    one = begin + timedelta(days=(6 - begin.weekday()) % 7, hours=1)
    return (pickup >= _time(one)) & (pickup < _time(one + timedelta(hours=1))) & (duration >= -_HOUR)


def _time(moment: datetime) -> Column:
    # By its text: PySpark reads a datetime without a zone in the machine's own.
    return F.lit(moment.isoformat(" ")).cast("timestamp")
