"""GlueMonthlyJobOperator: a Glue job's run for one month."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_lakehouse_provider._airflow.compat import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    BaseOperator,
    default_deferrable,
    publish_event,
)
from airflow_lakehouse_provider._airflow.connection import AwsConnection
from airflow_lakehouse_provider.aws import job_runs, start_once
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.report import error_log, report_or_none
from airflow_lakehouse_provider.aws.start_once import ON_ACTIVE_RUN, Claim, Job, Memory, Unit
from airflow_lakehouse_provider.links import glue as links
from airflow_lakehouse_provider.links.console import store_addresses
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
from airflow_lakehouse_provider.operators.task_run import TaskRun
from airflow_lakehouse_provider.triggers.glue import GlueJobRunTrigger

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context


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
        self._made: TaskRun | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        return self._take(context, Memory(first_try=is_first_try(context)), self._run.deadline())

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Where the task goes on after a deferral."""
        if not event:
            raise AirflowException("The trigger came back without an event; a retry finds the Glue run, if any.")
        if event["status"] == "turn":
            return self._take(context, Memory(**event["memory"]), event["deadline"])
        self._run.prepare_kill()
        return self._outcome(context, event)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Airflow's way back from a deferral, also from one that it ended itself, past execute_complete."""
        error = str((next_kwargs or {}).get("error", ""))
        if next_method == "__fail__" and "timeout" in error.lower():
            raise AirflowTaskTimeout(f"{error}. {self._run.stop(context)}")
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        self._run.kill()

    def _take(self, context: Context, memory: Memory, deadline: float | None) -> dict[str, Any]:
        """Find or start the run; then wait for it."""
        claim, interval = self._checked(context)
        run = self._run.take(claim, memory, interval, deadline, lambda job: self._warn_of_bookmarks(job, claim))
        own = self._run.own_run_id is not None
        addresses = links.run_addresses(self._run.client("glue"), run.job_name, run.run_id, run.error_log)
        self.log.info("Run %s of %s: %s", run.run_id, run.job_name, addresses[links.GlueJobRunLink.key])
        store_addresses(self, context, addresses)
        self._run.leave_if_killed()
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
        return self._outcome(context, {**about, **self._run.wait(run, interval, deadline)})

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

    def _warn_of_bookmarks(self, job: Job, claim: Claim) -> None:
        if job.keeps_bookmarks(claim.arguments):
            self.log.warning(
                "Job bookmarks are on for %s: a rerun of a month will read nothing, as Glue remembers what was read "
                "before. Set --job-bookmark-option to job-bookmark-disable in the job.",
                self.job_name,
            )

    def _outcome(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """The task's result, of an event; or its failure."""
        if event["status"] == "deadline" and "run_id" not in event:
            raise AirflowTaskTimeout(f"{self._run.timeout_is_over} {self._run.stop(context)}")
        if event["status"] != "ended" and "run_id" not in event:
            raise AirflowException(f"The wait to start {event['job_name']} ended: {event.get('message')}")
        job_name, run_id, carried = event["job_name"], event["run_id"], event["carried"]
        month = f"{carried['year']}-{carried['month']:02d}"
        self._run.own_run_id = run_id if carried.get("own", True) else None
        if event["status"] == "deadline":
            raise AirflowTaskTimeout(
                f"{self._run.timeout_is_over} Run {run_id} of {job_name} for {month} goes on. {self._run.stop(context)}"
            )
        if event["status"] != "ended":
            raise AirflowException(
                f"Run {run_id} of {job_name} for {month} can no longer be watched; it may go on, and a retry finds it. "
                f"{event.get('message')}"
            )
        run = JobRun(**event["run"])
        self._run.own_run_id = None  # it has ended: nothing to stop
        client = self._run.client("glue")
        store_addresses(self, context, links.run_addresses(client, job_name, run_id, run.error_log))
        if not run.succeeded:
            if carried.get("own", True) and self._runs_again(context, run):
                return self._take(context, Memory(first_try=False), carried.get("deadline"))
            where = {"region": client.meta.region_name, "partition": client.meta.partition}
            raise AirflowException(
                job_runs.failure(
                    run, month, **where, tail=error_log(lambda: self._run.client("logs"), run, self._tail_lines())
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
            "report": report_or_none(lambda: self._run.client("s3"), carried.get("report_uri"), self.log),
        }
        rows = (result["report"] or {}).get("rows_kept")
        publish_event(self, context, {**{key: result[key] for key in ("year", "month", "run_id")}, "rows": rows})
        return result

    @property
    def _connection(self) -> AwsConnection:
        config = dict(self.botocore_config) if self.botocore_config else None
        return AwsConnection(self.aws_conn_id, self.region_name, self.verify, config)

    @property
    def _run(self) -> TaskRun:
        """Made when the templates are rendered, of which the connection is one."""
        if self._made is None:
            self._made = TaskRun(self, self._connection, self.job_name, stops=self.stop_job_run_on_kill)
        return self._made

    def _tail_lines(self) -> int:
        return int(checked_seconds("log_tail", self.log_tail, least=0))

    def _runs_again(self, context: Context, run: JobRun) -> bool:
        """Whether Glue itself retries the run that failed (the job's MaxRetries): with the same arguments and key."""
        try:
            runs = start_once.list_runs(self._run.client("glue"), run.job_name)
        except Exception as error:
            self.log.warning("Whether Glue retries run %s could not be seen: %s", run.run_id, error)
            return False
        again = [other.run_id for other in runs if other.key == run_key(context) and not other.ended]
        if again:
            self.log.info("Run %s ended %s, and Glue itself retries it: %s.", run.run_id, run.state, again[0])
        return bool(again)
