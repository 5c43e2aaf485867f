"""`lakehouse local`: the local AWS with what lakehouse.yaml names, in the foreground."""

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
@click.option("--empty", is_flag=True, help="Create nothing: infra/terraform will, or you.")
@enforce_iam_option
@config_option
def command(root: Path, port: int, empty: bool, enforce_iam: bool, config: Path | None) -> None:
    """Run the local AWS in the foreground, with what lakehouse.yaml names, until Ctrl-C."""
    path, lakehouse = load_config(config)

    def prepare(local: LocalAws) -> str:
        if empty:
            return "is as you left it"
        provision(local.endpoint, lakehouse)
        return f"has what {path} names"

    account = lakehouse.glue.role.split(":")[4]
    serve(
        root,
        prepare=prepare,
        port=port,
        region=lakehouse.region,
        account_id=account,
        enforce_iam=enforce_iam,
        empty=empty,
    )
