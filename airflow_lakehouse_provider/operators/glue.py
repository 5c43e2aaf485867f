"""GlueMonthlyJobOperator: a Glue job's run for one month."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_lakehouse_provider import links
from airflow_lakehouse_provider._compat import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    BaseOperator,
    current_context,
    default_deferrable,
    publish_event,
)
from airflow_lakehouse_provider._compat.connection import AwsConnection
from airflow_lakehouse_provider.aws import job_runs, start_once
from airflow_lakehouse_provider.aws.errors import AwsFailure, BadRequest
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.polling import Look
from airflow_lakehouse_provider.aws.report import error_log, report_or_none
from airflow_lakehouse_provider.aws.start_once import ON_ACTIVE_RUN, Claim, Job, Memory, Unit
from airflow_lakehouse_provider.operators.job_arguments import (
    REPORT_URI,
    checked_choice,
    checked_options,
    checked_seconds,
    checked_unit,
    run_arguments,
)
from airflow_lakehouse_provider.operators.month_source import month_of
from airflow_lakehouse_provider.operators.task_key import is_first_try, run_key
from airflow_lakehouse_provider.triggers.glue import GlueJobRunTrigger, GlueTurnTrigger

if TYPE_CHECKING:
    from airflow_lakehouse_provider._compat import Context

# Before `execution_timeout` runs out: enough to stop the run and say so.
_DEADLINE_MARGIN = 60.0
# Seconds that a killed task may take: Airflow 3 sends SIGKILL after 5.
_STOP_WITHIN, _CONFIRM_WITHIN = 2.0, 1.5


class GlueMonthlyJobOperator(BaseOperator):
    """Run a Glue job for one month, once, and wait for its end.

    The run carries the task's key in its arguments (``--lakehouse-run-key``). So a retry after a failed wait, a lost
    reply or a killed worker finds its run and waits on or takes its success; a retry after the run itself failed, and a
    clear, start a new one. Before a start, an active run of the same unit of work (job, year, month and ``unit_args``)
    is looked for: one that this task started before it was cleared is stopped, for anybody else's see
    ``on_active_run``.

    The month comes from ``year`` and ``month``, else from the DAG run's params, else from its conf, else from the start
    of its data interval; null means absent.

    Returns ``{job_name, run_id, year, month, state, started_on, completed_on, execution_seconds, dpu_seconds, attempts,
    report}``, each also as an XCom of its own (``clean.output["completed_on"]``). Times are ISO 8601 text in UTC;
    ``report`` is the JSON object that the script left where its argument ``--report_uri`` says, or None.

    All but the flags is templated.

    :param job_name: the Glue job
    :param year: four digits; give both year and month, or neither
    :param month: 1 to 12
    :param month_arguments: the names of the script's two arguments for the month
    :param unit_args: names among ``script_args`` that belong to the unit of work: with ``("--service",)`` yellow and
        green of one month are two, and may run side by side
    :param script_args: the script's other arguments, ``{"--service": "yellow"}``, all text
    :param run_job_kwargs: further members of StartJobRun, such as ``{"WorkerType": "G.2X", "NumberOfWorkers": 4}``
    :param on_active_run: what to do about somebody else's active run of the unit: "wait" for its end and start then,
        "attach" to it as if it were this task's, or "fail"
    :param job_poll_interval: seconds between looks at the run
    :param stop_job_run_on_kill: whether the run is stopped when the task is killed or reaches its execution_timeout;
        a run that this task did not start never is
    :param log_tail: how many lines of the run's error log a failure shows
    :param aws_conn_id: Airflow connection for AWS; None for botocore's own way to credentials
    :param region_name: default: the connection's
    :param verify: whether TLS certificates are verified, or the path of a CA bundle; default: the connection's choice
    :param botocore_config: arguments of botocore's Config
    :param deferrable: whether the wait is the triggerer's; default: ``[operators] default_deferrable``
    :raises AirflowFailException: (no retry) an argument cannot be used, or there is no such job; nothing was started
    :raises AirflowException: (retry) the run did not succeed, or can no longer be watched
    :raises AirflowTaskTimeout: (retry) the task's execution_timeout is nearly over; the run was stopped
    """

    template_fields: Sequence[str] = (
        "job_name",
        "year",
        "month",
        "month_arguments",
        "unit_args",
        "script_args",
        "run_job_kwargs",
        "on_active_run",
        "job_poll_interval",
        "log_tail",
        "aws_conn_id",
        "region_name",
        "verify",
        "botocore_config",
    )
    template_fields_renderers = {"script_args": "json", "run_job_kwargs": "json"}  # noqa: RUF012 - Airflow's type
    operator_extra_links = (links.GlueJobRunLink(), links.GlueJobRunLogsLink())
    ui_color = "#e6dcff"

    def __init__(
        self,
        *,
        job_name: str,
        year: int | str | None = None,
        month: int | str | None = None,
        month_arguments: Sequence[str] = ("--YEAR", "--MONTH"),
        unit_args: Sequence[str] = (),
        script_args: Mapping[str, str] | None = None,
        run_job_kwargs: Mapping[str, Any] | None = None,
        on_active_run: str = "wait",
        job_poll_interval: float | str = 30,
        stop_job_run_on_kill: bool = True,
        log_tail: int | str = 25,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"multiple_outputs": True, **kwargs})
        self.job_name = job_name
        self.year = year
        self.month = month
        self.month_arguments = month_arguments
        self.unit_args = unit_args
        self.script_args = script_args
        self.run_job_kwargs = run_job_kwargs
        self.on_active_run = on_active_run
        self.job_poll_interval = job_poll_interval
        self.stop_job_run_on_kill = stop_job_run_on_kill
        self.log_tail = log_tail
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self._clients: dict[str, Any] = {}
        self._own_run_id: str | None = None
        self._starting: Claim | None = None
        self._killed = ""

    def execute(self, context: Context) -> dict[str, Any]:
        return self._take(context, Memory(first_try=is_first_try(context)), self._deadline())

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Where the task goes on after a deferral."""
        if not event:
            raise AirflowException("The trigger came back without an event; a retry finds the Glue run, if any.")
        if event["status"] == "turn":
            return self._take(context, Memory(**event["memory"]), event["deadline"])
        self._stopper()
        return self._outcome(context, event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Airflow's way back from a deferral, also from one that it ended itself, past execute_complete."""
        error = str((next_kwargs or {}).get("error", ""))
        if next_method == "__fail__" and "timeout" in error.lower():
            raise AirflowTaskTimeout(f"{error}. {self._stop_own(context)}")
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        # Called from a signal handler: few calls, through a client that the interrupted code does not use; no log line.
        if self._killed:
            return
        self._killed = "The task was killed"
        if not self.stop_job_run_on_kill:
            self._killed += "; a run that it started goes on, as stop_job_run_on_kill is off."
            return
        self._killed += f". {self._stop_own(None)}"

    def _take(self, context: Context, memory: Memory, deadline: float | None) -> dict[str, Any]:
        """Find or start the run; then wait for it."""
        claim, interval = self._checked(context)
        self._stopper()  # before there is anything that a kill would have to stop
        self._starting = claim
        try:
            step = self._first_run(claim, memory, interval, deadline)
        except BadRequest as error:
            raise AirflowFailException(str(error)) from error
        except AwsFailure as error:
            raise AirflowException(str(error)) from error
        except BaseException:
            # Airflow 2 leaves by an exception in the midst of a call: of a start, too, that AWS may have taken.
            if self._killed:
                self.log.info("%s", self._stop_own(context))
            raise
        run = step.run
        if run is None:  # the deadline came first
            raise AirflowTaskTimeout(f"{self._timeout_is_over} {self._stop_own(context)} The last look: {step.doing}")
        own = run.key == claim.key
        self._own_run_id = run.run_id if own else None
        addresses = links.run_addresses(self._client("glue"), run.job_name, run.run_id, run.error_log)
        self.log.info("Run %s of %s: %s", run.run_id, run.job_name, addresses[links.GlueJobRunLink.key])
        links.show(self, context, addresses)
        self._leave_if_killed()
        carried = {
            "year": int(claim.arguments[claim.unit.month_arguments[0]]),
            "month": int(claim.arguments[claim.unit.month_arguments[1]]),
            "report_uri": claim.arguments.get(REPORT_URI),
            "own": own,
            "deadline": deadline,
        }
        about: dict[str, Any] = {"job_name": run.job_name, "run_id": run.run_id, "carried": carried}
        if run.ended:
            return self._outcome(context, {**about, "status": "ended", "run": run.as_dict()})
        if self.deferrable:
            self.defer(
                trigger=GlueJobRunTrigger(
                    **about,
                    poll_interval=interval,
                    deadline=deadline,
                    stop_on_kill=own and self.stop_job_run_on_kill,
                    **self._connection.as_dict(),
                ),
                method_name="execute_complete",
            )
        return self._outcome(context, {**about, **self._wait(run, interval, deadline)})

    def _checked(self, context: Context) -> tuple[Claim, float]:
        """What is wanted, and how often to look; nothing has been asked of AWS but what the job is."""
        try:
            month, source = month_of(context, self.year, self.month)
            arguments, names = run_arguments(month, self.month_arguments, self.script_args)
            unit = Unit.of(self.job_name, names, checked_unit(self.unit_args, arguments, names), arguments)
            options = checked_options(self.run_job_kwargs)
            on_active_run = checked_choice("on_active_run", self.on_active_run, ON_ACTIVE_RUN)
            interval = checked_seconds("job_poll_interval", self.job_poll_interval)
            self._tail_lines()
        except ValueError as error:
            raise AirflowFailException(str(error)) from error
        self.log.info("Month %s, from %s.", month, source)
        job = Job(self.job_name, {}, {}, 1)
        return Claim(job, unit, run_key(context), arguments, options, on_active_run), interval

    def _first_run(self, claim: Claim, memory: Memory, interval: float, deadline: float | None) -> start_once.Step:
        """Look until there is a run; deferred where it takes longer. A step without a run: the deadline came first."""
        client = self._client("glue")
        look = Look(lambda: Job.look(client, self.job_name), lambda job: "", self.log.info)
        while (job := look()) is None:
            if self._passes(look.pause(interval), deadline):
                return start_once.Step(memory, f"Glue did not tell of the job {self.job_name!r}.")
        claim = self._starting = replace(claim, job=job)
        if job.keeps_bookmarks(claim.arguments):
            self.log.warning(
                "Job bookmarks are on for %s: a rerun of a month will read nothing, as Glue remembers what was read "
                "before. Set --job-bookmark-option to job-bookmark-disable in the job.",
                self.job_name,
            )
        once, step = self._client("glue", resend=False), start_once.Step(memory, "", brief=True)

        def advance() -> start_once.Step:
            return start_once.advance(client, once, claim, step.memory)

        turn = Look(advance, lambda step: step.doing, self.log.info)
        while True:
            step = turn() or step
            if step.run is not None:
                return step
            self._leave_if_killed()
            if self.deferrable and not step.brief:
                self.defer(
                    trigger=GlueTurnTrigger(
                        claim=claim.as_dict(),
                        memory=step.memory.as_dict(),
                        poll_interval=interval,
                        deadline=deadline,
                        stop_on_kill=self.stop_job_run_on_kill,
                        **self._connection.as_dict(),
                    ),
                    method_name="execute_complete",
                )
            if self._passes(turn.pause(min(interval, start_once.SETTLING / 3) if step.brief else interval), deadline):
                return step._replace(run=None)

    def _wait(self, run: JobRun, interval: float, deadline: float | None) -> dict[str, Any]:
        """What the trigger does, here; an event as it gives one."""
        client = self._client("glue")
        look = Look(
            lambda: job_runs.look(client, run.job_name, run.run_id),
            lambda run: f"Run {run.run_id} of {run.job_name}: {run.state}.",
            self.log.info,
        )
        while True:
            try:
                found = look()
            except AwsFailure as error:
                return {"status": "error", "message": str(error)}
            self._leave_if_killed()
            if found is not None and found.ended:
                return {"status": "ended", "run": found.as_dict()}
            if self._passes(look.pause(interval), deadline):
                return {"status": "deadline"}

    def _outcome(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """The task's result, of an event; or its failure."""
        if event["status"] == "deadline" and "run_id" not in event:
            raise AirflowTaskTimeout(f"{self._timeout_is_over} {self._stop_own(context)}")
        if event["status"] != "ended" and "run_id" not in event:
            raise AirflowException(f"The wait to start {event['job_name']} ended: {event.get('message')}")
        job_name, run_id, carried = event["job_name"], event["run_id"], event["carried"]
        month = f"{carried['year']}-{carried['month']:02d}"
        self._own_run_id = run_id if carried.get("own", True) else None
        if event["status"] == "deadline":
            raise AirflowTaskTimeout(
                f"{self._timeout_is_over} Run {run_id} of {job_name} for {month} goes on. {self._stop_own(context)}"
            )
        if event["status"] != "ended":
            raise AirflowException(
                f"Run {run_id} of {job_name} for {month} can no longer be watched; it may go on, and a retry finds it. "
                f"{event.get('message')}"
            )
        run = JobRun(**event["run"])
        self._own_run_id = None  # it has ended: nothing to stop
        client = self._client("glue")
        links.show(self, context, links.run_addresses(client, job_name, run_id, run.error_log))
        if not run.succeeded:
            if carried.get("own", True) and self._runs_again(context, run):
                return self._take(context, Memory(first_try=False), carried.get("deadline"))
            where = {"region": client.meta.region_name, "partition": client.meta.partition}
            raise AirflowException(
                job_runs.failure(
                    run, month, **where, tail=error_log(lambda: self._client("logs"), run, self._tail_lines())
                )
            )
        result = {
            "job_name": job_name,
            "run_id": run_id,
            "year": carried["year"],
            "month": carried["month"],
            "state": run.state,
            "started_on": run.started_on,
            "completed_on": run.completed_on,
            "execution_seconds": run.execution_seconds,
            "dpu_seconds": run.dpu_seconds,
            "attempts": run.attempts,
            "report": report_or_none(lambda: self._client("s3"), carried.get("report_uri"), self.log),
        }
        rows = (result["report"] or {}).get("rows_kept")
        publish_event(self, context, {**{key: result[key] for key in ("year", "month", "run_id")}, "rows": rows})
        return result

    def _stop_own(self, context: Context | None) -> str:
        """Stop the run that this task started, known or to be found by its key; says what it did. Never raises."""
        if not self.stop_job_run_on_kill:
            return "A run that the task started goes on: stop_job_run_on_kill is off."
        try:
            stopper, job_name = self._stopper(), self.job_name
            if self._own_run_id is not None:
                job_runs.stop(stopper, job_name, self._own_run_id)
                return f"Run {self._own_run_id} of {job_name} was told to stop."
            context = context or current_context()
            key = self._starting.key if self._starting else run_key(context) if context else None
            stopped = start_once.stop_own(stopper, job_name, key) if key else []
        except Exception as error:
            return f"A run that the task started may go on; a retry finds it: {error}"
        return f"Told to stop: {', '.join(stopped)}." if stopped else "It had no run that was active."

    def _leave_if_killed(self) -> None:
        """Airflow 3 calls on_kill and lets execute go on: leave it, once the run is seen to end or time is up."""
        if not self._killed:
            return
        client, run_id, until = self._stopper(), self._own_run_id, time.monotonic() + _CONFIRM_WITHIN
        while run_id is not None and self.stop_job_run_on_kill and time.monotonic() < until:
            try:
                run = job_runs.look(client, self.job_name, run_id)
            except Exception:
                break
            if run.ended:
                raise AirflowException(f"{self._killed} It has ended: {run.state}.")
            if not run.stopping:  # started while on_kill looked for it
                self._killed = f"The task was killed. {self._stop_own(None)}"
            time.sleep(0.2)
        raise AirflowException(self._killed)

    def _passes(self, seconds: float, deadline: float | None) -> bool:
        """Sleep; True as soon as the deadline is over.

        :raises AirflowException: the task was killed meanwhile
        """
        until = time.time() + seconds
        while (now := time.time()) < until:
            self._leave_if_killed()
            if deadline is not None and now >= deadline:
                return True
            time.sleep(max(0.0, min(0.5, until - now)))
        self._leave_if_killed()
        return deadline is not None and time.time() >= deadline

    @property
    def _connection(self) -> AwsConnection:
        config = dict(self.botocore_config) if self.botocore_config else None
        return AwsConnection(self.aws_conn_id, self.region_name, self.verify, config)

    def _client(self, service: str, *, resend: bool = True) -> Any:
        name = f"{service} {resend}"
        if name not in self._clients:
            self._clients[name] = self._connection.client(service, resend=resend)
        return self._clients[name]

    def _stopper(self) -> Any:
        """The client of on_kill, used by nothing that on_kill may interrupt."""
        if "stopper" not in self._clients:
            self._clients["stopper"] = self._connection.client("glue", resend=False, timeout=_STOP_WITHIN)
        return self._clients["stopper"]

    def _tail_lines(self) -> int:
        return int(checked_seconds("log_tail", self.log_tail, least=0))

    @property
    def _timeout_is_over(self) -> str:
        return f"execution_timeout ({self.execution_timeout}) is nearly over."

    def _deadline(self) -> float | None:
        """Of this try, epoch seconds."""
        if self.execution_timeout is None:
            return None
        seconds: float = self.execution_timeout.total_seconds()
        return time.time() + seconds - min(_DEADLINE_MARGIN, seconds / 4)

    def _runs_again(self, context: Context, run: JobRun) -> bool:
        """Whether Glue itself retries the run that failed (the job's MaxRetries): with the same arguments and key."""
        try:
            runs = start_once.list_runs(self._client("glue"), run.job_name)
        except Exception as error:
            self.log.warning("Whether Glue retries run %s could not be seen: %s", run.run_id, error)
            return False
        again = [other.run_id for other in runs if other.key == run_key(context) and not other.ended]
        if again:
            self.log.info("Run %s ended %s, and Glue itself retries it: %s.", run.run_id, run.state, again[0])
        return bool(again)
