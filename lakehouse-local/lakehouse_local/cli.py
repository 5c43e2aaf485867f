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
from lakehouse_local.errors import LocalAwsError, OptionError
from lakehouse_local.options import check_account, check_port, check_region
from lakehouse_local.process import ACCOUNT, REGION

if TYPE_CHECKING:
    from lakehouse_local.http.server import LocalAws

_HELP = {"help_option_names": ["-h", "--help"]}


def _checked(check: Callable[[str, str], Any]) -> Callable[[click.Context, click.Parameter, str], Any]:
    def callback(context: click.Context, parameter: click.Parameter, value: str) -> Any:
        try:
            return check(parameter.opts[0], value)
        except OptionError as error:
            raise click.UsageError(str(error), context) from None

    return callback


root_option = click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".lakehouse/aws"),
    show_default=True,
    help="Directory of the state. Buckets are directories in it, objects plain files.",
)
port_option = click.option(
    "--port",
    metavar="INTEGER",
    default="5000",
    show_default=True,
    callback=_checked(check_port),
    help="TCP port on 127.0.0.1; 0 takes a free one.",
)
enforce_iam_option = click.option(
    "--enforce-iam",
    is_flag=True,
    help="Judge every call by IAM policies. The credentials that it prints are the root user's, always allowed.",
)


class DefaultGroup(click.Group):
    """A group that runs the command ``start`` if the arguments name none."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help", "--version")):
            args = ["start", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        with formatter.section("Options of start"):
            records = [parameter.get_help_record(ctx) for parameter in self.commands["start"].params]
            formatter.write_dl([record for record in records if record is not None])


@click.group(cls=DefaultGroup, context_settings=_HELP, subcommand_metavar="[start] [OPTIONS]", options_metavar="")
@click.version_option(__version__, prog_name="lakehouse-local")
def lakehouse_local() -> None:
    """AWS on one machine: Athena executes SQL, Glue jobs run Spark, crawlers infer schemas, S3 is plain files.

    Without a command it starts.
    """


@lakehouse_local.command(context_settings=_HELP)
@root_option
@port_option
@click.option(
    "--region", default=REGION, show_default=True, callback=_checked(check_region), help="AWS region that it serves."
)
@click.option(
    "--account",
    "account_id",
    metavar="ID",
    default=ACCOUNT,
    show_default=True,
    callback=_checked(check_account),
    help="AWS account id, twelve digits.",
)
@enforce_iam_option
@click.option("--empty", is_flag=True, help="Start without the database `default` and a bucket for query results.")
def start(root: Path, **options: Any) -> None:
    """Serve in the foreground until Ctrl-C.

    It starts as an account that has used Athena: with the database `default`, and a bucket where the work group
    `primary` writes its results.
    """
    serve(root, **options)


def serve(root: Path, *, prepare: Callable[[LocalAws], str] = lambda local: "is ready", **arguments: Any) -> None:
    """Run a local AWS in the foreground until a signal stops it, and print the variables that lead AWS tools to it.

    :param prepare: function called once it serves; returns the rest of the sentence "The local AWS ..."
    :param arguments: arguments of :class:`lakehouse_local.LocalAws`
    :raises click.ClickException: it cannot start: the port or the root is in use, or cannot be read or written
    """
    from lakehouse_local.http.server import LocalAws

    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        stopped.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        with LocalAws(root, **arguments) as local:
            click.echo(f"# The local AWS {prepare(local)}; its state is under {local.root}. Ctrl-C stops it.")
            for name, value in local.environment.items():
                click.echo(f"export {name}={value}")
            stopped.wait()
            click.echo("# stopping")
    except (LocalAwsError, FileNotFoundError, ValueError) as error:
        raise click.ClickException(str(error)) from error
    except PermissionError as error:
        raise click.ClickException(f"{error.filename} cannot be written: choose another --root") from error
