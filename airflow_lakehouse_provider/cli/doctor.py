"""`lakehouse doctor`: checks of this machine, of AWS permissions and of settings, before a DAG runs."""

from __future__ import annotations

from pathlib import Path

import click

from airflow_lakehouse_provider.cli.config_option import config_option, load_config

_STYLES = {"ok": "green", "wrong": "bold red", "not checked": "yellow"}


@click.command("doctor")
@click.option("--conn-id", help="The Airflow connection of the tasks. Default: this machine's own credentials.")
@click.option("--dbt-conn-id", help="The Airflow connection of dbt. Default: the same.")
@config_option
def command(conn_id: str | None, dbt_conn_id: str | None, config: Path | None) -> None:
    """Check imports, dbt, identity, permissions and settings; exit with 1 when something is wrong.

    Nothing is changed: permissions are checked by calls without effect and by one query that reads nothing. With
    AWS_ENDPOINT_URL set (`lakehouse local` prints it), a local AWS is checked.
    """
    import logging

    from rich.console import Console
    from rich.table import Table

    from airflow_lakehouse_provider.doctor import run

    # Airflow, once imported, shows botocore's notes on where it found its credentials.
    logging.getLogger("botocore").setLevel(logging.WARNING)
    path, lakehouse = load_config(config)
    findings = run.run(lakehouse, airflow_connection=conn_id, dbt_connection=dbt_conn_id)
    console = Console()
    if console.is_terminal:
        table = Table("", "what", "found", "what to do", title=str(path))
        for each in findings:
            status = each.status.value
            table.add_row(f"[{_STYLES[status]}]{status}[/]", *map(_plain, (each.what, each.found, each.to_do)))
        console.print(table)
    else:
        for line in run.lines(findings):
            click.echo(line)
    wrong = run.wrong(findings)
    click.echo(f"{len(findings)} checked, {len(wrong)} wrong")
    if wrong:
        raise SystemExit(1)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
