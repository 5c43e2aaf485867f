"""The option --config of the commands that read a lakehouse.yaml."""

from __future__ import annotations

from pathlib import Path

import click

from airflow_lakehouse_provider import starter
from airflow_lakehouse_provider.config import Lakehouse, LakehouseConfigError

_PLACES = (Path("lakehouse.yaml"), Path("example_dags/lakehouse.yaml"))


def find_config(given: Path | None) -> Path:
    """Return the lakehouse.yaml to use: the one given, one of the working directory's, or else the starter's."""
    if given is not None:
        return given
    for place in _PLACES:
        if place.is_file():
            return place
    return starter.path("example_dags") / "lakehouse.yaml"


def load_config(given: Path | None) -> tuple[Path, Lakehouse]:
    """Return the path of the lakehouse.yaml and its content; its faults are errors of the command line."""
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
