"""The TLC's file of a month: names, order and types of columns by date; Parquet or CSV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from airflow_lakehouse_provider.month import Month
from airflow_lakehouse_provider.sample_data.trips import MONEY, Trips

_TIME = pa.timestamp("us")
_INT32, _INT64, _DOUBLE = pa.int32(), pa.int64(), pa.float64()
_NARROWED = {"yellow": Month(2023, 2), "green": Month(2023, 12)}  # ids become int32, counts int64
_LOCATIONS = Month(2016, 7)
Schema = list[tuple[str, str | None, pa.DataType]]


def schema(service: str, month: Month) -> Schema:
    """Return the columns of the month's file: the name there, the canonical name (None: only nulls), the type."""
    return _yellow(month) if service == "yellow" else _green(month)


def _yellow(month: Month) -> Schema:
    new = month >= _NARROWED["yellow"]
    ids = _INT32 if new else _INT64
    counts = _DOUBLE if Month(2018, 7) <= month and not new else _INT64
    unknown = _INT32 if month.month % 2 else _DOUBLE  # a column of nulls flips from month to month
    columns: Schema = [
        ("VendorID", "vendor_id", ids),
        ("tpep_pickup_datetime", "pickup_at", _TIME),
        ("tpep_dropoff_datetime", "dropoff_at", _TIME),
        ("passenger_count", "passenger_count", counts),
        ("trip_distance", "trip_distance", _DOUBLE),
        ("RateCodeID" if month < Month(2015, 7) else "RatecodeID", "rate_code_id", counts),
        ("store_and_fwd_flag", "store_and_fwd_flag", pa.string()),
        *_places(month, ids),
        ("payment_type", "payment_type_id", _INT64),
        *((name, name, _DOUBLE) for name in MONEY[:6]),
        ("total_amount", "total_amount", _DOUBLE),
        ("congestion_surcharge", *(("congestion_surcharge", _DOUBLE) if month >= Month(2019, 1) else (None, unknown))),
        (
            "Airport_fee" if new else "airport_fee",
            *(("airport_fee", _DOUBLE) if month >= Month(2021, 1) else (None, unknown)),
        ),
    ]
    if month >= Month(2025, 1):
        columns.append(("cbd_congestion_fee", "cbd_congestion_fee", _DOUBLE))
    if month >= Month(2026, 6):
        columns.append(("request_source", None, pa.string()))
    return columns


def _green(month: Month) -> Schema:
    new = month >= _NARROWED["green"]
    # The file of 2025-11 was written by pandas, which stores whole numbers with gaps as doubles.
    ids, counts = (_INT32, _DOUBLE if month == Month(2025, 11) else _INT64) if new else (_INT64, _DOUBLE)
    columns: Schema = [
        ("VendorID", "vendor_id", ids),
        ("lpep_pickup_datetime", "pickup_at", _TIME),
        ("Lpep_dropoff_datetime" if month < _LOCATIONS else "lpep_dropoff_datetime", "dropoff_at", _TIME),
        ("store_and_fwd_flag", "store_and_fwd_flag", pa.string()),
        ("RateCodeID" if month < Month(2015, 7) else "RatecodeID", "rate_code_id", counts),
        *_places(month, ids),
        ("passenger_count", "passenger_count", counts),
        ("trip_distance", "trip_distance", _DOUBLE),
        *((name, name, _DOUBLE) for name in MONEY[:5]),
        ("ehail_fee", None, _DOUBLE if new else pa.null()),
        ("improvement_surcharge", "improvement_surcharge", _DOUBLE),
        ("total_amount", "total_amount", _DOUBLE),
        ("payment_type", "payment_type_id", counts),
        ("trip_type", "trip_type_id", counts),
        ("congestion_surcharge", *(("congestion_surcharge", _DOUBLE) if month >= Month(2019, 1) else (None, _DOUBLE))),
    ]
    if month >= Month(2025, 1):
        columns.append(("cbd_congestion_fee", "cbd_congestion_fee", _DOUBLE))
    return columns


def _places(month: Month, ids: pa.DataType) -> Schema:
    if month < _LOCATIONS:
        return []
    return [("PULocationID", "pickup_location_id", ids), ("DOLocationID", "dropoff_location_id", ids)]


def _column(table: Trips, name: str | None, data_type: pa.DataType) -> pa.Array:
    if name is None:
        return pa.nulls(table.rows, data_type)
    values, missing = table.values[name], table.missing[name]
    if name == "store_and_fwd_flag":
        flags = pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int8), mask=missing), ["N", "Y"])
        return flags.cast(pa.string())
    if pa.types.is_timestamp(data_type):
        return pa.array(values * 1_000_000, data_type, mask=missing)
    if pa.types.is_floating(data_type) and name not in (
        "passenger_count",
        "rate_code_id",
        "payment_type_id",
        "trip_type_id",
    ):
        numbers = values / 100.0
        if name in table.not_a_number:
            numbers[table.not_a_number[name]] = np.nan
        return pa.array(numbers, data_type, mask=missing)
    return pa.array(values, _INT64, mask=missing).cast(data_type)


def _table(trips: Trips, service: str, month: Month) -> pa.Table:
    columns = schema(service, month)
    arrays = [_column(trips, canonical, data_type) for _, canonical, data_type in columns]
    return pa.Table.from_arrays(arrays, schema=pa.schema([(name, data_type) for name, _, data_type in columns]))


def _write_parquet(trips: Trips, service: str, month: Month, path: Path) -> None:
    pq.write_table(_table(trips, service, month), path, compression="zstd", row_group_size=1 << 20)


def _write_csv(trips: Trips, service: str, month: Month, path: Path) -> None:
    table = _table(trips, service, month)
    for at, column in enumerate(table.schema):
        if pa.types.is_timestamp(column.type):
            # Whole seconds, as the TLC wrote them
            table = table.set_column(at, column.name, table.column(at).cast(pa.timestamp("s")))
        elif pa.types.is_null(column.type):
            table = table.set_column(at, column.name, table.column(at).cast(pa.string()))
    names = table.column_names
    if month.year == 2014:
        names = [names[0], *(f" {name}" for name in names[1:])]
    if Month(2016, 7) <= month <= Month(2016, 12):
        # Two fields more than the header has names
        for surplus in ("a", "b"):
            table = table.append_column(surplus, pa.nulls(table.num_rows, pa.string()))
    with path.open("wb") as out:
        out.write((",".join(names) + "\n").encode())
        pa_csv.write_csv(table, out, pa_csv.WriteOptions(include_header=False, quoting_style="none"))


WRITERS: dict[str, Callable[[Trips, str, Month, Path], None]] = {"parquet": _write_parquet, "csv": _write_csv}
