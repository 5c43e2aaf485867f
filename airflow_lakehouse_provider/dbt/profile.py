"""An Athena profile from an Airflow connection and arguments, without secrets, and dbt's environment, with them.

Credentials reach dbt by its environment, or where they expire by credential_process, never by the profile: that is a
file, and a changed key would make dbt parse everything again.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.dbt.attempt import Aws
from airflow_lakehouse_provider.dbt.credentials import CredentialServer
from airflow_lakehouse_provider.errors import LakehouseError

PROFILE = "airflow"
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


class AwsAccess:
    """What an Airflow connection says about AWS, read once: nothing of it asks Airflow later.

    :ivar region: None where nothing names one
    :ivar variables: what dbt's environment gets of it
    :ivar dropped: what of the worker's environment would win over it
    """

    def __init__(self, hook: Any, region: str | None) -> None:
        self._hook = hook
        self._session = hook.get_session(region_name=region)
        self._making = threading.Lock()
        connection = hook.conn_config
        self.region: str | None = region or self._session.region_name
        self._endpoints = {
            service: str(endpoint)
            for service in ENDPOINTS
            if (endpoint := connection.get_service_endpoint_url(service))
        }
        self.variables = {ENDPOINTS[service]: endpoint for service, endpoint in self._endpoints.items()}
        if isinstance(hook.verify, str):
            self.variables["AWS_CA_BUNDLE"] = hook.verify
        if self.region:
            self.variables |= {"AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        self.dropped: tuple[str, ...] = ()
        self._expiring: Any = None
        # Where the connection names no credentials of its own, dbt finds and refreshes them as any AWS client does.
        if connection.aws_access_key_id or connection.profile_name or connection.role_arn:
            self.dropped = (*_CREDENTIAL_VARIABLES, *_OTHER_CREDENTIALS)
            credentials = self._session.get_credentials()
            if credentials is None:
                raise ProfileError(f"The AWS connection {hook.aws_conn_id!r} gives no credentials")
            found = _variables(credentials.get_frozen_credentials())
            mask(*found.values())
            if hasattr(credentials, "refresh_needed"):
                self._expiring = credentials
            else:
                self.variables |= found

    @property
    def partition(self) -> str:
        """The part of AWS that the region is in: aws, aws-cn, aws-us-gov."""
        return str(self._session.get_partition_for_region(self.region)) if self.region else "aws"

    @classmethod
    def of_connection(
        cls, aws_conn_id: str | None, region_name: str | None = None, botocore_config: Mapping[str, Any] | None = None
    ) -> AwsAccess:
        """Read an Airflow connection through the amazon provider's hook, roles and tokens honoured.

        :raises ProfileError: it gives no credentials
        """
        from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

        hook: Any = AwsGenericHook(
            aws_conn_id=aws_conn_id,
            region_name=region_name,
            client_type="athena",
            config=dict(botocore_config) if botocore_config else None,
        )
        return cls(hook, region_name or hook.region_name)

    def aws(self) -> Aws:
        """The same for a run."""
        return Aws(self.client, self.variables, self.dropped, self._serve if self._expiring is not None else None)

    def client(self, service: str) -> Any:
        """A boto3 client."""
        with self._making:  # a session is not for several threads at once
            return self._session.client(
                service,
                region_name=self.region,
                endpoint_url=self._endpoints.get(service),
                verify=self._hook.verify,
                config=self._hook.config,
            )

    @contextmanager
    def _serve(self, directory: Path, renewed: Callable[[dict[str, str]], None]) -> Iterator[dict[str, str]]:
        """Credentials that expire, through credential_process."""
        last = ""

        def credentials() -> dict[str, str]:
            nonlocal last
            found = self._expiring.get_frozen_credentials()
            if found.access_key != last:
                last = found.access_key
                renewed(_variables(found))
            # Of an expiry that is not known botocore need not ask for an hour.
            hour = datetime.now(timezone.utc) + timedelta(hours=1)
            expiry = getattr(self._expiring, "_expiry_time", None) or hour
            names = zip(("AccessKeyId", "SecretAccessKey", "SessionToken"), _variables(found).values(), strict=False)
            return {**dict(names), "Expiration": expiry.isoformat()}

        with CredentialServer(directory, credentials) as server:
            yield server.environment()


def _variables(credentials: Any) -> dict[str, str]:
    """Credentials as an environment has them."""
    values = (credentials.access_key, credentials.secret_key, credentials.token)
    return {name: str(value) for name, value in zip(_CREDENTIAL_VARIABLES, values, strict=False) if value}


def mask(*secrets: str) -> None:
    """Have Airflow hide these wherever the task logs them."""
    try:
        from airflow.sdk.log import mask_secret  # 3.1 and later
    except ImportError:
        try:
            from airflow.sdk.execution_time.secrets_masker import mask_secret  # type: ignore[no-redef]  # 3.0
        except ImportError:
            from airflow.utils.log.secrets_masker import mask_secret  # type: ignore[no-redef]
    for secret in secrets:
        mask_secret(secret)
