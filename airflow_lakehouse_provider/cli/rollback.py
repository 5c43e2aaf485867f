"""`lakehouse rollback`: put a former generation of a month back."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from airflow_lakehouse_provider.cli.config_option import config_option
from airflow_lakehouse_provider.cli.publications import Publications, month_option, refusals
from airflow_lakehouse_provider.month import Month


@click.command("rollback")
@month_option
@click.option("--to", type=click.IntRange(min=0), help="The generation; default: the one before.")
@config_option
def command(month: Month, to: int | None, config: Path | None) -> None:
    """Put a former generation of a month back, all its tables together.

    The marts go back; the cleaned zone does not. The month's own DAG run publishes it again.
    """
    lake = Publications.load(config)
    with refusals():
        record = lake.publisher().rollback(str(month), to, run=getpass.getuser())
    tables = len({step.table for step in record.plan})
    number, back = record.generation, record.restores
    click.echo(f"{month} is back to generation {back}, as generation {number}: {tables} tables and views.")
