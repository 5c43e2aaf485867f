"""Waits in the triggerer for the end of a Glue job run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow_lakehouse_provider._compat import BaseTrigger, TriggerEvent
from airflow_lakehouse_provider._compat.connection import AwsConnection, in_thread
from airflow_lakehouse_provider.aws import job_runs
from airflow_lakehouse_provider.aws.errors import AwsFailure
from airflow_lakehouse_provider.aws.polling import Look


class GlueJobRunTrigger(BaseTrigger):
    """Yields one event: the run's end, the deadline, or why the wait cannot go on.

    :param job_name: the Glue job
    :param run_id: its run
    :param poll_interval: seconds between looks
    :param deadline: epoch seconds; None for no deadline
    :param carried: what the operator needs when it resumes; comes back in the event as it is
    :param aws_conn_id: and the rest: see AwsConnection
    :param retired: arguments of earlier versions, with which tasks may still be deferred
    """

    def __init__(
        self,
        *,
        job_name: str,
        run_id: str,
        poll_interval: float = 30,
        deadline: float | None = None,
        carried: dict[str, Any] | None = None,
        aws_conn_id: str | None = None,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **retired: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.job_name = job_name
        self.run_id = run_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.carried = carried or {}
        self.connection = AwsConnection(aws_conn_id, region_name, verify, botocore_config)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            "airflow_lakehouse_provider.triggers.glue.GlueJobRunTrigger",
            {
                "job_name": self.job_name,
                "run_id": self.run_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "carried": self.carried,
                **self.connection.as_dict(),
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        try:
            event = await self._wait()
        except AwsFailure as error:
            event = {"status": "error", "message": str(error)}
        except Exception as error:  # an error that leaves the trigger reaches nobody but the triggerer's log
            self.log.exception("The wait for run %s of %s broke", self.run_id, self.job_name)
            event = {"status": "error", "message": f"The wait broke: {type(error).__name__}: {error}"}
        told = {"job_name": self.job_name, "run_id": self.run_id, "carried": self.carried, **event}
        yield TriggerEvent(told)  # type: ignore[no-untyped-call]

    async def _wait(self) -> dict[str, Any]:
        client = await self.connection.client_from_loop("glue")
        look = Look(
            lambda: job_runs.look(client, self.job_name, self.run_id),
            lambda run: f"Run {run.run_id} of {run.job_name}: {run.state}.",
            self.log.info,
        )
        while True:
            # First the pause: the operator has just looked. And an event that comes before the scheduler has seen the
            # deferred worker's end fails the task: Airflow takes that end for the resumed task's.
            left = self.poll_interval if self.deadline is None else self.deadline - time.time()
            await asyncio.sleep(max(0.0, min(self.poll_interval, left)))
            run = await in_thread(look)
            if run is not None and run.ended:
                return {"status": "ended", "run": run.as_dict()}
            if self.deadline is not None and time.time() >= self.deadline:
                return {"status": "deadline"}
