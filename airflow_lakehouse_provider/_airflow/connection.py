"""An Airflow connection to AWS, and the clients made of it for operators, sensors and triggers alike."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# The triggers' AWS calls. Threads of our own: an endpoint that does not answer must not hold up those that the
# triggerer itself works with.
_THREADS = ThreadPoolExecutor(max_workers=8, thread_name_prefix="lakehouse-aws")


@dataclass(frozen=True)
class AwsConnection:
    """Which AWS to call, and how; in plain JSON types, so that it travels in a trigger.

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
        return asdict(self)

    @property
    def identity(self) -> str:
        """Two connections with the same are one."""
        return json.dumps(self.as_dict(), sort_keys=True, default=str)

    def client(self, service: str, *, resend: bool = True, timeout: float | None = None) -> Any:
        """A boto3 client.

        :param resend: False turns off botocore's own retries, for the calls that must not be made twice
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

    async def client_from_loop(self, service: str) -> Any:
        """The same for a trigger: the connection is looked up off the event loop, as Airflow 3.0 insists."""
        from asgiref.sync import sync_to_async

        return await sync_to_async(self.client)(service)


async def in_thread(call: Callable[[], T]) -> T:
    """A blocking AWS call's answer, without blocking the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, call)
