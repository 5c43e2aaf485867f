"""An Athena profile from an Airflow connection and arguments, holding no secret, and dbt's environment, which does.

Credentials go by environment alone: in a profile they would stand in a file, and a changed key makes dbt parse anew.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROFILE = "airflow"
PROFILES_FILE = "profiles.yml"
DEFAULT_TARGET = "airflow"
DEFAULT_THREADS = 4
# The services that dbt-athena calls, and botocore's variable for the endpoint of each.
ENDPOINTS = {
    "athena": "AWS_ENDPOINT_URL_ATHENA",
    "glue": "AWS_ENDPOINT_URL_GLUE",
    "s3": "AWS_ENDPOINT_URL_S3",
    "sts": "AWS_ENDPOINT_URL_STS",
    "lakeformation": "AWS_ENDPOINT_URL_LAKEFORMATION",
}
SECRETS = frozenset({"aws_access_key_id", "aws_secret_access_key", "aws_session_token"})
_CREDENTIAL_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
# What would win over, or be mixed into, credentials that the connection gives.
_OTHER_CREDENTIALS = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
_S3_URI = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")


class ProfileError(ValueError):
    """No profile can be made; the message names the argument, its value and what is needed."""


@dataclass(frozen=True)
class AthenaProfile:
    """Where dbt works on Athena.

    :param schema: the Glue database that dbt builds in
    :param database: Athena's data catalog
    :param s3_staging_dir: where Athena puts what queries answer; may be left out where the work group says it
    :param s3_data_dir: where dbt's tables lie; default: under the staging directory
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
                "s3_staging_dir is needed, s3://bucket/prefix/ for what queries answer, or a work_group that says where"
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
        """What profiles.yml holds."""
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

    def write(self, directory: Path, target: str | None = None) -> None:
        """Write profiles.yml, readable by its owner alone."""
        import yaml

        file = directory / PROFILES_FILE
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(self.content(target)), encoding="utf-8")


@dataclass(frozen=True)
class AwsAccess:
    """What an Airflow connection says about AWS: the region, and what dbt's environment gets of it."""

    region: str | None
    # repr off: credentials are in it
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    replaces_credentials: bool = False

    @classmethod
    def of_connection(
        cls, aws_conn_id: str | None, region_name: str | None = None, botocore_config: Mapping[str, Any] | None = None
    ) -> AwsAccess:
        """Read an Airflow connection through the amazon provider's hook, roles and tokens honoured.

        Where the connection names no credentials of its own, dbt finds them as any AWS client does, and refreshes them.
        """
        from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

        hook: Any = AwsGenericHook(
            aws_conn_id=aws_conn_id,
            region_name=region_name,
            client_type="athena",
            config=dict(botocore_config) if botocore_config else None,
        )
        connection = hook.conn_config
        region = region_name or hook.region_name or hook.get_session().region_name
        variables: dict[str, str] = {}
        for service, variable in ENDPOINTS.items():
            if endpoint := connection.get_service_endpoint_url(service):
                variables[variable] = str(endpoint)
        if isinstance(hook.verify, str):
            variables["AWS_CA_BUNDLE"] = hook.verify
        own = bool(connection.aws_access_key_id or connection.profile_name or connection.role_arn)
        if own:
            # Masks them in the task's log as well.
            credentials = hook.get_credentials(region_name=region)
            values = (credentials.access_key, credentials.secret_key, credentials.token)
            variables |= {name: value for name, value in zip(_CREDENTIAL_VARIABLES, values, strict=False) if value}
        return cls(str(region) if region else None, variables, own)

    def environment(self, base: Mapping[str, str], more: Mapping[str, str] | None = None) -> dict[str, str]:
        """dbt's whole environment: the worker's, the connection's, and ``more`` on top."""
        environment = dict(base)
        if self.replaces_credentials:
            for name in (*_CREDENTIAL_VARIABLES, *_OTHER_CREDENTIALS):
                environment.pop(name, None)
        if self.region:
            environment |= {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        return environment | dict(self.variables) | dict(more or {})
