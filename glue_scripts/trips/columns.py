"""The cleaned zone's columns, and the names and codes that the TLC's files have had for them."""

from __future__ import annotations

from collections.abc import Iterable

from trips.errors import LoadError

INT, DOUBLE, MONEY, TIME, TEXT = "int", "double", "decimal(10,2)", "timestamp", "string"

# canonical name -> type, and the names of raw files, compared without case and surrounding blanks
RAW: dict[str, tuple[str, tuple[str, ...]]] = {
    "vendor_id": (INT, ("vendorid", "vendor_id", "vendor_name")),
    "pickup_at": (
        TIME,
        ("tpep_pickup_datetime", "lpep_pickup_datetime", "pickup_datetime", "trip_pickup_datetime", "pickup_at"),
    ),
    "dropoff_at": (
        TIME,
        ("tpep_dropoff_datetime", "lpep_dropoff_datetime", "dropoff_datetime", "trip_dropoff_datetime", "dropoff_at"),
    ),
    "passenger_count": (INT, ("passenger_count",)),
    "trip_distance": (DOUBLE, ("trip_distance",)),
    "rate_code_id": (INT, ("ratecodeid", "rate_code_id", "rate_code")),
    "store_and_fwd_flag": (TEXT, ("store_and_fwd_flag", "store_and_forward")),
    "pickup_location_id": (INT, ("pulocationid", "pickup_location_id")),
    "dropoff_location_id": (INT, ("dolocationid", "dropoff_location_id")),
    "payment_type_id": (INT, ("payment_type", "payment_type_id")),
    "trip_type_id": (INT, ("trip_type", "trip_type_id")),
    "fare_amount": (MONEY, ("fare_amount", "fare_amt")),
    "extra": (MONEY, ("extra", "surcharge")),
    "mta_tax": (MONEY, ("mta_tax",)),
    "tip_amount": (MONEY, ("tip_amount", "tip_amt")),
    "tolls_amount": (MONEY, ("tolls_amount", "tolls_amt")),
    "improvement_surcharge": (MONEY, ("improvement_surcharge",)),
    "congestion_surcharge": (MONEY, ("congestion_surcharge",)),
    "airport_fee": (MONEY, ("airport_fee",)),
    "cbd_congestion_fee": (MONEY, ("cbd_congestion_fee",)),
    "ehail_fee": (MONEY, ("ehail_fee",)),
    "total_amount": (MONEY, ("total_amount", "total_amt")),
}
# Without these two, the month of a row is unknown.
NEEDED = ("pickup_at", "dropoff_at")
_CANONICAL = {alias: name for name, (_, aliases) in RAW.items() for alias in aliases}

# Text that files before 2011 have in place of codes, in upper case
CODES: dict[str, dict[str, int]] = {
    "vendor_id": {"CMT": 1, "VTS": 2, "DDS": 3},
    "payment_type_id": {
        **dict.fromkeys(("CRD", "CRE", "CREDIT"), 1),
        **dict.fromkeys(("CSH", "CAS", "CASH"), 2),
        **dict.fromkeys(("NOC", "NO", "NO CHARGE"), 3),
        **dict.fromkeys(("DIS", "DISPUTE"), 4),
        **dict.fromkeys(("UNK", "UNKNOWN"), 5),
    },
}

# Tables of the cleaned zone, in the order of their columns; the partition keys come from the folders.
TRIPS = (
    "trip_id", "vendor_id", "pickup_at", "dropoff_at", "passenger_count", "trip_distance", "rate_code_id",
    "store_and_fwd_flag", "pickup_location_id", "dropoff_location_id", "payment_type_id", "trip_type_id",
    "fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount", "improvement_surcharge", "congestion_surcharge",
    "airport_fee", "cbd_congestion_fee", "ehail_fee", "total_amount", "is_reversal", "suspect", "source_file",
    "run_id", "loaded_at",
)  # fmt: skip
TIMES = ("pickup_at", "dropoff_at", "loaded_at")


def canonical(raw_names: Iterable[str], where: str) -> tuple[dict[str, str], list[str]]:
    """Return the raw column of each canonical name, and the raw columns that `RAW` does not name.

    :raises LoadError: when a needed column is missing, or two raw columns are the same one
    """
    found: dict[str, str] = {}
    unknown = []
    for raw in raw_names:
        name = _CANONICAL.get(raw.strip().lower())
        if name is None:
            unknown.append(raw)
        elif name in found:
            raise LoadError(f"{where} has two columns for {name}: {found[name]!r} and {raw!r}; remove one of them")
        else:
            found[name] = raw
    for name in NEEDED:
        if name not in found:
            allowed = ", ".join(RAW[name][1])
            has = ", ".join([*found.values(), *unknown])
            raise LoadError(f"{where} has no column for {name} (one of {allowed}); it has {has}: is it a trip file?")
    return found, unknown
