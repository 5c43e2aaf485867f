"""The whole transformation: raw rows to rows as staged, in one shuffle.

Rejected and kept rows leave in one write, because a second pass over the month would cost twice as much. A rejected
row's staged `suspect` therefore starts with what only the quarantine has: its raw row and its reasons (`unpacked`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from trips import identity, rules
from trips.arguments import Arguments
from trips.casting import cast_columns, uncastable
from trips.columns import RAW, TIMES, TRIPS
from trips.reading import SOURCE_FILE, quoted

KEPT = "__kept"
_PICKUP, _HASH_1, _HASH_2, _OCCURRENCE = "__pickup", "__hash_1", "__hash_2", "__occurrence"
_ROWS_PER_FILE = 750_000
_MOST_FILES = 4
_MICROSECONDS = "yyyy-MM-dd HH:mm:ss.SSSSSS"
_JSON = {"ignoreNullFields": "false", "timestampNTZFormat": _MICROSECONDS, "timestampFormat": _MICROSECONDS}


def staged(
    frame: DataFrame, columns: Mapping[str, str], rows: int, arguments: Arguments, loaded_at: datetime
) -> DataFrame:
    """Every row with the cleaned zone's columns and whether it is kept, in 1 to 4 partitions, each sorted by pickup."""
    raw_columns = [name for name in frame.columns if name != SOURCE_FILE]
    values = cast_columns(frame, columns)
    stuck = rules.stuck_vendors(frame, columns, values, int(arguments.month))
    hash_1, hash_2 = _hashes(frame, columns, raw_columns, arguments)
    hashed = frame.select(
        *map(quoted, frame.columns), values["pickup_at"].alias(_PICKUP), hash_1.alias(_HASH_1), hash_2.alias(_HASH_2)
    )
    files = min(max(-(-rows // _ROWS_PER_FILE), 1), _MOST_FILES)
    # Equal rows have equal pickups: the window needs no shuffle of its own, and its sort is the files' order. By hash,
    # since ranges of pickups would first be sampled, which computes every row once more.
    shuffled = hashed.repartition(files, F.col(_PICKUP))
    equal_rows = Window.partitionBy(_PICKUP, _HASH_1, _HASH_2).orderBy(SOURCE_FILE)
    numbered = shuffled.withColumn(_OCCURRENCE, F.row_number().over(equal_rows))

    # Cast first and judged then: judged in one go, every value would be cast again for each rule about it.
    values = cast_columns(numbered, columns)
    canonical = {name: F.col(f"__{name}") for name in RAW}
    cast = numbered.select(*map(quoted, numbered.columns), *(values[name].alias(f"__{name}") for name in RAW))
    mask = rules.reasons(arguments, canonical, uncastable(cast, columns, canonical), F.col(_OCCURRENCE) > 1)
    judged = cast.withColumn("__mask", mask)
    marks = rules.marks(arguments, canonical, stuck)
    raw_row = F.to_json(F.struct(*map(quoted, raw_columns)), _JSON)
    rejected = F.concat(F.array(raw_row, F.col("__mask").cast("string")), marks)
    made = {
        **canonical,
        # Over half a thousand miles is no distance of a taxi's; the fare beside it mostly is one.
        "trip_distance": F.when(
            ~F.coalesce(canonical["trip_distance"] > arguments.thresholds.max_miles, F.lit(False)),
            canonical["trip_distance"],
        ),
        "trip_id": identity.trip_id(
            (F.col(_HASH_1), F.col(_HASH_2)),
            F.col(_OCCURRENCE) if "duplicate" in arguments.thresholds.off else None,
        ),
        "is_reversal": F.coalesce(canonical["total_amount"] < 0, F.lit(False)),
        "suspect": F.when(F.col("__mask") == 0, marks).otherwise(rejected),
        "source_file": F.col(SOURCE_FILE),
        "run_id": F.lit(arguments.run_id),
        "loaded_at": F.lit(loaded_at.isoformat(" ")).cast("timestamp"),
    }
    for name in TIMES:
        # Wall clock times: with Spark's other kind, readers would convert them to their own zone.
        made[name] = made[name].cast("timestamp_ntz")
    return judged.select(*(made[name].alias(name) for name in TRIPS), (F.col("__mask") == 0).alias(KEPT))


def unpacked(rejected: DataFrame) -> DataFrame:
    """Rejected rows as staged, with the quarantine's own columns."""
    packed = F.col("suspect")
    own = {
        "reasons": rules.reason_names(packed[1].cast("int")),
        "raw_row": packed[0],
        "suspect": F.slice(packed, 3, F.size(packed)),
    }
    return rejected.withColumns(own).select(*TRIPS, "reasons", "raw_row")


def _hashes(
    frame: DataFrame, columns: Mapping[str, str], raw_columns: list[str], arguments: Arguments
) -> tuple[Column, Column]:
    unknown = {name: identity.comparable(quoted(name), frame.schema[name].dataType) for name in raw_columns}
    known = {name: unknown.pop(raw_name) for name, raw_name in columns.items()}
    return identity.hashes(arguments.service, f"{arguments.year}-{arguments.month}", known, unknown)
