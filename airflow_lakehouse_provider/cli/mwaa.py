"""`lakehouse mwaa`: build and upload the files of Amazon MWAA and the Glue jobs."""

from __future__ import annotations

from pathlib import Path

import click

from airflow_lakehouse_provider.cli.config_option import config_option, load_config

_MARKS = {"new": "+", "changed": "~", "same": " ", "extra": "-"}


@click.group("mwaa")
def command() -> None:
    """Build and upload the files of Amazon MWAA and the Glue jobs."""


@command.command("bundle")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="The folder to write.")
@click.option("--airflow", "airflow", default=None, help="MWAA's version of Airflow.")
@click.option(
    "--wheel",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="This provider's wheel. Default: built from the checkout.",
)
@click.option(
    "--dbt-wheels",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of dbt's wheels, for workers that cannot reach PyPI.",
)
@click.option(
    "--constraints",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A constraint file to put into the bundle. Default: Airflow's own, which MWAA fetches from GitHub.",
)
@config_option
def bundle_command(
    out: Path,
    airflow: str | None,
    wheel: Path | None,
    dbt_wheels: Path | None,
    constraints: Path | None,
    config: Path | None,
) -> None:
    """Write a folder of files to upload: plugins.zip, requirements.txt, startup.sh, DAGs, dbt project, Glue scripts."""
    from airflow_lakehouse_provider.mwaa import bundle

    path, lakehouse = load_config(config)
    try:
        sources = bundle.Sources.beside(path, lakehouse.dbt.project)
        names = bundle.build(
            out,
            sources,
            artifacts=lakehouse.zones.artifacts,
            airflow=airflow or bundle.DEFAULT_AIRFLOW,
            wheel=wheel,
            dbt_wheels=dbt_wheels,
            constraints=constraints,
        )
    except (bundle.BundleError, FileNotFoundError) as error:
        raise click.ClickException(str(error)) from error
    for name in names:
        click.echo(name)
    if lakehouse.dbt.runs_in == "worker" and lakehouse.dbt.executable != bundle.DBT:
        click.echo(
            f"On MWAA dbt is at {bundle.DBT}, and lakehouse.yaml's dbt.executable is {lakehouse.dbt.executable!r}: "
            "change it there",
            err=True,
        )
    click.echo(f"{len(names)} files are in {out}. Next: lakehouse mwaa sync {out} --dry-run")


@command.command("sync")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Show the differences, upload nothing.")
@click.option("--delete", is_flag=True, help="Delete files that are in the zone alone; their versions stay.")
@click.option("--part", type=click.Choice(["scripts", "mwaa"]), help="Only the Glue scripts, or only MWAA's files.")
@click.option(
    "--tfvars",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the objects' versions here, such as infra/terraform/mwaa.auto.tfvars.json, for Terraform to apply.",
)
@config_option
def sync_command(
    folder: Path, dry_run: bool, delete: bool, part: str | None, tfvars: Path | None, config: Path | None
) -> None:
    """Upload the new and changed files of FOLDER, a bundle, to the artifacts zone of lakehouse.yaml."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    from airflow_lakehouse_provider.mwaa.sync import Sync, SyncError, write_tfvars

    _, lakehouse = load_config(config)
    zone = lakehouse.zones.artifacts
    try:
        sync = Sync(boto3.client("s3", region_name=lakehouse.region), folder, zone, part)
        if part != "scripts":
            sync.check_bucket()
        differences = sync.differences()
        for each in differences:
            if each.state != "same":
                click.echo(f"{_MARKS[each.state]} {each.name}")
        versions = {} if dry_run else sync.upload(differences, delete=delete)
    except SyncError as error:
        raise click.ClickException(str(error)) from error
    except (BotoCoreError, ClientError) as error:
        raise click.ClickException(
            f"{zone} cannot be synchronised: {error}. Check the bucket, the credentials, and AWS_ENDPOINT_URL if you "
            "mean a local AWS (`lakehouse local`)."
        ) from error
    counts = {state: sum(each.state == state for each in differences) for state in _MARKS}
    click.echo(
        f"{'Would upload' if dry_run else 'Uploaded'} {counts['new']} new and {counts['changed']} changed files to "
        f"{zone}; {counts['same']} are the same, {counts['extra']} are in the zone and not in the bundle"
        + (" (--delete removes them)" if counts["extra"] and not delete else "")
    )
    if versions and tfvars is not None:
        write_tfvars(tfvars, versions)
        click.echo(f"Their versions are in {tfvars}: `terraform apply` gives them to MWAA")
