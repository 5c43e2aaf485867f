"""Triggers that wait for the end of a Glue job run, or for the turn to start one."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

from airflow_lakehouse_provider._airflow.connection import in_thread
from airflow_lakehouse_provider._airflow.kill import KillableTrigger
from airflow_lakehouse_provider.aws import job_runs, start_once
from airflow_lakehouse_provider.aws.polling import SharedPoller
from airflow_lakehouse_provider.aws.start_once import Claim, StartState
from airflow_lakehouse_provider.aws.watching import JobRunSource, RunQuestion, TurnQuestion
from airflow_lakehouse_provider.triggers.base import WaitTrigger
from airflow_lakehouse_provider.triggers.events import DeadlineReached, Event, RunEnded, RunWait, TurnReady, TurnWait


class GlueJobRunTrigger(KillableTrigger, WaitTrigger):
    """Wait for the end of a job run. A user's kill stops the run.

    :param job_name: the Glue job
    :param run_id: its run
    :param stop_on_kill: whether a user's kill stops the run: only where the task started it
    :param carried: what the operator needs when it resumes; the event brings it back unchanged
    :param common: the arguments of WaitTrigger
    """

    def __init__(
        self,
        *,
        job_name: str,
        run_id: str,
        stop_on_kill: bool = False,
        carried: dict[str, Any] | None = None,
        **common: Any,
    ) -> None:
        super().__init__(**common)
        self.job_name = job_name
        self.run_id = run_id
        self.stop_on_kill = stop_on_kill
        self.carried = carried or {}
        self._poller: SharedPoller[Any, Any] | None = None

    def own_arguments(self) -> dict[str, Any]:
        return {
            "job_name": self.job_name,
            "run_id": self.run_id,
            "stop_on_kill": self.stop_on_kill,
            "carried": self.carried,
        }

    def waiting(self) -> RunWait:
        return RunWait(self.job_name, self.run_id, self.carried)

    async def watch(self) -> Event:
        self._poller = self.poller(("job runs", self.job_name), lambda: JobRunSource(self.job_name))
        async with aclosing(self.answers(self._poller, lambda _: RunQuestion(self.run_id))) as answers:
            async for run in answers:
                self.log.info("Run %s of %s: %s.", self.run_id, self.job_name, run.state)
                if run.ended:
                    return RunEnded(self.waiting(), run)
        return DeadlineReached(self.waiting())

    async def stop_remote(self) -> None:
        if not self.stop_on_kill or self._poller is None:
            return
        client = await self._poller.client()
        await in_thread(lambda: job_runs.stop(client, self.job_name, self.run_id))
        self.log.info("The task was killed; stopping run %s of %s.", self.run_id, self.job_name)


class GlueTurnTrigger(KillableTrigger, WaitTrigger):
    """Wait until there is something to do for a claim: its run exists, or may be started, or others are to be stopped.

    The operator then does it, so that no triggerer ever starts a run.

    :param claim: a start_once.Claim as a dictionary
    :param state: a start_once.StartState as a dictionary
    :param stop_on_kill: whether a user's kill stops runs of the claim's key
    :param common: the arguments of WaitTrigger
    """

    def __init__(
        self, *, claim: dict[str, Any], state: dict[str, Any], stop_on_kill: bool = False, **common: Any
    ) -> None:
        super().__init__(**common)
        self.claim = Claim.from_dict(claim)
        self.state = StartState(**state)
        self.stop_on_kill = stop_on_kill
        self._poller: SharedPoller[Any, Any] | None = None

    def own_arguments(self) -> dict[str, Any]:
        return {
            "claim": self.claim.as_dict(),
            "state": self.state.as_dict(),
            "stop_on_kill": self.stop_on_kill,
        }

    def waiting(self) -> TurnWait:
        return TurnWait(self.claim.job.name, self.state, self.deadline)

    async def watch(self) -> Event:
        name = self.claim.job.name
        self._poller = self.poller(("job runs", name), lambda: JobRunSource(name))
        async with aclosing(self.answers(self._poller, self._question)) as answers:
            async for decision in answers:
                self.log.info("%s", decision.message)
                self.state = decision.state
                if not decision.waits:
                    return TurnReady(self.waiting())
        return DeadlineReached(self.waiting())

    def _question(self, source: JobRunSource) -> TurnQuestion:
        return source.claim(self.claim, self.state)

    async def stop_remote(self) -> None:
        # No run is known; a StartJobRun whose reply was lost may have started one all the same.
        if not self.stop_on_kill or self._poller is None:
            return
        client = await self._poller.client()
        stopped = await in_thread(lambda: start_once.stop_own(client, self.claim.job.name, self.claim.key))
        if stopped:
            self.log.info("The task was killed; stopping %s.", ", ".join(stopped))
