"""The whole transformation: raw rows to rows as staged, in one shuffle.

Rejected and kept rows leave in one write, because a second pass over the month would cost twice as much. A rejected
row's staged `suspect` therefore starts with what only the quarantine has: its reasons and its raw row (`unpacked`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F
from pyspark.sql import types as T

from trips import identity, rules
from trips.arguments import Arguments
from trips.casting import cast_columns, present, uncastable
from trips.columns import RAW, TIMES, TRIPS
from trips.reading import SOURCE_FILE, quoted

KEPT = "__kept"
_PICKUP, _HASH_1, _HASH_2, _OCCURRENCE = "__pickup", "__hash_1", "__hash_2", "__occurrence"
_UNCASTABLE, _MASK = "__uncastable", "__mask"
_NESTED = (T.ArrayType, T.MapType, T.StructType)
_ROWS_PER_FILE = 750_000
_MOST_FILES = 4
_MICROSECONDS = "yyyy-MM-dd HH:mm:ss.SSSSSS"
_JSON = {"ignoreNullFields": "false", "timestampNTZFormat": _MICROSECONDS, "timestampFormat": _MICROSECONDS}


def staged(
    frame: DataFrame, columns: Mapping[str, str], rows: int, arguments: Arguments, loaded_at: datetime
) -> DataFrame:
    """Return every row with the cleaned zone's columns and a flag for kept rows, in 1 to 4 partitions by pickup."""
    raw_columns = raw_schema(frame).names
    values = cast_columns(frame, columns)
    stuck = rules.stuck_vendors(frame, columns, values, arguments.month.month)
    hash_1, hash_2 = _hashes(frame, columns, raw_columns, arguments)
    files = min(max(-(-rows // _ROWS_PER_FILE), 1), _MOST_FILES)
    # Equal rows have equal pickups: the window needs no shuffle of its own, and its sort is the files' order. By hash,
    # since ranges of pickups would first be sampled, which computes every row once more.
    shuffled = frame.repartition(files, values["pickup_at"])
    hashed = shuffled.select(
        *map(quoted, frame.columns), values["pickup_at"].alias(_PICKUP), hash_1.alias(_HASH_1), hash_2.alias(_HASH_2)
    )
    equal_rows = Window.partitionBy(_PICKUP, _HASH_1, _HASH_2).orderBy(SOURCE_FILE)
    numbered = hashed.withColumn(_OCCURRENCE, F.row_number().over(equal_rows))

    # Step by step: in one step, every value would be cast again for each rule about it. And expressions used twice in a
    # step - casts, the mask - become methods of their own in Spark, short enough to be compiled.
    values = cast_columns(numbered, columns)
    canonical = {name: F.col(f"__{name}") for name in RAW}
    cast = numbered.select(
        *map(quoted, numbered.columns),
        *(values[name].alias(f"__{name}") for name in RAW),
        uncastable(numbered, columns, values).alias(_UNCASTABLE),
    )
    there = {name: present(cast, raw).isNotNull() for name, raw in columns.items()}
    mask = rules.reasons(arguments, canonical, there, uncastable=F.col(_UNCASTABLE), duplicate=F.col(_OCCURRENCE) > 1)
    judged = cast.select("*", mask.alias(_MASK), (mask == 0).alias(KEPT))
    marks = rules.marks(arguments, canonical, stuck)
    packed = (_packed(quoted(name), frame.schema[name].dataType) for name in raw_columns)
    rejected = F.concat(F.array(F.col(_MASK).cast("string"), *packed), marks)
    made = {
        **canonical,
        # Over five hundred miles is not the distance of a taxi trip, but the fare beside it mostly is valid.
        "trip_distance": F.when(
            ~F.coalesce(canonical["trip_distance"] > arguments.thresholds.max_miles, F.lit(False)),
            canonical["trip_distance"],
        ),
        "trip_id": identity.trip_id(
            (F.col(_HASH_1), F.col(_HASH_2)),
            F.col(_OCCURRENCE) if "duplicate" in arguments.thresholds.off else None,
        ),
        "is_reversal": F.coalesce(canonical["total_amount"] < 0, F.lit(False)),
        "suspect": F.when(F.col(KEPT), marks).otherwise(rejected),
        "source_file": F.col(SOURCE_FILE),
        "run_id": F.lit(arguments.run_id),
        "loaded_at": F.lit(loaded_at.isoformat(" ")).cast("timestamp"),
    }
    for name in TIMES:
        # Wall clock times: with Spark's other timestamp type, readers would convert them to their own zone.
        made[name] = made[name].cast("timestamp_ntz")
    return judged.select(*(made[name].alias(name) for name in TRIPS), KEPT)


def unpacked(rejected: DataFrame, raw: T.StructType) -> DataFrame:
    """Return staged rejected rows with the quarantine's own columns.

    :param raw: the raw columns
    """
    packed = F.col("suspect")
    mask, marks = packed[0].cast("int"), F.slice(packed, 2 + len(raw), F.size(packed))
    values = (_value(packed[at], field.dataType).alias(field.name) for at, field in enumerate(raw, start=1))
    own = {"reasons": rules.reason_names(mask), "raw_row": F.to_json(F.struct(*values), _JSON), "suspect": marks}
    return rejected.withColumns(own).select(*TRIPS, "reasons", "raw_row")


def raw_schema(frame: DataFrame) -> T.StructType:
    """Return the raw columns of the frame of `together`."""
    return T.StructType([field for field in frame.schema if field.name != SOURCE_FILE])


def _packed(value: Column, data_type: T.DataType) -> Column:
    """Return a raw value as text that `_value` reads. JSON would do for all, but Spark does not compile it."""
    if isinstance(data_type, _NESTED):
        return F.to_json(F.struct(value.alias("value")))
    return (F.unix_micros(value) if isinstance(data_type, T.TimestampType) else value).cast("string")


def _value(packed: Column, data_type: T.DataType) -> Column:
    if isinstance(data_type, _NESTED):
        return F.from_json(packed, T.StructType([T.StructField("value", data_type)]))["value"]
    return (
        F.timestamp_micros(packed.cast("bigint")) if isinstance(data_type, T.TimestampType) else packed.cast(data_type)
    )


def _hashes(
    frame: DataFrame, columns: Mapping[str, str], raw_columns: list[str], arguments: Arguments
) -> tuple[Column, Column]:
    unknown = {name: identity.comparable(quoted(name), frame.schema[name].dataType) for name in raw_columns}
    known = {name: unknown.pop(raw_name) for name, raw_name in columns.items()}
    return identity.hashes(arguments.service, arguments.month, known, unknown)
