"""Wait in the triggerer for the end of a Glue job run, or for the turn to start one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from airflow_lakehouse_provider._airflow.compat import TriggerEvent
from airflow_lakehouse_provider._airflow.connection import AwsConnection
from airflow_lakehouse_provider._airflow.kill import KillableTrigger
from airflow_lakehouse_provider.aws import job_runs, start_once
from airflow_lakehouse_provider.aws.polling import SharedPoller
from airflow_lakehouse_provider.aws.start_once import Claim, Memory
from airflow_lakehouse_provider.aws.watching import JobRuns, Run, Turn
from airflow_lakehouse_provider.triggers.shared import in_thread, news, poller, told

_HOME = "airflow_lakehouse_provider.triggers.glue"


class GlueJobRunTrigger(KillableTrigger):
    """Yields one event: the run's end, the deadline, or why the wait cannot go on. A user's kill stops the run.

    :param job_name: the Glue job
    :param run_id: its run
    :param poll_interval: seconds between looks
    :param deadline: epoch seconds; None for no deadline
    :param stop_on_kill: whether a user's kill stops the run: only where the task started it
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
        stop_on_kill: bool = False,
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
        self.stop_on_kill = stop_on_kill
        self.carried = carried or {}
        self.connection = AwsConnection(aws_conn_id, region_name, verify, botocore_config)
        self._poller: SharedPoller[Any, Any] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{_HOME}.GlueJobRunTrigger",
            {
                "job_name": self.job_name,
                "run_id": self.run_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "stop_on_kill": self.stop_on_kill,
                "carried": self.carried,
                **self.connection.as_dict(),
            },
        )

    async def events(self) -> AsyncIterator[TriggerEvent]:
        about = {"job_name": self.job_name, "run_id": self.run_id, "carried": self.carried}
        yield await told(self, f"run {self.run_id} of {self.job_name}", about, self._wait)

    async def _wait(self) -> dict[str, Any]:
        self._poller = poller(self.connection, ("job runs", self.job_name), lambda: JobRuns(self.job_name))
        answers = news(self._poller, lambda _: Run(self.run_id), self.poll_interval, self.deadline, self.log)
        async with aclosing(answers):
            async for run in answers:
                self.log.info("Run %s of %s: %s.", self.run_id, self.job_name, run.state)
                if run.ended:
                    return {"status": "ended", "run": run.as_dict()}
        return {"status": "deadline"}

    async def stop_remote(self) -> None:
        if not self.stop_on_kill or self._poller is None:
            return
        client = await self._poller.client()
        await in_thread(lambda: job_runs.stop(client, self.job_name, self.run_id))
        self.log.info("The task was killed; run %s of %s was told to stop.", self.run_id, self.job_name)


class GlueTurnTrigger(KillableTrigger):
    """Waits until there is something to do for a claim: its run is there, or may be started, or others are to be
    stopped. Yields one event; the operator does what is to be done, so that no triggerer ever starts a run.

    :param claim: a start_once.Claim as a dictionary
    :param memory: a start_once.Memory as a dictionary
    :param poll_interval: and the rest: see GlueJobRunTrigger
    """

    def __init__(
        self,
        *,
        claim: dict[str, Any],
        memory: dict[str, Any],
        poll_interval: float = 30,
        deadline: float | None = None,
        stop_on_kill: bool = False,
        aws_conn_id: str | None = None,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **retired: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.claim = Claim.of(claim)
        self.memory = Memory(**memory)
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.stop_on_kill = stop_on_kill
        self.connection = AwsConnection(aws_conn_id, region_name, verify, botocore_config)
        self._poller: SharedPoller[Any, Any] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{_HOME}.GlueTurnTrigger",
            {
                "claim": self.claim.as_dict(),
                "memory": self.memory.as_dict(),
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "stop_on_kill": self.stop_on_kill,
                **self.connection.as_dict(),
            },
        )

    async def events(self) -> AsyncIterator[TriggerEvent]:
        about = {"job_name": self.claim.job.name, "deadline": self.deadline}
        event = await told(self, f"the turn of {self.claim.unit} at {self.claim.job.name}", about, self._wait)
        event.payload["memory"] = self.memory.as_dict()
        yield event

    async def _wait(self) -> dict[str, Any]:
        name = self.claim.job.name
        self._poller = poller(self.connection, ("job runs", name), lambda: JobRuns(name))
        answers = news(self._poller, self._question, self.poll_interval, self.deadline, self.log)
        async with aclosing(answers):
            async for step in answers:
                self.log.info("%s", step.doing)
                self.memory = step.memory
                if not step.waits:
                    return {"status": "turn"}
        return {"status": "deadline"}

    def _question(self, source: JobRuns) -> Turn:
        return source.claim(self.claim, self.memory)

    async def stop_remote(self) -> None:
        # Nothing is known to run; a start whose answer was lost may have made a run all the same.
        if not self.stop_on_kill or self._poller is None:
            return
        client = await self._poller.client()
        stopped = await in_thread(lambda: start_once.stop_own(client, self.claim.job.name, self.claim.key))
        if stopped:
            self.log.info("The task was killed; told to stop: %s.", ", ".join(stopped))
