"""The Athena profile of dbt, made of arguments and without secrets; credentials reach dbt by its environment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_lakehouse_provider.errors import LakehouseError

PROFILE = "airflow"
DEFAULT_TARGET = "airflow"
DEFAULT_THREADS = 4
SECRETS = frozenset({"aws_access_key_id", "aws_secret_access_key", "aws_session_token"})
_S3_URI = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")


class ProfileError(LakehouseError, ValueError):
    """A profile that cannot be made; the message names the argument, its value and what is needed."""


@dataclass(frozen=True)
class AthenaProfile:
    """The location on Athena that dbt works in.

    :param schema: the Glue database that dbt builds in
    :param database: Athena's data catalog
    :param s3_staging_dir: ``s3://bucket/prefix/`` of query results; may be left out where the work group has one
    :param s3_data_dir: ``s3://bucket/prefix`` of dbt's tables; default: under the staging directory
    :param more: further settings of the adapter, such as ``num_retries``
    :raises ProfileError: naming the argument, its value and what is needed
    """

    schema: str
    region: str
    s3_staging_dir: str | None = None
    s3_data_dir: str | None = None
    work_group: str | None = None
    database: str = "awsdatacatalog"
    threads: int = DEFAULT_THREADS
    more: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.schema:
            raise ProfileError(
                "schema is needed: the Glue database that dbt builds in (or profiles_dir, a profile of yours)"
            )
        if not self.region:
            raise ProfileError("no region is known: give region_name, in the operator or in the connection's extra")
        if not self.s3_staging_dir and not self.work_group:
            raise ProfileError(
                "s3_staging_dir is needed, s3://bucket/prefix/ for query results, or a work_group that has a location"
            )
        for name in ("s3_staging_dir", "s3_data_dir"):
            value = getattr(self, name)
            if value and not _S3_URI.fullmatch(value):
                raise ProfileError(f"{name} must be s3://bucket/prefix, not {value!r}")
        if found := sorted(SECRETS & set(self.more)):
            raise ProfileError(
                f"profile_args holds {', '.join(found)}: credentials come from the connection (aws_conn_id), "
                "never from a profile"
            )

    def content(self, target: str | None = None) -> dict[str, Any]:
        """Return the content of profiles.yml.

        :param target: default: ``airflow``
        """
        output = {
            "type": "athena",
            "database": self.database,
            "schema": self.schema,
            "region_name": self.region,
            "s3_staging_dir": self.s3_staging_dir,
            "s3_data_dir": self.s3_data_dir,
            "s3_data_naming": "schema_table_unique",
            "work_group": self.work_group,
            "threads": self.threads,
        } | dict(self.more)
        target = target or DEFAULT_TARGET
        outputs = {target: {name: value for name, value in output.items() if value is not None}}
        return {PROFILE: {"target": target, "outputs": outputs}}
