"""The parts that the commands about publications share: clients of AWS, the option --month, errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from airflow_lakehouse_provider.cli.config_option import load_config
from airflow_lakehouse_provider.cli.upload_raw import MonthType
from airflow_lakehouse_provider.config import Lakehouse
from airflow_lakehouse_provider.publishing.names import Places, PublishingError
from airflow_lakehouse_provider.publishing.publish import Publisher
from airflow_lakehouse_provider.publishing.reads import ConflictCheck, QuerySettings

month_option = click.option("--month", type=MonthType(), required=True, help="The month, such as 2024-05.")
any_month_option = click.option("--month", type=MonthType(), help="The month, such as 2024-05. Default: all of them.")


@dataclass(frozen=True)
class Publications:
    """The publications of the lakehouse of a lakehouse.yaml."""

    lakehouse: Lakehouse

    @classmethod
    def load(cls, config: Path | None) -> Publications:
        """Read the lakehouse.yaml."""
        return cls(load_config(config)[1])

    @property
    def places(self) -> Places:
        """The places of its publications."""
        return Places(self.lakehouse.zones.curated)

    def client(self, service: str) -> Any:
        """Return a boto3 client, of AWS or of AWS_ENDPOINT_URL when that is set."""
        import boto3

        return boto3.client(service, region_name=self.lakehouse.region)

    def publisher(self) -> Publisher:
        """Return the one who publishes and rolls back."""
        glue, s3, athena = (self.client(service) for service in ("glue", "s3", "athena"))
        settings = QuerySettings(self.lakehouse.athena.work_group, f"{self.lakehouse.zones.results}/dbt/")
        conflicts = ConflictCheck(glue, s3, athena, self.places, settings, click.echo)
        return Publisher(glue, s3, self.places, conflicts=conflicts, log=click.echo)


@contextmanager
def refusals() -> Iterator[None]:
    """Turn refusals and errors of AWS into errors of the command line."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except PublishingError as error:
        raise click.ClickException(str(error)) from error
    except (BotoCoreError, ClientError) as error:
        raise click.ClickException(
            f"{error}. Check the credentials, and AWS_ENDPOINT_URL if you mean a local AWS (`lakehouse local`)."
        ) from error
