"""`lakehouse history`: the publications of each month, what their gates said, and which one is public."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from airflow_lakehouse_provider.cli.config_option import config_option
from airflow_lakehouse_provider.cli.publications import Publications, any_month_option, refusals
from airflow_lakehouse_provider.month import Month
from airflow_lakehouse_provider.publishing.record import GATE, ROLLBACK, Publication, public_generation

_COLUMNS = ("month", "generation", "state", "published (UTC)", "rows", "gate", "by")


@click.command("history")
@any_month_option
@config_option
def command(month: Month | None, config: Path | None) -> None:
    """List the publications of a month, or of all months: rows, when, by which run, what the gate said.

    Generation 0 is what was there before the first publication. `lakehouse rollback` puts a generation back.
    """
    lake = Publications.load(config)
    with refusals():
        history = lake.publisher().history
        units = [str(month)] if month else history.units()
        records = {unit: history.everything(unit) for unit in units}
    if not any(records.values()):
        click.echo(f"{month or 'No month'} was {'never ' if month else ''}published in {lake.places.publications}.")
        return
    table = Table(*_COLUMNS)
    for unit in units:
        public = public_generation(records[unit])
        for each in records[unit]:
            table.add_row(*_row(each, public))
    Console().print(table)


def _row(each: Publication, public: int | None) -> tuple[str, ...]:
    gate = each.gate
    if each.gate_message:
        gate += f": {each.gate_message}"
    if each.accepted:
        gate += f" (accepted by {each.accepted_by or 'unknown'}: {each.reason})"
    elif each.reason:
        gate += f" {each.reason}"
    if each.kind == ROLLBACK:
        gate = f"back to {each.restores}"
    generation = "" if each.kind == GATE else str(each.generation)
    state = "public" if each.generation is not None and each.generation == public else each.state
    rows = f"{sum(each.rows.values()):,}" if each.rows else ""
    return each.unit, generation, state, each.recorded_at[:19], rows, gate, each.run
