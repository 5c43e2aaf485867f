"""The whole transformation: raw rows to rows as staged, in one shuffle.

Rejected and kept rows leave in one write, because a second pass over the month would cost twice as much. A rejected
row's staged `suspect` therefore starts with what only the quarantine has: its raw row and its reasons (`unpacked`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from trips import rules
from trips.arguments import Arguments
from trips.casting import cast_columns
from trips.columns import RAW, TRIPS
from trips.reading import SOURCE_FILE, quoted

KEPT = "__kept"
_PICKUP, _HASH_1, _HASH_2, _OCCURRENCE = "__pickup", "__hash_1", "__hash_2", "__occurrence"
_ROWS_PER_FILE = 1_000_000
_MOST_FILES = 4
_BITS = 62


def staged(
    frame: DataFrame, columns: Mapping[str, str], rows: int, arguments: Arguments, loaded_at: datetime
) -> DataFrame:
    """Every row with the cleaned zone's columns and whether it is kept, in 1 to 4 partitions sorted by pickup."""
    raw_columns = [name for name in frame.columns if name != SOURCE_FILE]
    values, _ = cast_columns(frame, columns)
    stuck = rules.stuck_vendors(frame, columns, values, int(arguments.month))
    hash_1, hash_2 = _hashes(frame, raw_columns, f"{arguments.service} {arguments.year}-{arguments.month}")
    hashed = frame.select(
        *map(quoted, frame.columns), values["pickup_at"].alias(_PICKUP), hash_1.alias(_HASH_1), hash_2.alias(_HASH_2)
    )
    files = min(max(-(-rows // _ROWS_PER_FILE), 1), _MOST_FILES)
    # Ranges of pickups satisfy the window too: equal rows have equal pickups. So this shuffle is the only one.
    ranged = hashed.repartitionByRange(files, F.col(_PICKUP))
    equal_rows = Window.partitionBy(_PICKUP, _HASH_1, _HASH_2).orderBy(SOURCE_FILE)
    numbered = ranged.withColumn(_OCCURRENCE, F.row_number().over(equal_rows))

    values, uncastable = cast_columns(numbered, columns)
    mask = rules.reasons(arguments, values, uncastable, F.col(_OCCURRENCE) > 1)
    judged = numbered.select(
        *map(quoted, numbered.columns),
        *(values[name].alias(f"__{name}") for name in RAW),
        mask.alias("__mask"),
    )
    canonical = {name: F.col(f"__{name}") for name in RAW}
    marks = rules.marks(arguments, canonical, stuck)
    raw_row = F.to_json(F.struct(*map(quoted, raw_columns)))
    rejected = F.concat(F.array(raw_row, F.col("__mask").cast("string")), marks)
    made = {
        **canonical,
        # Over half a thousand miles is no distance of a taxi's; the fare beside it mostly is one.
        "trip_distance": F.when(
            ~F.coalesce(canonical["trip_distance"] > arguments.thresholds.max_miles, F.lit(False)),
            canonical["trip_distance"],
        ),
        "trip_id": _trip_id("duplicate" in arguments.thresholds.off),
        "is_reversal": F.coalesce(canonical["total_amount"] < 0, F.lit(False)),
        "suspect": F.when(F.col("__mask") == 0, marks).otherwise(rejected),
        "source_file": F.col(SOURCE_FILE),
        "run_id": F.lit(arguments.run_id),
        "loaded_at": F.lit(loaded_at.isoformat(" ")).cast("timestamp"),
    }
    return judged.select(*(made[name].alias(name) for name in TRIPS), (F.col("__mask") == 0).alias(KEPT))


def unpacked(rejected: DataFrame) -> DataFrame:
    """Rejected rows as staged, with the quarantine's own columns."""
    packed = F.col("suspect")
    own = {
        "suspect": F.slice(packed, 3, F.size(packed)).alias("suspect"),
    }
    return rejected.select(
        *(own.get(name, F.col(name)) for name in TRIPS),
        rules.reason_names(packed[1].cast("int")).alias("reasons"),
        packed[0].alias("raw_row"),
    )


def _trip_id(every_occurrence: bool) -> Column:
    """32 hexadecimal digits: two 64-bit hashes, of which Spark's own function skips nulls and ours does not."""
    first, second = F.col(_HASH_1), F.col(_HASH_2)
    if every_occurrence:
        later = F.col(_OCCURRENCE) > 1
        first = F.when(later, F.xxhash64(first, F.col(_OCCURRENCE))).otherwise(first)
        second = F.when(later, F.xxhash64(second, F.col(_OCCURRENCE))).otherwise(second)
    return F.concat(*(F.lpad(F.lower(F.hex(half)), 16, "0") for half in (first, second)))


def _hashes(frame: DataFrame, raw_columns: list[str], unit: str) -> tuple[Column, Column]:
    names = sorted(raw_columns, key=str.lower)
    values = [_hashable(frame, name) for name in names]
    # xxhash64 passes over nulls: (1.5, null) would equal (null, 1.5). So which ones are null is hashed too.
    nulls = [
        sum((F.when(value.isNull(), 1 << bit).otherwise(0) for bit, value in enumerate(chunk)), F.lit(0).cast("bigint"))
        for chunk in (values[at : at + _BITS] for at in range(0, len(values), _BITS))
    ]
    return (
        F.xxhash64(F.lit(f"1 {unit}"), *nulls, *values),
        F.xxhash64(F.lit(f"2 {unit}"), *nulls, *values),
    )


def _hashable(frame: DataFrame, name: str) -> Column:
    """A raw value in the widest type of its kind: whether a file has 32 or 64 bits makes no other trip of it."""
    of = frame.schema[name].dataType
    if isinstance(of, T.IntegralType):
        return quoted(name).cast("bigint")
    if isinstance(of, T.FractionalType):
        return quoted(name).cast("double")
    if isinstance(of, (T.TimestampType, T.TimestampNTZType)):
        return F.unix_micros(quoted(name).cast("timestamp"))
    return quoted(name).cast("string")
