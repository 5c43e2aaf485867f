"""The identity of a row: a 128-bit hash of its service, its run's month and its raw values.

The bytes of a `trip_id`: two of Spark's xxhash64 with seed 42, as 32 hexadecimal digits in upper case. Each hashes in
turn, every hash being the seed of the next: the number 1 or 2, for which of the two it is, as a bigint; the service and
the month ("yellow", "2024-01") as UTF-8; the names of the columns that `columns.py` does not know, sorted, each with a
line feed behind it; which values are there, 62 to a bigint, lowest bit first, in the order of `columns.RAW` and then of
those names; and in this order the values that are there. Whole numbers are bigints, floating ones doubles (-0.0 is
0.0), times microseconds since 1970 on their own clock, decimals and nested values Spark's text; text is as in the file.

xxhash64 skips nulls, so (1.5, NULL) and (NULL, 1.5) would have one hash: hence the bits. A column that a file lacks
is one without values, so neither the order of columns nor one of nothing but nulls changes an id.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql import types as T

from trips.columns import RAW
from trips.month import Month

_BITS = 62


def hashes(
    service: str, month: Month, known: Mapping[str, Column], unknown: Mapping[str, Column]
) -> tuple[Column, Column]:
    """Return the two halves of every row's hash, as bigints.

    :param month: the run's month
    :param known: `comparable` raw values by canonical name
    :param unknown: those of other columns by their own name
    """
    names = sorted(unknown)
    values = [*(known.get(name) for name in RAW), *(unknown[name] for name in names)]
    presence = []
    for first in range(0, len(values), _BITS):
        bits = [
            F.when(value.isNotNull(), F.lit(1 << bit).cast("bigint")).otherwise(0)
            for bit, value in enumerate(values[first : first + _BITS])
            if value is not None
        ]
        presence.append(reduce(Column.bitwiseOR, bits, F.lit(0).cast("bigint")))
    unit = [F.lit(service), F.lit(str(month)), F.lit("".join(f"{name}\n" for name in names))]
    there = [value for value in values if value is not None]
    first_half, second_half = (F.xxhash64(F.lit(half).cast("bigint"), *unit, *presence, *there) for half in (1, 2))
    return first_half, second_half


def comparable(value: Column, data_type: T.DataType) -> Column:
    """Return a raw value for comparison with others: the width of the file's type makes no difference."""
    if isinstance(data_type, T.IntegralType):
        return value.cast("bigint")
    if isinstance(data_type, T.FloatType):
        return value.cast("double")
    if isinstance(data_type, (T.DecimalType, T.ArrayType, T.MapType, T.StructType)):
        return value.cast("string")
    return value


def trip_id(halves: tuple[Column, Column], occurrence: Column | None = None) -> Column:
    """Return the hash as text; where equal rows are all kept, it includes the number of the later ones."""
    if occurrence is not None:
        first, second = (
            F.when(occurrence > 1, F.xxhash64(half, occurrence.cast("bigint"))).otherwise(half) for half in halves
        )
        halves = first, second
    return F.hex(F.concat(*(half.cast("binary") for half in halves)))  # eight bytes each, the highest first
