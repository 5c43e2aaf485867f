"""GlueMonthlyJobOperator: a Glue job run for one month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_lakehouse_provider._airflow.compat import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    BaseOperator,
    BaseTrigger,
    default_deferrable,
    publish_event,
)
from airflow_lakehouse_provider._airflow.connection import AwsConnection
from airflow_lakehouse_provider.aws import job_runs, start_once
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.report import error_log, report_or_none
from airflow_lakehouse_provider.aws.start_once import ON_ACTIVE_RUN, Claim, JobDefinition, StartState, Unit
from airflow_lakehouse_provider.links import glue as links
from airflow_lakehouse_provider.links.console import store_addresses
from airflow_lakehouse_provider.month import Month
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
from airflow_lakehouse_provider.operators.task_run import RunSettings, TaskRun
from airflow_lakehouse_provider.triggers import events
from airflow_lakehouse_provider.triggers.events import (
    DeadlineReached,
    Event,
    EventError,
    RunEnded,
    RunWait,
    TurnReady,
    WaitFailed,
)

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context


class GlueMonthlyJobOperator(BaseOperator):
    """Run a Glue job for one month, once, and wait for its end.

    The run carries the task's run key in its arguments (``--lakehouse-run-key``). So a retry after a failed wait, a
    lost reply or a killed worker finds its run, and waits for it or takes its success; a retry after the run itself
    failed, and a clear, start a new one. Before a start, active runs of the same unit of work (job, year, month and
    ``unit_args``) are looked up: one that this task started before it was cleared is stopped; for any other see
    ``on_active_run``.

    The month comes from ``year`` and ``month``, else from the DAG run's params, else from its conf, else from the start
    of its data interval; null counts as absent.

    Returns ``{job_name, run_id, year, month, state, started_on, completed_on, execution_seconds, dpu_seconds, attempts,
    report}``, each also as an XCom of its own (``clean.output["completed_on"]``). Times are ISO 8601 text in UTC;
    ``report`` is the JSON object that the script wrote to the address in its argument ``--report_uri``, or None.

    All arguments but the flags are templated.

    :param job_name: the Glue job
    :param year: four digits; give both year and month, or neither
    :param month: 1 to 12
    :param month_arguments: the names of the script's two arguments for the month
    :param unit_args: names among ``script_args`` that belong to the unit of work: with ``("--service",)`` yellow and
        green of one month are two, and may run side by side
    :param script_args: the script's other arguments, ``{"--service": "yellow"}``, all text
    :param run_job_kwargs: further members of StartJobRun, such as ``{"WorkerType": "G.2X", "NumberOfWorkers": 4}``
    :param on_active_run: the reaction to another task's active run of the unit: "wait" for its end and start then,
        "attach" to it as if it were this task's, or "fail"
    :param job_poll_interval: seconds between polls of the run
    :param stop_job_run_on_kill: whether the run is stopped when the task is killed or reaches its execution_timeout;
        one that this task did not start is never stopped
    :param log_tail: number of lines of the run's error log in the message about a failure
    :param aws_conn_id: Airflow connection for AWS; None for botocore's own chain of credentials
    :param region_name: AWS region; default: the connection's
    :param verify: whether TLS certificates are verified, or the path of a CA bundle; default: the
        connection's
    :param botocore_config: arguments of botocore's Config
    :param deferrable: whether the triggerer waits; default: ``[operators] default_deferrable``
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
        self._made: TaskRun | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        return self._take(context, StartState(first_try=is_first_try(context)), self._run.deadline())

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resume the task after a deferral."""
        try:
            found = events.parse(event)
        except EventError as error:
            raise AirflowException(str(error)) from error
        if isinstance(found, TurnReady):
            return self._take(context, found.wait.state, found.wait.deadline)
        self._run.prepare_kill()
        return self._outcome(context, found)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume as Airflow does, also after a deferral that it ended itself without calling execute_complete."""
        error = str((next_kwargs or {}).get("error", ""))
        if next_method == "__fail__" and "timeout" in error.lower():
            raise AirflowTaskTimeout(f"{error}. {self._run.stop(context)}")
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        self._run.kill()

    def _take(self, context: Context, state: StartState, deadline: float | None) -> dict[str, Any]:
        """Find or start the run; then wait for it."""
        claim, month, interval = self._checked(context)
        run = self._run.take(claim, state, interval, deadline, lambda job: self._warn_of_bookmarks(job, claim))
        addresses = links.run_addresses(self._run.client("glue"), run.job_name, run.run_id, run.error_log)
        self.log.info("Run %s of %s: %s", run.run_id, run.job_name, addresses[links.GlueJobRunLink.key])
        store_addresses(self, context, addresses)
        self._run.leave_if_killed()
        carried = {
            "month": str(month),
            "report_uri": claim.arguments.get(REPORT_URI),
            "own": self._run.own_run_id is not None,
            "deadline": deadline,
        }
        return self._outcome(context, self._run.wait(run, carried, interval, deadline))

    def _checked(self, context: Context) -> tuple[Claim, Month, float]:
        """Return the request for a run, its month, and the seconds between polls, checked; call no AWS."""
        try:
            month, source = month_of(context, self.year, self.month)
            arguments, names = run_arguments(month, self.month_arguments, self.script_args)
            unit = Unit.of_arguments(self.job_name, names, checked_unit(self.unit_args, arguments, names), arguments)
            options = checked_options(self.run_job_kwargs)
            on_active_run = checked_choice("on_active_run", self.on_active_run, ON_ACTIVE_RUN)
            interval = checked_seconds("job_poll_interval", self.job_poll_interval)
            self._tail_lines()
        except ValueError as error:
            raise AirflowFailException(str(error)) from error
        self.log.info("Month %s, from %s.", month, source)
        job = JobDefinition(self.job_name, {}, {}, 1)
        return Claim(job, unit, run_key(context), arguments, options, on_active_run), month, interval

    def _warn_of_bookmarks(self, job: JobDefinition, claim: Claim) -> None:
        if job.keeps_bookmarks(claim.arguments):
            self.log.warning(
                "Job bookmarks are on for %s: a rerun of a month will read nothing, as Glue skips what an earlier run "
                "read. Set --job-bookmark-option to job-bookmark-disable in the job.",
                self.job_name,
            )

    def _outcome(self, context: Context, event: Event) -> dict[str, Any]:
        """Return the task's result after a wait, or raise its failure."""
        if not isinstance(event.wait, RunWait):
            if isinstance(event, DeadlineReached):
                raise AirflowTaskTimeout(f"{self._run.timeout_is_over} {self._run.stop(context)}")
            raise AirflowException(f"The wait for a run of {self.job_name} failed: {_reason(event)}")
        wait = event.wait
        month, own = Month.parse(wait.carried["month"]), wait.carried["own"]
        self._run.own_run_id = wait.run_id if own else None
        if isinstance(event, DeadlineReached):
            raise AirflowTaskTimeout(
                f"{self._run.timeout_is_over} Run {wait.run_id} of {wait.job_name} for {month} has not ended. "
                f"{self._run.stop(context)}"
            )
        if not isinstance(event, RunEnded):
            raise AirflowException(
                f"Run {wait.run_id} of {wait.job_name} for {month} can no longer be watched; it may go on, and a retry "
                f"finds it. {_reason(event)}"
            )
        run = event.run
        self._run.own_run_id = None  # it has ended: nothing to stop
        client = self._run.client("glue")
        store_addresses(self, context, links.run_addresses(client, run.job_name, run.run_id, run.error_log))
        if not run.succeeded:
            if own and self._runs_again(context, run):
                return self._take(context, StartState(first_try=False), wait.carried["deadline"])
            place = {"region": client.meta.region_name, "partition": client.meta.partition}
            tail = error_log(lambda: self._run.client("logs"), run, self._tail_lines())
            raise AirflowException(job_runs.failure(run, month, **place, tail=tail))
        report = report_or_none(lambda: self._run.client("s3"), wait.carried["report_uri"], self.log)
        event_extra = {"year": month.year, "month": month.month, "run_id": run.run_id}
        publish_event(self, context, {**event_extra, "rows": (report or {}).get("rows_kept")})
        return {
            "job_name": run.job_name,
            "run_id": run.run_id,
            "year": month.year,
            "month": month.month,
            "state": run.state,
            "started_on": run.started_on,
            "completed_on": run.completed_on,
            "execution_seconds": run.execution_seconds,
            "dpu_seconds": run.dpu_seconds,
            "attempts": run.attempts,
            "report": report,
        }

    @property
    def _connection(self) -> AwsConnection:
        config = dict(self.botocore_config) if self.botocore_config else None
        return AwsConnection(self.aws_conn_id, self.region_name, self.verify, config)

    @property
    def _run(self) -> TaskRun:
        """The task's run, made once the templates are rendered: the connection is among them."""
        if self._made is None:
            settings = RunSettings(
                self._connection,
                self.job_name,
                self.deferrable,
                self.execution_timeout,
                stop_on_kill=self.stop_job_run_on_kill,
            )
            self._made = TaskRun(settings, log=self.log, defer=self._defer)
        return self._made

    def _defer(self, trigger: BaseTrigger) -> NoReturn:
        self.defer(trigger=trigger, method_name="execute_complete")
        raise AssertionError  # defer never returns

    def _tail_lines(self) -> int:
        return int(checked_seconds("log_tail", self.log_tail, least=0))

    def _runs_again(self, context: Context, run: JobRun) -> bool:
        """Return True if Glue itself retries the failed run (the job's MaxRetries), with the same arguments and key."""
        try:
            runs = start_once.list_runs(self._run.client("glue"), run.job_name)
        except Exception as error:
            self.log.warning("Could not see whether Glue retries run %s: %s", run.run_id, error)
            return False
        again = [other.run_id for other in runs if other.key == run_key(context) and not other.ended]
        if again:
            self.log.info("Run %s ended %s, and Glue itself retries it: %s.", run.run_id, run.state, again[0])
        return bool(again)


def _reason(event: Event) -> str:
    return event.message if isinstance(event, WaitFailed) else f"unexpected event {type(event).__name__}"
