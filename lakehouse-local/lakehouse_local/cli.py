"""The command ``lakehouse-local``: the local AWS in the foreground."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from lakehouse_local import __version__
from lakehouse_local.process import ACCOUNT, REGION

if TYPE_CHECKING:
    from lakehouse_local.http.server import LocalAws

root_option = click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".lakehouse/aws"),
    show_default=True,
    help="Directory of the state: buckets are directories of it.",
)
port_option = click.option(
    "--port", type=click.IntRange(0, 65535), default=5000, show_default=True, help="0 takes a free one."
)
enforce_iam_option = click.option(
    "--enforce-iam",
    is_flag=True,
    help="Judge every call by IAM policies. The credentials shown are the root user's, which are never refused.",
)


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="lakehouse-local")
@root_option
@port_option
@click.option("--region", default=REGION, show_default=True, help="The AWS region that it serves.")
@click.option("--account", default=ACCOUNT, show_default=True, help="The AWS account's id, twelve digits.")
@enforce_iam_option
@click.option("--empty", is_flag=True, help="Start without the database `default` and a bucket for query results.")
@click.pass_context
def lakehouse_local(context: click.Context, /, **options: Any) -> None:
    """AWS on one machine: Athena executes SQL, Glue jobs run Spark, crawlers infer schemas.

    Without a command it starts, as `start` does.
    """
    context.obj = options
    if context.invoked_subcommand is None:
        context.invoke(start)


@lakehouse_local.command()
@click.pass_context
def start(context: click.Context) -> None:
    """Serve in the foreground until Ctrl-C."""
    options = dict(context.obj)
    serve(options.pop("root"), account_id=options.pop("account"), **options)


def serve(root: Path, *, prepare: Callable[[LocalAws], str] = lambda local: "is ready", **arguments: Any) -> None:
    """Run a local AWS in the foreground until a signal ends it, and print the variables that lead to it.

    :param prepare: called once it serves; returns what the first line says of it, after "The local AWS"
    :param arguments: of :class:`lakehouse_local.LocalAws`
    :raises click.ClickException: it cannot start: the port or the root is in use, or cannot be read or written
    """
    from lakehouse_local.errors import LocalAwsError
    from lakehouse_local.http.server import LocalAws

    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        with LocalAws(root, **arguments) as local:
            click.echo(f"# The local AWS {prepare(local)}; its state is under {local.root}. Ctrl-C ends it.")
            for name, value in local.environment.items():
                click.echo(f"export {name}={value}")
            ended.wait()
            click.echo("# ending")
    except (LocalAwsError, FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    except PermissionError as error:
        raise click.ClickException(f"{error.filename} cannot be written: choose another --root") from error
