"""The results of the months: row counts that must add up, and figures of the marts."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import boto3
from rich.console import Console
from rich.table import Table

from airflow_lakehouse_provider.config import Lakehouse
from airflow_lakehouse_provider.month import Month

_BAR = 40  # characters of the longest bar
_ZONES = 5

_BUSIEST = """
select zones.zone, zones.borough, count(*) as trips
from {marts}.fct_trips as trips
join {marts}.dim_zone as zones on trips.pickup_location_id = zones.location_id
where {months} and not trips.is_reversal
group by zones.zone, zones.borough
order by trips desc, zones.zone
limit {limit}
"""
_BY_DAY = """
select cast(pickup_date as varchar), cast(sum(total_amount) as varchar)
from {marts}.fct_trips
where {months} and not is_reversal
group by pickup_date
order by pickup_date
"""
_ROWS = "select service, year, month, count(*) from {marts}.fct_trips group by service, year, month"


@dataclass(frozen=True)
class Load:
    """A service's month: rows in the raw file, what the Glue script reported, rows in fct_trips, and dbt's tests."""

    service: str
    month: Month
    raw: int | None
    kept: int
    quarantined: Mapping[str, int] = field(default_factory=dict)
    rows_quarantined: int = 0
    facts: int = 0
    tests_passed: int = 0
    tests: int = 0

    @property
    def differences(self) -> list[str]:
        """The counts that do not add up, each as a sentence."""
        found = []
        where = f"{self.service} {self.month}"
        if self.raw != self.kept + self.rows_quarantined:
            found.append(
                f"{where}: the raw file has {self.raw} rows, but {self.kept} were kept and "
                f"{self.rows_quarantined} quarantined"
            )
        if self.kept != self.facts:
            found.append(f"{where}: {self.kept} rows were kept, but fct_trips has {self.facts}")
        return found


class Marts:
    """The lakehouse's marts, queried through Athena."""

    def __init__(self, environment: Mapping[str, str], lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse
        self._athena: Any = boto3.Session(
            environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
        ).client("athena", endpoint_url=environment["AWS_ENDPOINT_URL"], region_name=lakehouse.region)

    def rows(self) -> dict[tuple[str, Month], int]:
        """Return the rows of fct_trips by service and month."""
        found = self._query(_ROWS)
        return {(service, Month.of(year, month)): int(rows) for service, year, month, rows in found}

    def busiest_zones(self, months: Sequence[Month]) -> list[list[str]]:
        """Return zone, borough and trips of the busiest pickup zones."""
        return self._query(_BUSIEST, months, limit=_ZONES)

    def revenue_by_day(self, months: Sequence[Month]) -> list[tuple[str, float]]:
        """Return each day and its revenue in dollars."""
        return [(day, float(amount)) for day, amount in self._query(_BY_DAY, months)]

    def _query(self, sql: str, months: Sequence[Month] = (), **values: Any) -> list[list[str]]:
        partitions = " or ".join(f"(year = {month.year} and month = {month.month})" for month in months)
        sql = sql.format(marts=self._lakehouse.databases.marts, months=f"({partitions})", **values)
        query = self._athena.start_query_execution(QueryString=sql, WorkGroup=self._lakehouse.athena.work_group)
        query_id = query["QueryExecutionId"]
        while True:
            status = self._athena.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]["Status"]
            if status["State"] == "SUCCEEDED":
                break
            if status["State"] in ("FAILED", "CANCELLED"):
                raise RuntimeError(f"Athena query {query_id}: {status.get('StateChangeReason')}")
            time.sleep(0.1)
        pages = self._athena.get_paginator("get_query_results").paginate(QueryExecutionId=query_id)
        rows = [row["Data"] for page in pages for row in page["ResultSet"]["Rows"]]
        return [[cell.get("VarCharValue", "") for cell in row] for row in rows[1:]]


def print_loads(console: Console, loads: Sequence[Load]) -> None:
    """Print a table of the months, and the reasons of quarantined rows."""
    table = Table(title="Results", title_justify="left")
    for name in ("service", "month"):
        table.add_column(name)
    for name in ("raw rows", "kept", "quarantined", "fct_trips", "dbt tests"):
        table.add_column(name, justify="right")
    for load in loads:
        table.add_row(
            load.service,
            str(load.month),
            *(f"{count:,}" for count in (load.raw or 0, load.kept, load.rows_quarantined, load.facts)),
            f"{load.tests_passed} of {load.tests} passed",
        )
    console.print(table)
    for load in loads:
        reasons = sorted(load.quarantined.items(), key=lambda item: (-item[1], item[0]))
        listed = ", ".join(f"{reason} {rows:,}" for reason, rows in reasons if rows) or "nothing"
        # A row may have several reasons.
        console.print(f"quarantined of {load.service} {load.month}: {listed}", highlight=False, soft_wrap=True)


def print_marts(console: Console, zones: Sequence[Sequence[str]], days: Sequence[tuple[str, float]]) -> None:
    """Print the busiest zones, and the revenue by day as bars."""
    table = Table(title="Busiest pickup zones", title_justify="left")
    table.add_column("zone")
    table.add_column("borough")
    table.add_column("trips", justify="right")
    for zone, borough, trips in zones:
        table.add_row(zone, borough, f"{int(trips):,}")
    console.print(table)
    console.print("Revenue by day")
    most = max((amount for _, amount in days), default=0) or 1
    for day, amount in days:
        bar = "█" * max(1 if amount > 0 else 0, round(amount / most * _BAR))
        console.print(f"{day} {bar:<{_BAR}} {amount:>12,.2f} $", highlight=False, soft_wrap=True)
