"""`lakehouse upload-raw`: upload a month's raw file, unchanged, to the place that the DAG reads."""

from __future__ import annotations

from pathlib import Path

import click

from airflow_lakehouse_provider.cli.config_option import config_option, load_config
from airflow_lakehouse_provider.config import SERVICES
from airflow_lakehouse_provider.month import Month
from airflow_lakehouse_provider.s3_uri import split_s3_uri

_ONE_PUT = 1 << 30  # bytes: below this the object's ETag is the file's MD5


class MonthType(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic since click 8.4
    name = "YYYY-MM"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Month:
        try:
            return value if isinstance(value, Month) else Month.parse(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command("upload-raw")
@click.option("--service", type=click.Choice(SERVICES), required=True, help="The service whose trips the file holds.")
@click.option("--month", type=MonthType(), required=True, help="The month of the file, such as 2024-01.")
@config_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, readable=True, path_type=Path))
def command(service: str, month: Month, config: Path | None, file: Path) -> None:
    """Upload FILE, unchanged, to the key of the raw zone that the DAG reads for a service and month.

    It goes to AWS, or to AWS_ENDPOINT_URL when that is set (`lakehouse local` prints it).
    """
    import boto3
    from boto3.exceptions import S3UploadFailedError
    from boto3.s3.transfer import TransferConfig
    from botocore.exceptions import BotoCoreError, ClientError

    _, lakehouse = load_config(config)
    if service not in lakehouse.services:
        raise click.ClickException(
            f"lakehouse.yaml's services are {', '.join(lakehouse.services)}, without {service}: "
            "add it there, or choose another --service"
        )
    uri = lakehouse.raw_uri(service, month)
    bucket, key = split_s3_uri(uri)
    try:
        s3 = boto3.client("s3", region_name=lakehouse.region)
        s3.upload_file(str(file), bucket, key, Config=TransferConfig(multipart_threshold=_ONE_PUT))
    except (BotoCoreError, ClientError, S3UploadFailedError) as error:
        raise click.ClickException(
            f"{file} could not be uploaded to {uri}: {error}. Check the bucket, the credentials, and AWS_ENDPOINT_URL "
            "if you mean a local AWS (`lakehouse local`)."
        ) from error
    click.echo(f"{file} ({file.stat().st_size:,} bytes) is at {uri}")
