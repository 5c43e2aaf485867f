"""Trips without a fault: times, zones, distances and fares. In whole numbers, the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from airflow_lakehouse_provider.month import Month

Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Weight of each hour of the day, on weekdays and at weekends: the night dips later on a weekend.
_WEEKDAY = (18, 10, 7, 5, 6, 10, 25, 45, 56, 54, 53, 56, 60, 62, 66, 66, 65, 74, 84, 80, 70, 62, 52, 36)
_WEEKEND = (60, 50, 42, 30, 18, 8, 10, 15, 24, 36, 46, 54, 60, 62, 63, 62, 62, 66, 72, 68, 62, 58, 60, 64)
_MONDAY_TO_SUNDAY = (88, 98, 104, 108, 108, 106, 90)
# The zones with most pickups, the busiest first; all others have one small weight.
_BUSY = {
    "yellow": (132, 161, 237, 236, 162, 138, 230, 186, 142, 170, 239, 163, 234, 48, 68, 141, 79, 164, 107, 249,
               140, 238, 263, 229, 90, 233, 113, 43, 231, 100, 262, 246, 137, 264),
    "green": (74, 75, 41, 42, 166, 95, 82, 97, 7, 43, 244, 181, 116, 65, 129, 66, 260, 152, 33, 49, 130, 25, 24, 226),
}  # fmt: skip
# The twenty-quantiles of the distances, in hundredths of a mile.
_DISTANCES = (20, 50, 68, 82, 96, 110, 125, 142, 160, 180, 204, 235, 275, 330, 410, 560, 800, 1010, 1340, 1780, 2600)
_AIRPORTS = (132, 138)
MONEY = (
    "fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount", "improvement_surcharge", "congestion_surcharge",
    "airport_fee", "cbd_congestion_fee",
)  # fmt: skip
_EPOCH = np.datetime64("1970-01-01T00:00:00", "s")


@dataclass
class Trips:
    """Columns by canonical name: times in epoch seconds, money in cents, distance in hundredths of a mile."""

    values: dict[str, Ints] = field(default_factory=dict)
    missing: dict[str, Flags] = field(default_factory=dict)
    not_a_number: dict[str, Flags] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        return len(self.values["pickup_at"])

    def copy_rows(self, sources: Ints, targets: Ints) -> None:
        """Make the target rows equal to the source rows."""
        for columns in (self.values, self.missing, self.not_a_number):
            for column in columns.values():
                column[targets] = column[sources]


def generator(seed: int) -> np.random.Generator:
    """Return a PCG64 generator, whose whole numbers are the same on every machine."""
    return np.random.Generator(np.random.PCG64(seed))


def month_bounds(month: Month) -> tuple[int, int]:
    """Return the first second of the month and of the next, as epoch seconds of the wall clock."""
    return tuple(
        int((np.datetime64(f"{each}-01T00:00:00", "s") - _EPOCH).astype(np.int64)) for each in (month, month.next())
    )  # type: ignore[return-value]


def _chosen(rng: np.random.Generator, weights: Ints, rows: int) -> Ints:
    """Return indices drawn with these weights."""
    upper = np.cumsum(weights)
    return np.searchsorted(upper, rng.integers(0, upper[-1], rows), side="right").astype(np.int64)


def _share(rng: np.random.Generator, rows: int, per_10_000: int) -> Flags:
    return rng.integers(0, 10_000, rows) < per_10_000


def _pickups(rng: np.random.Generator, month: Month, rows: int) -> tuple[Ints, Ints]:
    begin, end = month_bounds(month)
    hours = np.arange((end - begin) // 3600)
    weekday = (begin // 86400 + hours // 24 + 3) % 7  # 1970-01-01 was a Thursday
    by_hour = np.where(weekday < 5, np.array(_WEEKDAY)[hours % 24], np.array(_WEEKEND)[hours % 24])
    hour = np.sort(_chosen(rng, by_hour * np.array(_MONDAY_TO_SUNDAY)[weekday], rows))
    return begin + hour * 3600 + rng.integers(0, 3600, rows), hour % 24


def _zone_weights(service: str) -> Ints:
    weights = np.full(265, 4, dtype=np.int64)
    for place, zone in enumerate(_BUSY[service]):
        weights[zone - 1] = 400 - 9 * place
    return weights


def _without_passengers(service: str, month: Month) -> int:
    """Return the rows per 10,000 without a passenger count: flex fares, more of them every year."""
    if service == "green":
        return 4700 if month.year in (2020, 2021, 2022) else 600 if month.year > 2022 else 0
    return {2019: 40, 2020: 300, 2021: 400, 2022: 350, 2023: 330, 2024: 950, 2025: 2100}.get(
        month.year, 2600 if month.year > 2025 else 0
    )


def clean_trips(rng: np.random.Generator, service: str, month: Month, rows: int) -> Trips:
    """Return trips that no rule rejects or marks, in the order of their pickups."""
    pickup, hour = _pickups(rng, month, rows)
    zones = _zone_weights(service)
    origin, destination = _chosen(rng, zones, rows) + 1, _chosen(rng, zones, rows) + 1
    twentieth = rng.integers(0, 20, rows)
    low, high = np.array(_DISTANCES)[twentieth], np.array(_DISTANCES)[twentieth + 1]
    from_airport = np.isin(origin, _AIRPORTS)
    distance = low + rng.integers(0, 1000, rows) * (high - low) // 1000 + np.where(from_airport, 900, 0)
    distance[_share(rng, rows, 320)] = 0
    # 16 down to 7 miles an hour, in seconds for a hundredth of a mile
    duration = 60 + distance * rng.integers(225, 515, rows) // 100
    duration[_share(rng, rows, 125)] = 0
    flex = _share(rng, rows, _without_passengers(service, month))
    vendors = np.where(_share(rng, rows, 2400 if service == "yellow" else 1300), 1, 2)
    payment = np.array([1, 2, 3, 4])[_chosen(rng, np.array([790, 190, 6, 14]), rows)]
    payment[flex] = 0
    passengers = np.array([1, 2, 3, 4, 5, 6, 0])[_chosen(rng, np.array([740, 150, 36, 22, 12, 10, 30]), rows)]
    trip = {
        "vendor_id": vendors,
        "pickup_at": pickup,
        "dropoff_at": pickup + duration,
        "passenger_count": passengers,
        "trip_distance": distance,
        "rate_code_id": np.where(from_airport & (destination < 200), 2, 1),
        "store_and_fwd_flag": _share(rng, rows, 40).astype(np.int64),  # 1: Y
        "pickup_location_id": origin,
        "dropoff_location_id": destination,
        "payment_type_id": payment,
        "trip_type_id": np.where(_share(rng, rows, 300), 2, 1),
        **_money(rng, service, month, distance, duration, hour, payment, from_airport),
    }
    table = Trips(values={name: np.ascontiguousarray(values, dtype=np.int64) for name, values in trip.items()})
    nothing = np.zeros(rows, dtype=np.bool_)
    table.missing = {name: nothing.copy() for name in trip}
    for name in ("passenger_count", "rate_code_id", "store_and_fwd_flag", "congestion_surcharge", "airport_fee"):
        table.missing[name] |= flex
    table.not_a_number = {"tolls_amount": nothing.copy()}
    return table


def _money(
    rng: np.random.Generator,
    service: str,
    month: Month,
    distance: Ints,
    duration: Ints,
    hour: Ints,
    payment: Ints,
    from_airport: Flags,
) -> dict[str, Ints]:
    rows = len(distance)
    now = month >= Month(2023, 1)  # the fares were raised at the end of 2022
    initial, per_fifth, surcharge = (300, 70, 100) if now else (250, 50, 30)
    fare = initial + (distance // 20) * per_fifth + (duration // 180) * per_fifth
    rush = (hour >= 16) & (hour < 20)
    night = (hour >= 20) | (hour < 6)
    zeros = np.zeros(rows, dtype=np.int64)
    fees = {
        "fare_amount": fare,
        "extra": np.where(rush, 250 if now else 100, np.where(night, 100 if now else 50, 0)),
        "mta_tax": np.full(rows, 50),
        "tip_amount": np.where(payment == 1, fare * rng.integers(0, 31, rows) // 100, 0),
        "tolls_amount": np.where(_share(rng, rows, 700) & (distance > 600), 694 if now else 612, 0),
        "improvement_surcharge": np.full(rows, surcharge),
        "congestion_surcharge": np.full(rows, 250 if service == "yellow" else 275)
        if month >= Month(2019, 2)
        else zeros,
        "airport_fee": np.where(from_airport, 175 if now else 125, 0)
        if service == "yellow" and month >= Month(2021, 1)
        else zeros,
        "cbd_congestion_fee": np.where(_share(rng, rows, 7000), 75, 0) if month >= Month(2025, 1) else zeros,
    }
    return {**fees, "total_amount": np.sum([fees[name] for name in MONEY], axis=0)}
