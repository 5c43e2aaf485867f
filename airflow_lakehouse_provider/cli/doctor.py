"""`lakehouse doctor`: what the pipeline needs of AWS and of this machine, checked before it needs it."""

from __future__ import annotations

from pathlib import Path

import click

from airflow_lakehouse_provider.cli.config_option import config_option, load_config

_STYLES = {"ok": "green", "wrong": "bold red", "not checked": "yellow"}


@click.command("doctor")
@click.option("--conn-id", help="Airflow's AWS connection. Default: this machine's own credentials.")
@click.option("--dbt-conn-id", help="The connection that dbt uses. Default: the same.")
@config_option
def command(conn_id: str | None, dbt_conn_id: str | None, config: Path | None) -> None:
    """Check imports, dbt, identity, permissions and settings; exit 1 when something is wrong.

    Nothing is changed. Permissions are tried by calls that do nothing; one query is run that reads nothing. Against a
    local AWS when AWS_ENDPOINT_URL is set (`lakehouse local` prints it).
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
            verdict = each.verdict.value
            table.add_row(f"[{_STYLES[verdict]}]{verdict}[/]", *map(_plain, (each.what, each.found, each.to_do)))
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
