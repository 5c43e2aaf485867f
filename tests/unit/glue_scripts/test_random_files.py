"""Files of random schemas and dirt: types, order, case, missing and unknown columns, judged again in plain Python."""

from __future__ import annotations

import collections
import datetime
import decimal
import math
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("pyspark", reason="needs the extra 'local'")

import pyarrow as pa
import pyarrow.parquet as pq

pytestmark = pytest.mark.spark

MONTH = datetime.datetime(2024, 1, 1), datetime.datetime(2024, 2, 1)
DECIMAL = pa.decimal128(14, 3)
FLOATS = [0.0, -0.0, 1.0, 2.5, 1.005, -7.125, 264.0, 1e10, 3e-7, math.nan, -math.inf, None]
WORDS = ["", " ", "1", " 2.0 ", "1.5", "-3", "1.005", "1e2", "NaN", "one", "1,5", "3e10", None]
NUMBERS = {
    pa.int32(): st.sampled_from([0, 1, 2, 265, 266, -1, 10_001, None]),
    pa.int64(): st.sampled_from([0, 1, 3, 12, 266, 2**31, -(2**40), None]),
    pa.float64(): st.sampled_from(FLOATS),
    pa.string(): st.sampled_from(WORDS),
    DECIMAL: st.sampled_from([Decimal(text) for text in ("1", "2.5", "1.005", "-20000", "99999999999")] + [None]),
}
TIMES = [
    *(datetime.datetime(2024, 1, day, hour, 30) for day, hour in ((1, 0), (1, 13), (2, 1), (30, 23))),
    *(
        datetime.datetime(2024, 1, 31, 23, 59, 59, 999_000),
        datetime.datetime(2024, 2, 1),
        datetime.datetime(2003, 5, 6),
    ),
]
MOMENTS = {
    **{pa.timestamp(unit): st.sampled_from([*TIMES, None]) for unit in ("ms", "us", "ns")},
    pa.string(): st.sampled_from([*(str(time) for time in TIMES), "", "2024-13-01 00:00:00", "yesterday", None]),
}
TEXTS = {pa.string(): st.sampled_from(["Y", "N", " ", "", None])}
# canonical name -> names in files, and the values by their type
COLUMNS = {
    "vendor_id": (["VendorID", "vendor_id", "VENDORID "], NUMBERS),
    "pickup_at": (["tpep_pickup_datetime", " pickup_datetime", "Lpep_Pickup_Datetime"], MOMENTS),
    "dropoff_at": (["tpep_dropoff_datetime", "Lpep_dropoff_datetime"], MOMENTS),
    "trip_distance": (["trip_distance", "Trip_Distance"], NUMBERS),
    "store_and_fwd_flag": (["store_and_fwd_flag"], TEXTS),
    "pickup_location_id": (["PULocationID", "pulocationid"], NUMBERS),
    "total_amount": (["total_amount", "Total_Amt"], NUMBERS),
    "airport_fee": (["Airport_fee", "airport_fee"], NUMBERS),
}
UNKNOWN = {"request_source": TEXTS, "Some Thing.new`": NUMBERS}


@st.composite
def tables(draw):
    names, arrays = {}, {}
    rows = draw(st.integers(1, 12))
    types = {**{name: strategies for name, (_, strategies) in COLUMNS.items()}, **UNKNOWN}
    for name, strategies in types.items():
        if name not in ("pickup_at", "dropoff_at") and draw(st.integers(0, 5)) == 0:
            continue
        type_ = draw(st.sampled_from(list(strategies)))
        names[name] = draw(st.sampled_from(COLUMNS[name][0])) if name in COLUMNS else name
        arrays[name] = pa.array(draw(st.lists(strategies[type_], min_size=rows, max_size=rows)), type_)
    order = draw(st.permutations(list(arrays)))
    table = pa.table({names[name]: arrays[name] for name in order})
    again = draw(st.lists(st.integers(0, rows - 1), max_size=3))
    return pa.concat_tables([table, table.take(pa.array(again, pa.int64()))]), {name: names[name] for name in order}


def number(value):
    """Return a value as an exact number, or None where it is not a number."""
    if isinstance(value, str):
        try:
            value = Decimal(value.strip())
        except decimal.InvalidOperation:
            return None
    else:
        value = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return value if value.is_finite() else None


def cast(name, value):
    """Return a value as the canonical column has it, or None where it cannot be cast."""
    if name.endswith("_at"):
        if isinstance(value, str):
            try:
                return datetime.datetime.fromisoformat(value)
            except ValueError:
                return None
        return value
    if name == "store_and_fwd_flag":
        return value.strip()
    found = number(value)
    if found is None:
        return None
    if name.endswith("_id"):
        return int(found) if found == int(found) and -(2**31) <= found < 2**31 else None
    if name == "trip_distance":
        return float(found)
    cents = found.quantize(Decimal("0.01"), decimal.ROUND_HALF_UP)
    return cents if abs(cents) < 10**8 else None


def judged(table, names):
    """Yield every row's canonical values and reasons, by other means than the script's."""
    seen: set = set()
    for raw in table.to_pylist():
        key = tuple("NaN" if value != value else value for value in raw.values())
        given_ = {name: raw[column] for name, column in names.items() if name in COLUMNS}
        present = {n: v for n, v in given_.items() if v is not None and not (isinstance(v, str) and not v.strip())}
        row = {name: cast(name, present[name]) if name in present else None for name in COLUMNS}
        bad = {name for name in present if row[name] is None}
        pickup, dropoff, distance, total = (
            row[n] for n in ("pickup_at", "dropoff_at", "trip_distance", "total_amount")
        )
        both = pickup is not None and dropoff is not None
        rules = {
            "pickup_missing": pickup is None and "pickup_at" not in bad,
            "dropoff_missing": dropoff is None and "dropoff_at" not in bad,
            "pickup_outside_month": pickup is not None and not MONTH[0] <= pickup < MONTH[1],
            "dropoff_before_pickup": both and dropoff < pickup,
            "trip_too_long": both and dropoff - pickup > datetime.timedelta(hours=24),
            "distance_missing": distance is None and "trip_distance" not in bad,
            "distance_negative": distance is not None and distance < 0,
            "location_unknown": row["pickup_location_id"] is not None and not 1 <= row["pickup_location_id"] <= 265,
            "total_missing": total is None and "total_amount" not in bad,
            "total_implausible": total is not None and abs(total) > 10_000,
            "uncastable": bool(bad),
            "duplicate": key in seen,
        }
        seen.add(key)
        if distance is not None and distance > 500:
            row["trip_distance"] = None
        yield row, tuple(reason for reason, so in rules.items() if so)


def comparable(row):
    return tuple((name, 0.0 if row[name] == 0 else row[name]) for name in COLUMNS)


# A tenth of the profile's examples, as a load takes seconds; the same ones each time.
EXAMPLES = settings.default.max_examples // 10


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(tables())
def test_a_random_file(lake, case):
    table, names = case
    pq.write_table(table, lake.raw())
    report = lake.load()
    expected = list(judged(table, names))
    kept = collections.Counter(comparable(row) for row, reasons in expected if not reasons)
    rejected = collections.Counter((comparable(row), reasons) for row, reasons in expected if reasons)
    trips, quarantine = lake.current("trips"), lake.current("quarantine_trips")
    assert collections.Counter((comparable(row), tuple(row["reasons"])) for row in quarantine) == rejected
    assert collections.Counter(map(comparable, trips)) == kept
    assert len({row["trip_id"] for row in trips}) == len(trips) == report["rows_kept"]
    assert set(report["unknown_columns"]) == set(UNKNOWN) & set(names)
