"""`lakehouse local`: the local AWS with everything that lakehouse.yaml names, in the foreground."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from airflow_lakehouse_provider.cli.config_option import config_option, load_config
from airflow_lakehouse_provider.provision import provision
from lakehouse_local.cli import enforce_iam_option, port_option, root_option, serve

if TYPE_CHECKING:
    from lakehouse_local import LocalAws


@click.command("local")
@root_option
@port_option
@click.option("--empty", is_flag=True, help="Create nothing, for infra/terraform or your own resources.")
@enforce_iam_option
@config_option
def command(root: Path, port: int, empty: bool, enforce_iam: bool, config: Path | None) -> None:
    """Run the local AWS in the foreground until Ctrl-C, with everything that lakehouse.yaml names."""
    path, lakehouse = load_config(config)

    def prepare(local: LocalAws) -> str:
        if empty:
            return "has what its root holds"
        provision(local.endpoint, lakehouse)
        return f"has everything that {path} names"

    serve(
        root,
        prepare=prepare,
        port=port,
        region=lakehouse.region,
        account_id=lakehouse.glue.account,
        enforce_iam=enforce_iam,
        empty=empty,
    )
