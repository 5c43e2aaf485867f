"""All checks in their order, and the table of their findings."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from airflow_lakehouse_provider.config import Lakehouse
from airflow_lakehouse_provider.doctor import checks, machine
from airflow_lakehouse_provider.doctor.report import CheckStatus, Finding

_COLUMNS = ("", "what", "found", "what to do")


def run(lakehouse: Lakehouse, *, airflow_connection: str | None, dbt_connection: str | None) -> list[Finding]:
    """Check everything; nothing is changed, and one query that reads nothing is run.

    :param airflow_connection: the Airflow connection of the operators and the sensor; None for boto3's own credentials
    :param dbt_connection: the Airflow connection of dbt; None for the same credentials
    """
    findings = [*machine.imports(), *machine.dbt(lakehouse)]
    airflow, found = _subject(lakehouse, airflow_connection)
    findings += found
    dbt = airflow
    if dbt_connection is not None and dbt_connection != airflow_connection:
        dbt, found = _subject(lakehouse, dbt_connection)
        findings += found
    parts: list[Iterable[Finding]] = []
    if airflow is not None:
        parts += [checks.permissions_of_airflow(airflow), checks.jobs(airflow), checks.crawler(airflow)]
    if dbt is not None:
        parts += [checks.work_group(dbt), checks.permissions_of_dbt(dbt), checks.lake_formation(dbt)]
    return findings + list(chain.from_iterable(parts))


def lines(findings: Iterable[Finding]) -> list[str]:
    """Return the table as plain lines, for a log."""
    rows = [_COLUMNS, *((each.status.value, each.what, each.found, each.to_do) for each in findings)]
    widths = [min(60, max(len(row[column]) for row in rows)) for column in range(3)]
    return ["  ".join([*(row[at].ljust(widths[at]) for at in range(3)), row[3]]).rstrip() for row in rows]


def wrong(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings that need an action."""
    return [each for each in findings if each.status is CheckStatus.WRONG]


def _subject(lakehouse: Lakehouse, connection: str | None) -> tuple[checks.Subject | None, list[Finding]]:
    try:
        client = _clients(lakehouse, connection)
        who, findings = checks.identity(lakehouse, client, connection or "this machine's credentials")
    except Exception as error:  # each secrets backend of Airflow has errors of its own
        what = f"connection {connection}" if connection else "this machine's credentials"
        to_do = "define it in Airflow (docs/deploy.md), or name another"
        return None, [Finding.wrong(what, f"{type(error).__name__}: {error}", to_do)]
    if wrong(findings) and not who.startswith("arn:"):
        return None, findings
    return checks.Subject(lakehouse, client, who), findings


def _clients(lakehouse: Lakehouse, connection: str | None) -> Callable[[str], Any]:
    made: dict[str, Any] = {}

    def client(service: str) -> Any:
        if service not in made:
            if connection is None:
                import boto3

                made[service] = boto3.client(service, region_name=lakehouse.region)  # type: ignore[call-overload]
            else:
                from airflow_lakehouse_provider._airflow.connection import AwsConnection

                made[service] = AwsConnection(connection, lakehouse.region).client(service)
        return made[service]

    return client
