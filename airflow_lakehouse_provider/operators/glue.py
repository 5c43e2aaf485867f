"""GlueMonthlyJobOperator: a Glue job's run for one month."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_lakehouse_provider import links
from airflow_lakehouse_provider._compat import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    BaseOperator,
    default_deferrable,
)
from airflow_lakehouse_provider._compat.connection import AwsConnection
from airflow_lakehouse_provider.aws import job_runs
from airflow_lakehouse_provider.aws.errors import AwsFailure, BadRequest
from airflow_lakehouse_provider.aws.polling import Look
from airflow_lakehouse_provider.month import Month
from airflow_lakehouse_provider.operators.job_arguments import (
    REPORT_URI,
    checked_options,
    checked_seconds,
    run_arguments,
)
from airflow_lakehouse_provider.operators.month_source import month_of
from airflow_lakehouse_provider.triggers.glue import GlueJobRunTrigger

if TYPE_CHECKING:
    from airflow_lakehouse_provider._compat import Context

# Before `execution_timeout` runs out: enough to stop the run and say so.
_DEADLINE_MARGIN = 60.0
_LONGEST_REPORT = 1 << 20


class GlueMonthlyJobOperator(BaseOperator):
    """Run a Glue job for one month, and wait for its end.

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
    :param script_args: the script's other arguments, ``{"--service": "yellow"}``, all text
    :param run_job_kwargs: further members of StartJobRun, such as ``{"WorkerType": "G.2X", "NumberOfWorkers": 4}``
    :param job_poll_interval: seconds between looks at the run
    :param stop_job_run_on_kill: whether the run is stopped when the task is killed or reaches its execution_timeout
    :param log_tail: how many lines of the run's error log a failure shows
    :param aws_conn_id: Airflow connection for AWS; None for botocore's own way to credentials
    :param region_name: default: the connection's
    :param verify: whether TLS certificates are verified, or the path of a CA bundle; default: the connection's choice
    :param botocore_config: arguments of botocore's Config
    :param deferrable: whether the wait is the triggerer's; default: ``[operators] default_deferrable``
    :raises AirflowFailException: (no retry) an argument cannot be used, or there is no such job; nothing was started
    :raises AirflowException: (retry) the run did not succeed
    :raises AirflowTaskTimeout: (retry) the task's execution_timeout is nearly over; the run was stopped
    """

    template_fields: Sequence[str] = (
        "job_name",
        "year",
        "month",
        "month_arguments",
        "script_args",
        "run_job_kwargs",
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
        script_args: Mapping[str, str] | None = None,
        run_job_kwargs: Mapping[str, Any] | None = None,
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
        self.script_args = script_args
        self.run_job_kwargs = run_job_kwargs
        self.job_poll_interval = job_poll_interval
        self.stop_job_run_on_kill = stop_job_run_on_kill
        self.log_tail = log_tail
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.deferrable = default_deferrable() if deferrable is None else deferrable
        self._glue: Any = None
        self._stopper: Any = None
        self._run_id: str | None = None
        self._killed = ""

    def execute(self, context: Context) -> dict[str, Any]:
        try:
            month, source = month_of(context, self.year, self.month)
            arguments = run_arguments(month, self.month_arguments, self.script_args)
            options = checked_options(self.run_job_kwargs)
            interval = checked_seconds("job_poll_interval", self.job_poll_interval)
            self._tail_lines()
        except ValueError as error:
            raise AirflowFailException(str(error)) from error
        self.log.info("Month %s, from %s.", month, source)
        client = self._connection.client("glue", resend=False)
        try:
            run_id = job_runs.start(client, self.job_name, arguments, options)
        except BadRequest as error:
            raise AirflowFailException(str(error)) from error
        except AwsFailure as error:
            raise AirflowException(str(error)) from error
        self._run_id, self._stopper = run_id, client

        addresses = links.run_addresses(
            client, self.job_name, run_id, job_runs.JobRun(self.job_name, run_id, "").error_log
        )
        self.log.info(
            "Started run %s of the Glue job %s: %s", run_id, self.job_name, addresses[links.GlueJobRunLink.key]
        )
        links.show(self, context, addresses)
        deadline = self._deadline()
        carried = {"year": month.year, "month": month.month, "report_uri": arguments.get(REPORT_URI)}
        if self.deferrable:
            self.defer(
                trigger=GlueJobRunTrigger(
                    job_name=self.job_name,
                    run_id=run_id,
                    poll_interval=interval,
                    deadline=deadline,
                    carried=carried,
                    **self._connection.as_dict(),
                ),
                method_name="execute_complete",
            )
        event = self._wait(run_id, interval, deadline)
        return self._outcome(context, {"job_name": self.job_name, "run_id": run_id, "carried": carried, **event})

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Where the task goes on after its deferral."""
        if not event:
            raise AirflowException("The trigger came back without an event; the Glue run may still go on.")
        return self._outcome(context, event)

    def on_kill(self) -> None:
        # Called from a signal handler: one call, through a client that the interrupted code does not use; no log line.
        if self._run_id is None or self._killed:
            return
        self._killed = f"The task was killed; run {self._run_id} of {self.job_name} goes on."
        if not self.stop_job_run_on_kill:
            return
        try:
            job_runs.stop(self._stopper, self.job_name, self._run_id)
            self._killed = f"The task was killed; run {self._run_id} of {self.job_name} was told to stop."
        except Exception as error:
            self._killed += f" {error}"

    @property
    def _connection(self) -> AwsConnection:
        config = dict(self.botocore_config) if self.botocore_config else None
        return AwsConnection(self.aws_conn_id, self.region_name, self.verify, config)

    def _client(self) -> Any:
        if self._glue is None:
            self._glue = self._connection.client("glue")
        return self._glue

    def _tail_lines(self) -> int:
        return int(checked_seconds("log_tail", self.log_tail, least=0))

    def _deadline(self) -> float | None:
        if self.execution_timeout is None:
            return None
        seconds: float = self.execution_timeout.total_seconds()
        return time.time() + seconds - min(_DEADLINE_MARGIN, seconds / 4)

    def _wait(self, run_id: str, interval: float, deadline: float | None) -> dict[str, Any]:
        """What the trigger does, here; an event as it gives one."""
        client = self._client()
        look = Look(
            lambda: job_runs.look(client, self.job_name, run_id),
            lambda run: f"Run {run.run_id} of {run.job_name}: {run.state}.",
            self.log.info,
        )
        while True:
            try:
                run = look()
            except AwsFailure as error:
                return {"status": "error", "message": str(error)}
            if run is not None and run.ended and not self._killed:
                return {"status": "ended", "run": run.as_dict()}
            until = time.time() + interval
            while time.time() < until:
                if self._killed:  # Airflow 3 calls on_kill and lets execute go on
                    raise AirflowException(self._killed)
                if deadline is not None and time.time() >= deadline:
                    return {"status": "deadline"}
                time.sleep(max(0.0, min(1.0, until - time.time())))

    def _outcome(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """The task's result, of an event; or its failure."""
        job_name, run_id, carried = event["job_name"], event["run_id"], event["carried"]
        month = Month(carried["year"], carried["month"])
        client = self._client()
        where = {"region": client.meta.region_name, "partition": client.meta.partition}
        if event["status"] == "deadline":
            raise AirflowTaskTimeout(self._stopped_for_deadline(client, job_name, run_id, month))
        if event["status"] != "ended":
            raise AirflowException(
                f"The run {run_id} of {job_name} for {month} can no longer be watched; it may go on. "
                f"{event.get('message')}"
            )
        run = job_runs.JobRun(**event["run"])
        links.show(self, context, links.run_addresses(client, job_name, run_id, run.error_log))
        if not run.succeeded:
            raise AirflowException(job_runs.failure(run, month, **where, tail=self._error_log(run)))
        return {
            "job_name": job_name,
            "run_id": run_id,
            "year": month.year,
            "month": month.month,
            "state": run.state,
            "started_on": run.started_on,
            "completed_on": run.completed_on,
            "execution_seconds": run.execution_seconds,
            "dpu_seconds": run.dpu_seconds,
            "attempts": run.attempts,
            "report": self._report(carried.get("report_uri")),
        }

    def _stopped_for_deadline(self, client: Any, job_name: str, run_id: str, month: Month) -> str:
        said = (
            f"execution_timeout ({self.execution_timeout}) is nearly over, and run {run_id} of {job_name} for {month} "
        )
        if not self.stop_job_run_on_kill:
            return said + "goes on: stop_job_run_on_kill is off."
        try:
            job_runs.stop(client, job_name, run_id)
            return said + "had not ended: it was told to stop."
        except Exception as error:
            return said + f"goes on: {error}"

    def _error_log(self, run: job_runs.JobRun) -> list[str]:
        """The end of the run's error log; a log that cannot be read fails nothing."""
        try:
            return job_runs.log_tail(self._connection.client("logs"), *run.error_log, self._tail_lines())
        except Exception as error:
            return [f"(The log could not be read: {error})"]

    def _report(self, uri: str | None) -> dict[str, Any] | None:
        """The script's own report; one that is missing or unreadable takes nothing from the run's success."""
        if not uri:
            return None
        try:
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            body = self._connection.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read(_LONGEST_REPORT + 1)
            if len(body) > _LONGEST_REPORT:
                raise ValueError(f"it is longer than {_LONGEST_REPORT} bytes")
            report = json.loads(body)
            if not isinstance(report, dict):
                raise ValueError("it is not a JSON object")
            return report
        except Exception as error:
            self.log.warning("The script's report at %s could not be read: %s", uri, error)
            return None
