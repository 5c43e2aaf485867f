"""`lakehouse demo`: months end to end in a real Airflow on the local AWS."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click
from rich.console import Console

from airflow_lakehouse_provider.cli.config_option import config_option, load_config
from airflow_lakehouse_provider.cli.upload_raw import MonthType
from airflow_lakehouse_provider.month import Month

_DEFAULT_MONTHS = (Month(2024, 1), Month(2024, 2))


@click.command("demo")
@click.option(
    "--month",
    "months",
    type=MonthType(),
    multiple=True,
    default=_DEFAULT_MONTHS,
    show_default="2024-01 and 2024-02",
    help="A month to run; may be given several times.",
)
@click.option(
    "--rows", type=click.IntRange(1, 20_000_000), default=20_000, show_default=True, help="Rows per raw file."
)
@click.option("--keep", is_flag=True, help="Leave the local AWS and Airflow's web UI running until Ctrl-C.")
@click.option(
    "--break",
    "breaks",
    type=click.Choice(("gate", "raw")),
    help="Show a failure: a dbt test that fails (gate), or a corrupt raw file (raw).",
)
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".lakehouse/demo"),
    show_default=True,
    help="The directory of the demo's state; an earlier demo's state is removed first.",
)
@click.option(
    "--database",
    envvar="LAKEHOUSE_DEMO_DATABASE",
    help="An empty PostgreSQL for Airflow, in place of sqlite: postgresql://user@host/name. With a password in it, "
    "give it as the variable LAKEHOUSE_DEMO_DATABASE: every user of a machine can read its command lines.",
)
@config_option
def command(
    months: tuple[Month, ...],
    rows: int,
    keep: bool,
    breaks: str | None,
    root: Path,
    database: str | None,
    config: Path | None,
) -> None:
    """Run months end to end: raw file, Glue job, crawler, dbt on Athena, tests, in a real Airflow on this machine.

    Exits with 0 only when every task succeeded and the row counts reconcile.
    """
    from airflow_lakehouse_provider.demo.errors import DemoError
    from airflow_lakehouse_provider.demo.run import Demo, run
    from lakehouse_local.errors import LocalAwsError

    path, _ = load_config(config)
    console = Console()
    demo = Demo(
        months=sorted(set(months)), rows=rows, root=root, config=path, breaks=breaks, keep=keep, database=database
    )
    try:
        with _interruptible():
            succeeded = run(demo, console)
    except (DemoError, LocalAwsError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        console.print("interrupted; all processes of the demo have ended")
        sys.exit(130)
    sys.exit(0 if succeeded else 1)


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on SIGTERM and SIGHUP too; later signals do not disturb the cleaning up."""
    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(number: int, frame: FrameType | None) -> None:
        for each in signals:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    former = {each: signal.signal(each, interrupt) for each in signals}
    try:
        yield
    finally:
        for each, handler in former.items():
            signal.signal(each, handler)
