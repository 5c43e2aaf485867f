"""An Airflow connection to AWS, and the clients made of it for operators, sensors and triggers alike."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_lakehouse_provider._airflow.secrets import mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_lakehouse_provider.dbt.access import AwsAccess

T = TypeVar("T")

# Threads for the triggers' AWS calls, apart from the triggerer's own, which an endpoint that does not answer must not
# hold up.
_THREADS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="lakehouse-aws")


@dataclass(frozen=True)
class AwsConnection:
    """The AWS arguments of an operator, in plain JSON types, so that they travel in a trigger.

    :param aws_conn_id: the Airflow connection; None for boto3's own chain of credentials
    :param region_name: None for the connection's or boto3's own
    :param verify: whether TLS certificates are verified, or the path of a CA bundle; None for the connection's choice
    :param botocore_config: arguments of botocore's Config
    """

    aws_conn_id: str | None = None
    region_name: str | None = None
    verify: bool | str | None = None
    botocore_config: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the arguments by their names."""
        return asdict(self)

    @property
    def identity(self) -> str:
        """A text that equal connections have in common."""
        return json.dumps(self.as_dict(), sort_keys=True, default=str)

    def client(self, service: str, *, resend: bool = True, timeout: float | None = None) -> Any:
        """Return a boto3 client.

        :param resend: False turns off botocore's own retries, for calls that must not be repeated
        :param timeout: seconds for a connection, and for an answer; default: the connection's own
        """
        from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
        from botocore.config import Config

        hook: Any = AwsBaseHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=dict(self.botocore_config) if self.botocore_config else None,
            client_type=service,
        )
        config = hook.config
        if not resend:
            config = config.merge(Config(retries={"total_max_attempts": 1, "mode": "standard"}))
        if timeout is not None:
            config = config.merge(Config(connect_timeout=timeout, read_timeout=timeout))
        return hook.get_client_type(region_name=hook.region_name, config=config)

    def access(self) -> AwsAccess:
        """Return the connection's access as a value, roles and tokens honoured.

        :raises ProfileError: the connection gives no credentials
        """
        from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook

        from airflow_lakehouse_provider.dbt import access
        from airflow_lakehouse_provider.dbt.profile import ProfileError

        hook: Any = AwsGenericHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=dict(self.botocore_config) if self.botocore_config else None,
            client_type="athena",
        )
        region = self.region_name or hook.region_name
        session, connection, making = hook.get_session(region_name=region), hook.conn_config, threading.Lock()
        region = region or session.region_name
        endpoints = {
            service: str(endpoint)
            for service in access.ENDPOINTS
            if (endpoint := connection.get_service_endpoint_url(service))
        }

        def client(service: str) -> Any:
            with making:  # a session is not for several threads at once
                return session.client(
                    service,
                    region_name=region,
                    endpoint_url=endpoints.get(service),
                    verify=hook.verify,
                    config=hook.config,
                )

        variables = {access.ENDPOINTS[service]: endpoint for service, endpoint in endpoints.items()}
        if isinstance(hook.verify, str):
            variables["AWS_CA_BUNDLE"] = hook.verify
        if region:
            variables |= {"AWS_REGION": region, "AWS_DEFAULT_REGION": region}
        dropped: tuple[str, ...] = ()
        expiring = None
        # Where the connection names no credentials of its own, dbt finds and refreshes them as any AWS client does.
        if connection.aws_access_key_id or connection.profile_name or connection.role_arn:
            dropped = (*access.CREDENTIAL_VARIABLES, *access.OTHER_CREDENTIALS)
            credentials = session.get_credentials()
            if credentials is None:
                raise ProfileError(f"The AWS connection {self.aws_conn_id!r} gives no credentials.")
            found = access.credential_variables(credentials.get_frozen_credentials())
            mask(*found.values())
            if hasattr(credentials, "refresh_needed"):
                expiring = credentials
            else:
                variables |= found
        partition = str(session.get_partition_for_region(region)) if region else "aws"
        return access.AwsAccess(region, partition, client, variables, dropped, expiring)

    async def client_from_loop(self, service: str) -> Any:
        """Return a client to a trigger: looks the connection up off the event loop, as Airflow 3.0 requires."""
        from asgiref.sync import sync_to_async

        return await sync_to_async(self.client)(service)


async def in_thread(call: Callable[[], T]) -> T:
    """Return the result of a blocking AWS call without blocking the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, call)
