"""`lakehouse init DIRECTORY`: write the starter; an existing folder is never overwritten."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from airflow_lakehouse_provider import starter

# Files that tools leave in a used checkout, and secrets and state of Docker and Terraform: no part of a starter.
_IGNORED = shutil.ignore_patterns(
    *(*starter.LEFT_BEHIND, "*.pyc", "build", ".env", ".passwords.json"),
    *(".terraform*", "*.tfstate*", "*.tfplan", "*.auto.tfvars.json"),
)


@click.command("init")
@click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
def command(directory: Path) -> None:
    """Write a starter into DIRECTORY: example_dags/ with lakehouse.yaml, glue_scripts/, dbt_models/, infra/."""
    parts = [part for part in starter.PARTS if starter.exists(part)]
    taken = [part for part in parts if (directory / part).exists()]
    if taken:
        raise click.ClickException(
            f"{directory / taken[0]} is there already, and nothing is overwritten: choose another directory"
        )
    for part in parts:
        shutil.copytree(starter.path(part), directory / part, ignore=_IGNORED)
        click.echo(f"wrote {directory / part}/")
    click.echo(f"Next: name your buckets and job in {directory / 'example_dags' / 'lakehouse.yaml'}.")
