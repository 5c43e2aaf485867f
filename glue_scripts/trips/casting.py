"""The casts of raw values to canonical ones. A value that would be changed is uncastable, never silently changed."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T

from trips.columns import CODES, DOUBLE, INT, MONEY, RAW, TEXT, TIME
from trips.reading import quoted

_LEAST, _MOST = -(2**31), 2**31 - 1
_MONEY_END = 1e8  # decimal(10,2) ends before it
# Spark's cast of text to a timestamp takes "2024" and "12:00" too: a pickup needs a date and a time.
_DATE_TIME = r"^\d{4}-\d{1,2}-\d{1,2}[ T]\d{1,2}:\d{1,2}(:\d{1,2}(\.\d{1,9})?)?$"
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"


def present(frame: DataFrame, raw: str) -> Column:
    """Return a raw value, with blank text as missing."""
    value = quoted(raw)
    if isinstance(frame.schema[raw].dataType, T.StringType):
        trimmed = F.trim(value)
        return F.when(trimmed != "", trimmed)
    return value


def cast_columns(frame: DataFrame, columns: Mapping[str, str]) -> dict[str, Column]:
    """Return every canonical column of a frame of raw ones; NULL where a value is missing or cannot be cast."""
    return {
        name: _CASTS[data_type](present(frame, columns[name]), frame.schema[columns[name]].dataType, name)
        if name in columns
        else F.lit(None).cast(data_type)
        for name, (data_type, _) in RAW.items()
    }


def uncastable(frame: DataFrame, columns: Mapping[str, str], cast: Mapping[str, Column]) -> Column:
    """Return true for rows with a value that could not be cast. Text always can be."""
    each = [
        present(frame, raw).isNotNull() & cast[name].isNull() for name, raw in columns.items() if RAW[name][0] != TEXT
    ]
    return reduce(operator.or_, each, F.lit(False))


def _whole(value: Column, data_type: T.DataType, name: str) -> Column:
    if isinstance(data_type, (T.ByteType, T.ShortType, T.IntegerType)):
        return value.cast(INT)
    if isinstance(data_type, T.StringType):
        coded = F.lit(None).cast(INT)
        for text, code in CODES.get(name, {}).items():
            coded = F.when(F.upper(value) == text, F.lit(code)).otherwise(coded)
        number = F.when(value.rlike(_NUMBER), value.cast("double"))
        return F.coalesce(coded, _whole_double(number))
    if isinstance(data_type, (T.DoubleType, T.FloatType, T.DecimalType)):
        return _whole_double(value.cast("double"))
    if isinstance(data_type, T.LongType):
        number = value.cast(INT)  # which wraps
        return F.when(number == value, number)
    return F.lit(None).cast(INT)


def _whole_double(number: Column) -> Column:
    # NaN is larger than any number in Spark, and so not between.
    return F.when(number.between(_LEAST, _MOST) & (number == F.floor(number)), number.cast(INT))


def _double(value: Column, data_type: T.DataType, name: str) -> Column:
    if isinstance(data_type, T.StringType):
        value = F.when(value.rlike(_NUMBER), value)
    elif not isinstance(data_type, T.NumericType):
        return F.lit(None).cast(DOUBLE)
    number = value.cast(DOUBLE)
    return F.when(F.abs(number) < float("inf"), number)  # NaN is larger than any number in Spark


def _money(value: Column, data_type: T.DataType, name: str) -> Column:
    # Spark goes from a double to a decimal by the double's text, half up: 1.005 becomes 1.01.
    if isinstance(data_type, T.StringType):
        return F.when(value.rlike(_NUMBER), value.cast(MONEY))
    if not isinstance(data_type, T.NumericType):
        return F.lit(None).cast(MONEY)
    if isinstance(data_type, T.FloatType):  # as a double, a float of 1.005 has other decimals
        return value.cast("string").cast(MONEY)
    if isinstance(data_type, T.DoubleType):
        # Nearly all are whole cents. As an interval those become decimals by arithmetic alone, in a fifth of the time
        # that Spark's way by the text takes; NaN is larger than any number.
        cents = F.rint(value * 100)
        seconds = F.expr("INTERVAL '0.01' SECOND") * cents.cast("bigint")
        is_whole = (F.abs(value) < _MONEY_END) & (cents / 100 == value)
        return F.when(is_whole, seconds.cast(MONEY)).otherwise(value.cast(MONEY))
    return value.cast(MONEY)


def _time(value: Column, data_type: T.DataType, name: str) -> Column:
    if isinstance(data_type, T.StringType):
        return F.when(value.rlike(_DATE_TIME), value.cast(TIME))
    if isinstance(data_type, (T.TimestampType, T.TimestampNTZType)):
        return value.cast(TIME)
    if isinstance(data_type, T.LongType):  # nanoseconds: Spark has no type for them
        return F.timestamp_micros(F.call_function("div", value, F.lit(1000)))
    return F.lit(None).cast(TIME)


def _text(value: Column, data_type: T.DataType, name: str) -> Column:
    return value.cast(TEXT)


_CASTS: dict[str, Callable[[Column, T.DataType, str], Column]] = {
    INT: _whole,
    DOUBLE: _double,
    MONEY: _money,
    TIME: _time,
    TEXT: _text,
}
