"""The places of query results, which the fence leaves open; a work group that has all tables there is refused."""

from __future__ import annotations

from typing import Any

from airflow_lakehouse_provider.dbt.gate.refused import GateRefused
from airflow_lakehouse_provider.dbt.gate.request import GateRequest


def results(athena: Any, gate: GateRequest, work_group: str | None) -> list[str]:
    """Return the prefixes under which Athena leaves dbt's query results.

    :raises GateRefused: the work group has Athena write all tables there, no place is known, or production's tables are
        under it
    """
    found = gate.staging
    if work_group:
        group = athena.get_work_group(WorkGroup=work_group)["WorkGroup"].get("Configuration") or {}
        location = (group.get("ResultConfiguration") or {}).get("OutputLocation")
        if location and group.get("EnforceWorkGroupConfiguration"):
            raise GateRefused(
                f"work group {work_group!r} enforces its location of results, {location}, and dbt-athena then leaves "
                "it to Athena where tables are written. Turn off EnforceWorkGroupConfiguration, or name another "
                "work_group"
            )
        found = found or location  # dbt-athena sends the staging directory with each query
    if not found:
        raise GateRefused("no place of query results is known: give s3_staging_dir, or a work_group that has one")
    place = found.rstrip("/")
    if f"{gate.data.rstrip('/')}/".startswith(f"{place}/"):
        raise GateRefused(
            f"query results lie at {found!r}, and production's tables under it, at {gate.data!r}: the fence would "
            "leave both open. Give s3_staging_dir a prefix of its own"
        )
    return [place]
