"""`lakehouse publish`: publish a month in spite of tests that failed, which a person has looked at."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from airflow_lakehouse_provider.cli.config_option import config_option
from airflow_lakehouse_provider.cli.publications import Publications, month_option, refusals
from airflow_lakehouse_provider.month import Month
from airflow_lakehouse_provider.publishing.publish import Acceptance


@click.command("publish")
@month_option
@click.option("--accept", multiple=True, metavar="TEST", help="A test that may fail this once; repeatable.")
@click.option("--reason", default="", help="Why; it goes into the record.")
@config_option
def command(month: Month, accept: tuple[str, ...], reason: str, config: Path | None) -> None:
    """Publish the last build of a month whose gate failed, or that was not published yet.

    Each test that failed must be accepted by name, with a reason; `lakehouse history` shows who accepted what and why.
    """
    lake = Publications.load(config)
    with refusals():
        publisher = lake.publisher()
        acceptance = Acceptance(accept, reason, getpass.getuser())
        uri = publisher.attempts.last(str(month))
        if uri is None:
            raise click.ClickException(
                f"there is no build of {month} that waits for its publication (they are swept after a day): "
                "run the month's DAG run again"
            )
        record = publisher.publish(uri, acceptance=acceptance, run=getpass.getuser())
    click.echo(f"{month} is public as generation {record.generation}, its gate {record.gate}.")
