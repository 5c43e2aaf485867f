"""`lakehouse sweep`: remove audit schemas, temporary tables and files of old generations that nobody needs."""

from __future__ import annotations

from pathlib import Path

import click

from airflow_lakehouse_provider.cli.config_option import config_option
from airflow_lakehouse_provider.cli.publications import Publications, refusals
from airflow_lakehouse_provider.publishing.sweep import KEEP_GENERATIONS, KEEP_HOURS, Sweeper, SweepSettings


@click.command("sweep")
@click.option("--keep-generations", type=int, default=KEEP_GENERATIONS, show_default=True, help="Of each month.")
@click.option("--keep-hours", type=float, default=KEEP_HOURS, show_default=True, help="Everything younger stays.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@config_option
def command(keep_generations: int, keep_hours: float, dry_run: bool, config: Path | None) -> None:
    """Remove what nobody needs any more; what is public, and the generation before it, always stay."""
    lake = Publications.load(config)
    with refusals():
        settings = SweepSettings((lake.lakehouse.databases.marts,), keep_generations, keep_hours, dry_run)
        swept = Sweeper(lake.client("glue"), lake.client("s3"), lake.places, settings, log=click.echo).sweep()
    done = "Would remove" if dry_run else "Removed"
    click.echo(
        f"{done} {len(swept.databases)} audit schemas, {len(swept.tables)} temporary tables and {swept.files} files "
        f"({swept.bytes:,} bytes)."
    )
