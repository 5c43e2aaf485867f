"""The access to AWS that dbt and its supervisor get, as a value: region, environment variables, credentials, clients.

Credentials reach dbt by its environment, or where they expire by credential_process, never by the profile: that is a
file, and a changed key would make dbt parse everything again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.dbt.attempt import Aws
from airflow_lakehouse_provider.dbt.credentials import CredentialServer

# The services that dbt-athena calls, and botocore's variable for the endpoint of each.
ENDPOINTS = {
    "athena": "AWS_ENDPOINT_URL_ATHENA",
    "glue": "AWS_ENDPOINT_URL_GLUE",
    "s3": "AWS_ENDPOINT_URL_S3",
    "sts": "AWS_ENDPOINT_URL_STS",
    "lakeformation": "AWS_ENDPOINT_URL_LAKEFORMATION",
}
CREDENTIAL_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN")
# What would win over, or be mixed into, credentials that the connection gives.
OTHER_CREDENTIALS = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")


@dataclass(frozen=True)
class AwsAccess:
    """The access to AWS that a connection gives, read once: using it calls no Airflow.

    :ivar region: None where nothing names one
    :ivar partition: of the region: aws, aws-cn, aws-us-gov
    :ivar client: returns a boto3 client of a service
    :ivar variables: for dbt's environment
    :ivar dropped: variables of the worker's environment that would take precedence over them
    :ivar expiring: botocore's credentials that expire; None where there are none
    """

    region: str | None
    partition: str
    client: Callable[[str], Any] = field(repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    dropped: tuple[str, ...] = ()
    expiring: Any = field(default=None, repr=False)

    def aws(self) -> Aws:
        """Return the part that an attempt needs."""
        return Aws(
            self.client, self.variables, self.dropped, server(self.expiring) if self.expiring is not None else None
        )


def server(
    expiring: Any,
) -> Callable[[Path, Callable[[dict[str, str]], None]], AbstractContextManager[dict[str, str]]]:
    """Return the ``serve`` of an :class:`Aws` whose credentials expire.

    :param expiring: botocore's refreshable credentials
    """

    @contextmanager
    def serve(directory: Path, renewed: Callable[[dict[str, str]], None]) -> Iterator[dict[str, str]]:
        """Serve credentials that expire through credential_process."""
        last = ""

        def credentials() -> dict[str, str]:
            nonlocal last
            found = expiring.get_frozen_credentials()
            if found.access_key != last:
                last = found.access_key
                renewed(credential_variables(found))
            # Where the expiry is not known, botocore need not ask for an hour.
            hour = datetime.now(timezone.utc) + timedelta(hours=1)
            expiry = getattr(expiring, "_expiry_time", None) or hour
            values = credential_variables(found).values()
            names = zip(("AccessKeyId", "SecretAccessKey", "SessionToken"), values, strict=False)
            return {**dict(names), "Expiration": expiry.isoformat()}

        with CredentialServer(directory, credentials) as serving:
            yield serving.environment()

    return serve


def credential_variables(credentials: Any) -> dict[str, str]:
    """Return botocore's frozen credentials as environment variables."""
    values = (credentials.access_key, credentials.secret_key, credentials.token)
    return {name: str(value) for name, value in zip(CREDENTIAL_VARIABLES, values, strict=False) if value}
