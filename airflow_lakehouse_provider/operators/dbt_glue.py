"""dbt in a Glue job, from the task's side: the request in S3, the job run, the verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_lakehouse_provider._airflow.compat import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    BaseTrigger,
)
from airflow_lakehouse_provider.aws import job_runs
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.report import error_log
from airflow_lakehouse_provider.aws.start_once import Claim, JobDefinition, StartState, Unit
from airflow_lakehouse_provider.dbt.documents import VersionError
from airflow_lakehouse_provider.dbt.glue_job import (
    PYTHON_SHELL,
    REQUEST_ARGUMENT,
    TASK_ARGUMENT,
    read_verdict,
    stop_queries,
)
from airflow_lakehouse_provider.dbt.project import Project, ProjectError, pack
from airflow_lakehouse_provider.dbt.request import DbtRequest
from airflow_lakehouse_provider.dbt.scratch import Cache, digest
from airflow_lakehouse_provider.dbt.verdict import DbtVerdict
from airflow_lakehouse_provider.links import glue as links
from airflow_lakehouse_provider.operators.task_key import is_first_try, run_key
from airflow_lakehouse_provider.operators.task_run import RunSettings, TaskRun
from airflow_lakehouse_provider.publishing import objects
from airflow_lakehouse_provider.s3_uri import split_s3_uri
from airflow_lakehouse_provider.triggers.dbt import DbtGlueRunTrigger
from airflow_lakehouse_provider.triggers.events import DeadlineReached, Event, RunEnded, RunWait, TurnReady, WaitFailed

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context

# Services, besides Glue, that a kill calls.
SERVICES = ("s3", "athena")
# Seconds to stop the queries of a run that a kill stopped; of one that ended without a verdict.
_QUERIES_WITHIN, _LEFT_WITHIN = 1.5, 10.0
# Lines of the job's error log in an exception, where there is no verdict.
_TAIL = 25


@dataclass(frozen=True)
class InGlueSettings:
    """The arguments of an operator that its DbtInGlue needs, with templates rendered.

    :ivar run: those of the job run; its services are SERVICES
    :ivar command: dbt's command, for messages
    :ivar poll_interval: seconds between polls of the job run
    :ivar task_uri: the address under which the artifacts of the task instance are kept
    """

    run: RunSettings
    command: str
    poll_interval: float
    task_uri: str


class DbtInGlue:
    """The dbt of a task, in a Glue job.

    :param settings: the operator's
    :param context: of the task instance
    :param log: the task's logger
    :param defer: defers the task by a trigger; ``execute_complete`` resumes it
    """

    def __init__(
        self,
        settings: InGlueSettings,
        context: Context,
        *,
        log: Any,
        defer: Callable[[BaseTrigger], NoReturn],
    ) -> None:
        self._settings = settings
        self._log = log
        self._key = run_key(context)
        self._run = TaskRun(settings.run, log=log, defer=defer, stop_more=self._stop_queries)
        self._run.key = self._key

    def take(self, context: Context, request: DbtRequest) -> DbtVerdict:
        """Find or start the job run and wait for it; deferred, where the operator is."""
        return self._take(context, request, StartState(first_try=is_first_try(context)), self._run.deadline())

    def _take(
        self, context: Context, request: DbtRequest | None, state: StartState, deadline: float | None
    ) -> DbtVerdict:
        """Find or start the job run and wait for it.

        :param request: None when the task resumes: it is in S3 already
        """
        name, task_uri = self._settings.run.job_name, self._settings.task_uri
        arguments = {REQUEST_ARGUMENT: self._request_uri(context), TASK_ARGUMENT: task_uri}
        unit = Unit(name, ("", ""), ((TASK_ARGUMENT, task_uri),))
        claim = Claim(JobDefinition(name, {}, {}, 1), unit, self._key, arguments)

        def check(job: JobDefinition) -> None:
            if job.command == "pythonshell":
                raise AirflowFailException(f"The Glue job {name!r} cannot run dbt. {PYTHON_SHELL}")
            if request is not None:
                document = replace(request, project=self._upload_project(request.project)).dump()
                objects.write(self._run.client("s3"), self._request_uri(context), document)

        interval = self._settings.poll_interval
        run = self._run.take(claim, state, interval, deadline, check)
        addresses = links.run_addresses(self._run.client("glue"), run.job_name, run.run_id, run.error_log)
        self._log.info("Run %s of %s: %s", run.run_id, run.job_name, addresses[links.GlueJobRunLink.key])
        self._run.leave_if_killed()
        event = self._run.wait(run, {"folder": self._folder}, interval, deadline, DbtGlueRunTrigger)
        return self._conclude(context, event)

    def resume(self, context: Context, event: Event) -> DbtVerdict:
        """Continue after a deferral."""
        if isinstance(event, TurnReady):
            return self._take(context, None, event.wait.state, event.wait.deadline)
        if isinstance(event.wait, RunWait):
            self._run.own_run_id = event.wait.run_id
        return self._conclude(context, event)

    def _conclude(self, context: Context, event: Event) -> DbtVerdict:
        """Return the verdict of the run that ended.

        :raises AirflowTaskTimeout: the deadline came first
        :raises AirflowException: the wait failed
        """
        if isinstance(event, RunEnded):
            return self._verdict(event.run)
        if isinstance(event, DeadlineReached):
            raise AirflowTaskTimeout(f"{self._run.timeout_is_over} {self._run.stop(context)}")
        reason = event.message if isinstance(event, WaitFailed) else f"an unexpected event, {type(event).__name__}"
        raise AirflowException(f"The wait for dbt in Glue failed, a retry finds its run: {reason}")

    def _verdict(self, run: JobRun) -> DbtVerdict:
        """Return the verdict of a run that has ended.

        :raises AirflowFailException: the job's script is of another version
        :raises AirflowException: the run left no verdict
        """
        s3, athena = self._run.client("s3"), self._run.client("athena")
        self._run.own_run_id = None  # it has ended: nothing to stop
        try:
            verdict = read_verdict(s3, self._folder, run.run_id)
            if verdict is not None and not run.stopping and run.state != "STOPPED":
                return verdict
            stopped = stop_queries(s3, athena, self._folder, run.run_id, _LEFT_WITHIN)
        except VersionError as error:
            raise AirflowFailException(str(error)) from error
        meta = self._run.client("glue").meta
        tail = error_log(lambda: self._run.client("logs"), run, _TAIL)
        title = f"dbt {self._settings.command}"
        message = job_runs.failure(run, title, region=meta.region_name, partition=meta.partition, tail=tail)
        raise AirflowException(f"{message}\nAthena queries stopped: {', '.join(stopped)}" if stopped else message)

    def prepare_kill(self) -> None:
        """Make the clients of a kill beforehand: a kill has no time for it."""
        self._run.prepare_kill()

    def kill(self) -> None:
        """Stop the job run and its queries, from a signal handler: few calls, no log line."""
        self._run.kill()

    def stop(self, context: Context) -> str:
        """Stop the task's job run and its queries; return a message. Never raises."""
        return self._run.stop(context)

    def _stop_queries(self, runs: Sequence[str]) -> list[str]:
        s3, athena = self._run.stopper("s3"), self._run.stopper("athena")
        return [query for run in runs for query in stop_queries(s3, athena, self._folder, run, _QUERIES_WITHIN)]

    def _upload_project(self, source: str) -> str:
        """Return the project's address for Glue; a worker's directory or zip is put into S3, once per content."""
        if source.startswith("s3://"):
            return source
        s3 = self._run.client("s3")
        try:
            with Project.at(source, Cache(), lambda: s3) as project, tempfile.TemporaryDirectory() as folder:
                archive = Path(folder) / "project.zip"
                pack(project, archive)
                name = f"{project.name}-{project.fingerprint()[:32]}.zip"
                uri = f"{self._settings.task_uri.rpartition('/')[0]}/projects/{name}"
                bucket, key = split_s3_uri(uri)
                try:
                    s3.head_object(Bucket=bucket, Key=key)
                except s3.exceptions.ClientError:
                    s3.upload_file(str(archive), bucket, key)
        except ProjectError as error:
            raise AirflowFailException(str(error)) from error
        return uri

    @property
    def _folder(self) -> str:
        """The folder of request and verdict, which tasks of another run key do not share."""
        return f"{self._settings.task_uri}/glue-{digest(str(self._key))[:12]}"

    def _request_uri(self, context: Context) -> str:
        number = int(getattr(context["ti"], "try_number", 1) or 1)
        return f"{self._folder}/request-{number}.json"
