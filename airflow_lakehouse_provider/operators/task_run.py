"""The Glue job run of one task: found or started, waited for in the worker or the triggerer, stopped with the task."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_lakehouse_provider._airflow.compat import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    BaseTrigger,
    current_context,
)
from airflow_lakehouse_provider._airflow.connection import AwsConnection
from airflow_lakehouse_provider.aws import job_runs, start_once
from airflow_lakehouse_provider.aws.errors import AwsFailure, BadRequest
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.polling import Poll
from airflow_lakehouse_provider.aws.run_key import RunKey
from airflow_lakehouse_provider.aws.start_once import Claim, JobDefinition, StartDecision, StartState
from airflow_lakehouse_provider.operators.task_key import run_key
from airflow_lakehouse_provider.triggers import base
from airflow_lakehouse_provider.triggers.events import DeadlineReached, RunEnded, RunWait, WaitFailed
from airflow_lakehouse_provider.triggers.glue import GlueJobRunTrigger, GlueTurnTrigger

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context

# Seconds before `execution_timeout` runs out: enough to stop the run and report it.
_DEADLINE_MARGIN = 60.0
# Seconds that a killed task may take to stop its run and to see it end: Airflow 3 sends SIGKILL after 5.
_STOP_WITHIN, _CONFIRM_WITHIN = 1.5, 1.5

# The events of a wait for a job run.
RunEvent = RunEnded | DeadlineReached | WaitFailed


@dataclass(frozen=True)
class RunSettings:
    """The arguments of an operator that its TaskRun needs, with templates rendered.

    :ivar connection: the AWS connection
    :ivar job_name: the Glue job
    :ivar deferrable: waits are the triggerer's
    :ivar execution_timeout: the task's; None for no deadline
    :ivar stop_on_kill: the run is stopped when the task is killed or reaches its deadline, if the task started it
    :ivar services: AWS services, besides Glue, that a kill calls
    """

    connection: AwsConnection
    job_name: str
    deferrable: bool
    execution_timeout: timedelta | None = None
    stop_on_kill: bool = True
    services: tuple[str, ...] = ()


class TaskRun:
    """The Glue job run of a task.

    :param settings: the operator's
    :param log: the task's logger
    :param defer: defers the task by a trigger; ``execute_complete`` resumes it
    :param stop_more: given the ids of runs that are being stopped, stops what would outlive them; returns its names
    :ivar key: the task's run key, once it is known
    :ivar own_run_id: the run, while it is active and this task's to stop
    """

    def __init__(
        self,
        settings: RunSettings,
        *,
        log: Any,  # a logger; its type differs between Airflow 2 and 3
        defer: Callable[[BaseTrigger], NoReturn],
        stop_more: Callable[[Sequence[str]], Sequence[str]] = lambda _: (),
    ) -> None:
        self.key: RunKey | None = None
        self.own_run_id: str | None = None
        self._settings = settings
        self._log = log
        self._defer = defer
        self._stop_more = stop_more
        self._clients: dict[str, Any] = {}
        self._killed = ""

    def client(self, service: str, *, resend: bool = True) -> Any:
        """Return a boto3 client; ``resend=False`` turns off botocore's retries."""
        name = f"{service} {resend}"
        if name not in self._clients:
            self._clients[name] = self._settings.connection.client(service, resend=resend)
        return self._clients[name]

    def stopper(self, service: str = "glue") -> Any:
        """Return a boto3 client for a kill, used by nothing that a kill may interrupt."""
        name = f"stop {service}"
        if name not in self._clients:
            self._clients[name] = self._settings.connection.client(service, resend=False, timeout=_STOP_WITHIN)
        return self._clients[name]

    def prepare_kill(self) -> None:
        """Make the clients of a kill beforehand: a kill has no time for it, and must not call Airflow."""
        for service in ("glue", *self._settings.services):
            self.stopper(service)

    def deadline(self) -> float | None:
        """Return the deadline of a try that begins now, epoch seconds."""
        if self._settings.execution_timeout is None:
            return None
        seconds = self._settings.execution_timeout.total_seconds()
        return time.time() + seconds - min(_DEADLINE_MARGIN, seconds / 4)

    @property
    def timeout_is_over(self) -> str:
        """The beginning of the message at the deadline."""
        return f"execution_timeout ({self._settings.execution_timeout}) is nearly over."

    def take(
        self,
        claim: Claim,
        state: StartState,
        interval: float,
        deadline: float | None,
        check: Callable[[JobDefinition], None],
    ) -> JobRun:
        """Return the run, found or started; defer where that takes longer.

        :param claim: without the job's definition, which is looked up here
        :param interval: seconds between polls
        :param deadline: epoch seconds
        :param check: is given the job's definition before anything is started; its exceptions end the task
        :raises AirflowFailException: (no retry) AWS refuses the job or its arguments
        :raises AirflowException: (retry) AWS refuses otherwise, or the task was killed
        :raises AirflowTaskTimeout: the deadline came first
        """
        self.key = claim.key
        self.prepare_kill()
        try:
            decision = self._first_run(claim, state, interval, deadline, check)
        except BadRequest as error:
            raise AirflowFailException(str(error)) from error
        except AwsFailure as error:
            raise AirflowException(str(error)) from error
        except BaseException:
            # A kill on Airflow 2 raises in the middle of a call: also of a StartJobRun that AWS may have accepted.
            if self._killed:
                self._log.info("%s", self.stop())
            raise
        if decision.run is None:
            raise AirflowTaskTimeout(f"{self.timeout_is_over} {self.stop()} At the last poll: {decision.message}")
        self.own_run_id = decision.run.run_id if decision.run.key == claim.key else None
        return decision.run

    def _first_run(
        self,
        claim: Claim,
        state: StartState,
        interval: float,
        deadline: float | None,
        check: Callable[[JobDefinition], None],
    ) -> StartDecision:
        """Return the decision that names the run; one without a run if the deadline came first."""
        client, log, name = self.client("glue"), self._log.info, self._settings.job_name
        definition = Poll(lambda: JobDefinition.get(client, name), lambda job: "", log)
        while (job := definition()) is None:
            if self._passes(definition.pause(interval), deadline):
                return StartDecision(state, f"Glue did not return the job {name!r}.")
        check(job)
        claim = replace(claim, job=job)
        once, decision = self.client("glue", resend=False), StartDecision(state, "", brief=True)
        poll = Poll(
            lambda: start_once.advance(client, once, claim, decision.state), lambda decision: decision.message, log
        )
        while True:
            decision = poll() or decision
            if decision.run is not None:
                return decision
            self.leave_if_killed()
            if self._settings.deferrable and not decision.brief:
                self._defer(
                    GlueTurnTrigger(
                        claim=claim.as_dict(),
                        state=decision.state.as_dict(),
                        stop_on_kill=self._settings.stop_on_kill,
                        **base.arguments(self._settings.connection, interval, deadline),
                    )
                )
            pause = min(interval, start_once.SETTLING / 3) if decision.brief else interval
            if self._passes(poll.pause(pause), deadline):
                return decision._replace(run=None)

    def wait(
        self,
        run: JobRun,
        carried: dict[str, Any],
        interval: float,
        deadline: float | None,
        trigger: type[GlueJobRunTrigger] = GlueJobRunTrigger,
    ) -> RunEvent:
        """Return the end of the run, or of the wait for it; defer where the operator is deferrable.

        :param carried: what the operator needs when it resumes
        """
        wait = RunWait(run.job_name, run.run_id, carried)
        if run.ended:
            return RunEnded(wait, run)
        if self._settings.deferrable:
            self._defer(
                trigger(
                    job_name=run.job_name,
                    run_id=run.run_id,
                    carried=carried,
                    stop_on_kill=self.own_run_id is not None and self._settings.stop_on_kill,
                    **base.arguments(self._settings.connection, interval, deadline),
                )
            )
        client = self.client("glue")
        poll = Poll(
            lambda: job_runs.get(client, run.job_name, run.run_id),
            lambda run: f"Run {run.run_id} of {run.job_name}: {run.state}.",
            self._log.info,
        )
        while True:
            try:
                found = poll()
            except AwsFailure as error:
                return WaitFailed(wait, str(error))
            self.leave_if_killed()
            if found is not None and found.ended:
                return RunEnded(wait, found)
            if self._passes(poll.pause(interval), deadline):
                return DeadlineReached(wait)

    def stop(self, context: Context | None = None) -> str:
        """Stop the run that this task started, known or found by its key; return a message. Never raises."""
        if not self._settings.stop_on_kill:
            return "A run that the task started goes on: stop_job_run_on_kill is off."
        try:
            stopper = self.stopper()
            if self.own_run_id is not None:
                runs = [self.own_run_id]
                job_runs.stop(stopper, self._settings.job_name, self.own_run_id)
                message = f"Run {self.own_run_id} of {self._settings.job_name} is being stopped."
            else:
                context = context or current_context()
                key = self.key or (run_key(context) if context else None)
                runs = start_once.stop_own(stopper, self._settings.job_name, key) if key else []
                message = f"Stopping: {', '.join(runs)}." if runs else "The task has no active run."
            more = self._stop_more(runs)
        except Exception as error:
            return f"A run that the task started may go on, and a retry finds it: {error}"
        return f"{message} Also stopped: {', '.join(more)}." if more else message

    def kill(self) -> None:
        """Stop the run in on_kill, which is called from a signal handler: few calls, own clients, no log line."""
        if self._killed:
            return
        self._killed = "The task was killed"
        if not self._settings.stop_on_kill:
            self._killed += "; a run that it started goes on, as stop_job_run_on_kill is off."
            return
        self._killed += f". {self.stop()}"

    def leave_if_killed(self) -> None:
        """End the task after a kill, when its run has ended or time is up: Airflow 3 lets execute go on after on_kill.

        :raises AirflowException: the task was killed
        """
        if not self._killed:
            return
        client, run_id, until = self.stopper(), self.own_run_id, time.monotonic() + _CONFIRM_WITHIN
        while run_id is not None and self._settings.stop_on_kill and time.monotonic() < until:
            try:
                run = job_runs.get(client, self._settings.job_name, run_id)
            except Exception:
                break
            if run.ended:
                raise AirflowException(f"{self._killed} It has ended: {run.state}.")
            if not run.stopping:  # started while on_kill listed the runs
                self._killed = f"The task was killed. {self.stop()}"
            time.sleep(0.2)
        raise AirflowException(self._killed)

    def _passes(self, seconds: float, deadline: float | None) -> bool:
        """Sleep; return True as soon as the deadline has passed.

        :raises AirflowException: the task was killed meanwhile
        """
        until = time.time() + seconds
        while (now := time.time()) < until:
            self.leave_if_killed()
            if deadline is not None and now >= deadline:
                return True
            time.sleep(max(0.0, min(0.5, until - now)))
        self.leave_if_killed()
        return deadline is not None and time.time() >= deadline
