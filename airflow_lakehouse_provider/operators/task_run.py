"""The Glue run of one task: found or started, waited for here or in the triggerer, stopped with the task."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_lakehouse_provider._airflow.compat import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    current_context,
)
from airflow_lakehouse_provider._airflow.connection import AwsConnection
from airflow_lakehouse_provider.aws import job_runs, start_once
from airflow_lakehouse_provider.aws.errors import AwsFailure, BadRequest
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.polling import Look
from airflow_lakehouse_provider.aws.run_key import RunKey
from airflow_lakehouse_provider.aws.start_once import Claim, Job, Memory
from airflow_lakehouse_provider.operators.task_key import run_key
from airflow_lakehouse_provider.triggers.glue import GlueTurnTrigger

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context

# Before `execution_timeout` runs out: enough to stop the run and say so.
_DEADLINE_MARGIN = 60.0
# Seconds that a killed task may take: Airflow 3 sends SIGKILL after 5.
_STOP_WITHIN, _CONFIRM_WITHIN = 1.5, 1.5


class TaskRun:
    """What a task and its Glue run are to each other.

    :param operator: the task, whose templates are rendered
    :param job_name: the Glue job
    :param stops: whether the run is stopped when the task is killed or out of time; if it is this task's own
    :param services: of AWS, besides Glue, that ``stop_more`` calls
    :param stop_more: of the runs that were told to stop, stops what would outlive them: the names of it
    :ivar key: of the task, once it is known
    :ivar own_run_id: the run, while it is active and this task's to stop
    """

    def __init__(
        self,
        operator: Any,
        connection: AwsConnection,
        job_name: str,
        *,
        stops: bool = True,
        services: Sequence[str] = (),
        stop_more: Callable[[Sequence[str]], Sequence[str]] = lambda _: (),
    ) -> None:
        self.key: RunKey | None = None
        self.own_run_id: str | None = None
        self._operator = operator
        self._connection = connection
        self._job_name = job_name
        self._stops = stops
        self._services = ("glue", *services)
        self._stop_more = stop_more
        self._clients: dict[str, Any] = {}
        self._killed = ""

    def client(self, service: str, *, resend: bool = True) -> Any:
        name = f"{service} {resend}"
        if name not in self._clients:
            self._clients[name] = self._connection.client(service, resend=resend)
        return self._clients[name]

    def stopper(self, service: str = "glue") -> Any:
        """A client for a kill, used by nothing that a kill may interrupt."""
        name = f"stop {service}"
        if name not in self._clients:
            self._clients[name] = self._connection.client(service, resend=False, timeout=_STOP_WITHIN)
        return self._clients[name]

    def prepare_kill(self) -> None:
        """Before there is anything to stop: a kill has no time to make clients, and may ask Airflow nothing."""
        for service in self._services:
            self.stopper(service)

    def deadline(self) -> float | None:
        """Of a try that begins now, epoch seconds."""
        if self._operator.execution_timeout is None:
            return None
        seconds: float = self._operator.execution_timeout.total_seconds()
        return time.time() + seconds - min(_DEADLINE_MARGIN, seconds / 4)

    @property
    def timeout_is_over(self) -> str:
        return f"execution_timeout ({self._operator.execution_timeout}) is nearly over."

    def take(
        self, claim: Claim, memory: Memory, interval: float, deadline: float | None, seen: Callable[[Job], None]
    ) -> JobRun:
        """The run, found or started; deferred where that takes longer.

        :param claim: its job's definition is looked up here
        :param seen: is given the job's definition before anything is started; what it raises ends the task
        :raises AirflowFailException: (no retry) AWS refuses the job or its arguments
        :raises AirflowException: (retry) AWS refuses otherwise, or the task was killed
        :raises AirflowTaskTimeout: the deadline came first
        """
        self.key = claim.key
        self.prepare_kill()
        try:
            step = self._first_run(claim, memory, interval, deadline, seen)
        except BadRequest as error:
            raise AirflowFailException(str(error)) from error
        except AwsFailure as error:
            raise AirflowException(str(error)) from error
        except BaseException:
            # Airflow 2 leaves by an exception in the midst of a call: of a start, too, that AWS may have taken.
            if self._killed:
                self._operator.log.info("%s", self.stop())
            raise
        if step.run is None:
            raise AirflowTaskTimeout(f"{self.timeout_is_over} {self.stop()} The last look: {step.doing}")
        self.own_run_id = step.run.run_id if step.run.key == claim.key else None
        return step.run

    def _first_run(
        self, claim: Claim, memory: Memory, interval: float, deadline: float | None, seen: Callable[[Job], None]
    ) -> start_once.Step:
        """A step without a run: the deadline came first."""
        client, log = self.client("glue"), self._operator.log.info
        look = Look(lambda: Job.look(client, self._job_name), lambda job: "", log)
        while (job := look()) is None:
            if self._passes(look.pause(interval), deadline):
                return start_once.Step(memory, f"Glue did not tell of the job {self._job_name!r}.")
        seen(job)
        claim = replace(claim, job=job)
        once, step = self.client("glue", resend=False), start_once.Step(memory, "", brief=True)
        turn = Look(lambda: start_once.advance(client, once, claim, step.memory), lambda step: step.doing, log)
        while True:
            step = turn() or step
            if step.run is not None:
                return step
            self.leave_if_killed()
            if self._operator.deferrable and not step.brief:
                self._operator.defer(
                    trigger=GlueTurnTrigger(
                        claim=claim.as_dict(),
                        memory=step.memory.as_dict(),
                        poll_interval=interval,
                        deadline=deadline,
                        stop_on_kill=self._stops,
                        **self._connection.as_dict(),
                    ),
                    method_name="execute_complete",
                )
            if self._passes(turn.pause(min(interval, start_once.SETTLING / 3) if step.brief else interval), deadline):
                return step._replace(run=None)

    def wait(self, run: JobRun, interval: float, deadline: float | None) -> dict[str, Any]:
        """What the trigger does, here; an event as it gives one."""
        client = self.client("glue")
        look = Look(
            lambda: job_runs.look(client, run.job_name, run.run_id),
            lambda run: f"Run {run.run_id} of {run.job_name}: {run.state}.",
            self._operator.log.info,
        )
        while True:
            try:
                found = look()
            except AwsFailure as error:
                return {"status": "error", "message": str(error)}
            self.leave_if_killed()
            if found is not None and found.ended:
                return {"status": "ended", "run": found.as_dict()}
            if self._passes(look.pause(interval), deadline):
                return {"status": "deadline"}

    def stop(self, context: Context | None = None) -> str:
        """Stop the run that this task started, known or to be found by its key; says what it did. Never raises."""
        if not self._stops:
            return "A run that the task started goes on: stop_job_run_on_kill is off."
        try:
            stopper = self.stopper()
            if self.own_run_id is not None:
                runs = [self.own_run_id]
                job_runs.stop(stopper, self._job_name, self.own_run_id)
                said = f"Run {self.own_run_id} of {self._job_name} was told to stop."
            else:
                context = context or current_context()
                key = self.key or (run_key(context) if context else None)
                runs = start_once.stop_own(stopper, self._job_name, key) if key else []
                said = f"Told to stop: {', '.join(runs)}." if runs else "It had no run that was active."
            more = self._stop_more(runs)
        except Exception as error:
            return f"A run that the task started may go on; a retry finds it: {error}"
        return f"{said} With it: {', '.join(more)}." if more else said

    def kill(self) -> None:
        """Of on_kill. Called from a signal handler: few calls, through clients of its own; no log line."""
        if self._killed:
            return
        self._killed = "The task was killed"
        if not self._stops:
            self._killed += "; a run that it started goes on, as stop_job_run_on_kill is off."
            return
        self._killed += f". {self.stop()}"

    def leave_if_killed(self) -> None:
        """Airflow 3 calls on_kill and lets execute go on: leave it, once the run is seen to end or time is up.

        :raises AirflowException: the task was killed
        """
        if not self._killed:
            return
        client, run_id, until = self.stopper(), self.own_run_id, time.monotonic() + _CONFIRM_WITHIN
        while run_id is not None and self._stops and time.monotonic() < until:
            try:
                run = job_runs.look(client, self._job_name, run_id)
            except Exception:
                break
            if run.ended:
                raise AirflowException(f"{self._killed} It has ended: {run.state}.")
            if not run.stopping:  # started while on_kill looked for it
                self._killed = f"The task was killed. {self.stop()}"
            time.sleep(0.2)
        raise AirflowException(self._killed)

    def _passes(self, seconds: float, deadline: float | None) -> bool:
        """Sleep; True as soon as the deadline is over.

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
