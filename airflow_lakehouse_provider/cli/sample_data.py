"""`lakehouse sample-data`: generate a month of trip records."""

from __future__ import annotations

import json
from pathlib import Path

import click

from airflow_lakehouse_provider import sample_data
from airflow_lakehouse_provider.cli.upload_raw import MonthType
from airflow_lakehouse_provider.config import SERVICES
from airflow_lakehouse_provider.month import Month


@click.command("sample-data")
@click.option("--service", type=click.Choice(SERVICES), required=True, help="The service whose trips to generate.")
@click.option(
    "--month",
    type=MonthType(),
    required=True,
    help="Such as 2024-01: the schema is that month's.",
)
@click.option("--rows", type=click.IntRange(1, sample_data.MOST_ROWS), required=True, help="Rows of the file.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The folder to write to.")
@click.option("--seed", type=click.IntRange(0), help="Default: a seed derived from service and month.")
@click.option("--format", "file_format", type=click.Choice(sample_data.FORMATS), default="parquet", show_default=True)
def command(service: str, month: Month, rows: int, out: Path, seed: int | None, file_format: str) -> None:
    """Generate a month of trip records like the TLC's, faulty rows included, and a file with the expected counts."""
    try:
        path = sample_data.write(service, month, rows, out, seed=seed, file_format=file_format)
    except ValueError as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{out} cannot be written: {error.strerror}: choose another --out") from error
    truth = json.loads(path.with_suffix(".truth.json").read_text(encoding="utf-8"))
    click.echo(
        f"{path}: {rows:,} rows, of which a correct load keeps {truth['kept']:,} and quarantines "
        f"{truth['quarantined']:,}"
    )
