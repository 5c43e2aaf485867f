"""`lakehouse local`: the local AWS alone, in the foreground."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType

import click

from airflow_lakehouse_provider import starter
from airflow_lakehouse_provider.config import Lakehouse, LakehouseConfigError

_PLACES = (Path("lakehouse.yaml"), Path("example_dags/lakehouse.yaml"))


def find_config(given: Path | None) -> Path:
    """The lakehouse.yaml to use: the one given, one of the working directory's, or else the starter's."""
    if given is not None:
        return given
    for place in _PLACES:
        if place.is_file():
            return place
    return starter.path("example_dags") / "lakehouse.yaml"


def load_config(given: Path | None) -> tuple[Path, Lakehouse]:
    """The lakehouse.yaml and what it says, its faults as an error of the command line."""
    try:
        path = find_config(given)
        return path, Lakehouse.load(path)
    except (FileNotFoundError, LakehouseConfigError) as error:
        raise click.ClickException(str(error)) from error


config_option = click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The lakehouse.yaml. Default: ./lakehouse.yaml, ./example_dags/lakehouse.yaml, or the starter's.",
)


@click.command("local")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".lakehouse/aws"),
    show_default=True,
    help="Where its state lies: buckets are directories of it.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=5000, show_default=True, help="0 takes a free one.")
@click.option("--empty", is_flag=True, help="Create nothing: infra/terraform will, or you.")
@click.option(
    "--enforce-iam",
    is_flag=True,
    help="Judge every call by IAM's policies. The credentials shown are the root user's, who may all.",
)
@config_option
def command(root: Path, port: int, empty: bool, enforce_iam: bool, config: Path | None) -> None:
    """Run the local AWS in the foreground, with what lakehouse.yaml names, until Ctrl-C."""
    from airflow_lakehouse_provider.local_aws.lock import RootInUse
    from airflow_lakehouse_provider.local_aws.provision import provision
    from airflow_lakehouse_provider.local_aws.server import LocalAws, PortInUse
    from airflow_lakehouse_provider.local_aws.state import StateError

    path, lakehouse = load_config(config)
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    account = lakehouse.glue.role.split(":")[4]
    local = LocalAws(root, port=port, region=lakehouse.region, account_id=account, enforce_iam=enforce_iam)
    try:
        with local:
            if not empty:
                provision(local.endpoint, lakehouse)
            has = "is as you left it" if empty else f"has what {path} names"
            for line in (
                f"# The local AWS {has}; its state is under {local.root}. Ctrl-C ends it.",
                *(f"export {name}={value}" for name, value in local.environment.items()),
            ):
                click.echo(line)
            ended.wait()
            click.echo("# ending")
    except (PortInUse, RootInUse) as error:
        raise click.ClickException(error.strerror or str(error)) from error
    except (StateError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from error
    except PermissionError as error:
        raise click.ClickException(f"{error.filename} cannot be written: choose another --root") from error
