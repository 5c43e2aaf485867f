"""dbt in a Glue job, seen from the task: what is put into S3 for it, its run, the verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowFailException, AirflowTaskTimeout
from airflow_lakehouse_provider._airflow.connection import AwsConnection
from airflow_lakehouse_provider.aws import job_runs
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.report import error_log
from airflow_lakehouse_provider.aws.start_once import Claim, JobDefinition, StartState, Unit
from airflow_lakehouse_provider.dbt.glue_job import (
    PYTHON_SHELL,
    REQUEST_ARGUMENT,
    TASK_ARGUMENT,
    stop_queries,
    verdict_of,
    write,
)
from airflow_lakehouse_provider.dbt.project import Project, ProjectError, pack
from airflow_lakehouse_provider.dbt.run import Request
from airflow_lakehouse_provider.dbt.scratch import Cache, digest
from airflow_lakehouse_provider.dbt.verdict import Verdict
from airflow_lakehouse_provider.links import glue as links
from airflow_lakehouse_provider.operators.job_arguments import checked_seconds
from airflow_lakehouse_provider.operators.task_key import is_first_try, run_key
from airflow_lakehouse_provider.operators.task_run import RunSettings, TaskRun
from airflow_lakehouse_provider.triggers.dbt import DbtGlueRunTrigger
from airflow_lakehouse_provider.triggers.events import DeadlineReached, Event, RunEnded, RunWait, TurnReady, WaitFailed

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context

# Seconds for the queries of a run that a kill stopped; of one that was found to have died without a word.
_QUERIES_WITHIN, _LEFT_WITHIN = 1.5, 10.0
# Lines of the job's error log in an exception, where dbt came to say nothing.
_TAIL = 25


class GlueForm:
    """A task's dbt in Glue.

    :param operator: the task, whose templates are rendered
    :param context: of the task instance
    :param home: where the artifacts of the task's run are kept
    """

    def __init__(self, operator: Any, context: Context, home: str) -> None:
        self._operator = operator
        self._home = home
        self._key = run_key(context)
        self._interval = checked_seconds("job_poll_interval", operator.job_poll_interval)
        config = dict(operator.botocore_config) if operator.botocore_config else None
        self._connection = AwsConnection(operator.aws_conn_id, operator.region_name, None, config)
        self._run = TaskRun(
            RunSettings(
                self._connection,
                operator.glue_job_name,
                operator.deferrable,
                operator.execution_timeout,
                services=("s3", "athena"),
            ),
            log=operator.log,
            defer=lambda trigger: operator.defer(trigger=trigger, method_name="execute_complete"),
            stop_more=self._stop_queries,
        )
        self._run.key = self._key

    def take(self, context: Context, asked: Request) -> Verdict:
        """Find or start the run, then wait for it: deferred, where the operator is."""
        return self._taken(context, asked, StartState(first_try=is_first_try(context)), self._run.deadline())

    def _taken(self, context: Context, asked: Request | None, state: StartState, deadline: float | None) -> Verdict:
        """:param asked: None when the task resumes: the request is in S3 already"""
        name = self._operator.glue_job_name
        arguments = {REQUEST_ARGUMENT: self._request_uri(context), TASK_ARGUMENT: self._home}
        unit = Unit(name, ("", ""), ((TASK_ARGUMENT, self._home),))
        claim = Claim(JobDefinition(name, {}, {}, 1), unit, self._key, arguments)

        def check(job: JobDefinition) -> None:
            if job.command == "pythonshell":
                raise AirflowFailException(f"The Glue job {name!r} cannot run dbt. {PYTHON_SHELL}")
            if asked is not None:
                request = replace(asked, project=self._shipped(asked))
                write(self._run.client("s3"), self._request_uri(context), request.as_dict())

        run = self._run.take(claim, state, self._interval, deadline, check)
        addresses = links.run_addresses(self._run.client("glue"), run.job_name, run.run_id, run.error_log)
        self._operator.log.info("Run %s of %s: %s", run.run_id, run.job_name, addresses[links.GlueJobRunLink.key])
        self._run.leave_if_killed()
        carried = {"folder": self._folder, "home": self._home}
        return self._ended(self._run.wait(run, carried, self._interval, deadline, DbtGlueRunTrigger), context)

    def resumed(self, context: Context, event: Event) -> Verdict:
        """Go on after a deferral."""
        if isinstance(event, TurnReady):
            return self._taken(context, None, event.wait.state, event.wait.deadline)
        if isinstance(event.wait, RunWait):
            self._run.own_run_id = event.wait.run_id
        return self._ended(event, context)

    def _ended(self, event: Event, context: Context) -> Verdict:
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

    def _verdict(self, run: JobRun) -> Verdict:
        """What the ended run came to.

        :raises AirflowException: dbt did not come to say
        """
        found = verdict_of(self._run.client("s3"), self._folder, run.run_id)
        self._run.own_run_id = None  # it has ended: nothing to stop
        if found is not None and not run.stopping and run.state != "STOPPED":
            return found
        s3, athena = self._run.client("s3"), self._run.client("athena")
        stopped = stop_queries(s3, athena, self._folder, run.run_id, _LEFT_WITHIN)
        meta = self._run.client("glue").meta
        tail = error_log(lambda: self._run.client("logs"), run, _TAIL)
        what = f"dbt {self._operator.command}"
        said = job_runs.failure(run, what, region=meta.region_name, partition=meta.partition, tail=tail)
        raise AirflowException(f"{said}\nAthena queries stopped: {', '.join(stopped)}" if stopped else said)

    def prepare_kill(self) -> None:
        self._run.prepare_kill()

    def kill(self) -> None:
        """Of on_kill."""
        self._run.kill()

    def stop(self, context: Context) -> str:
        """Stop the task's run and its queries; says what it did. Never raises."""
        return self._run.stop(context)

    def _stop_queries(self, runs: Sequence[str]) -> list[str]:
        s3, athena = self._run.stopper("s3"), self._run.stopper("athena")
        return [query for run in runs for query in stop_queries(s3, athena, self._folder, run, _QUERIES_WITHIN)]

    def _shipped(self, asked: Request) -> str:
        """The project where Glue can read it; a directory or a zip of the worker's is put into S3, once per content."""
        if asked.project.startswith("s3://"):
            return asked.project
        s3 = self._run.client("s3")
        try:
            with Project.at(asked.project, Cache(), lambda: s3) as project, tempfile.TemporaryDirectory() as folder:
                archive = Path(folder) / "project.zip"
                pack(project, archive)
                uri = f"{self._home.rpartition('/')[0]}/projects/{project.name}-{project.fingerprint()[:32]}.zip"
                bucket, _, key = uri.removeprefix("s3://").partition("/")
                try:
                    s3.head_object(Bucket=bucket, Key=key)
                except s3.exceptions.ClientError:
                    s3.upload_file(str(archive), bucket, key)
        except ProjectError as error:
            raise AirflowFailException(str(error)) from error
        return uri

    @property
    def _folder(self) -> str:
        """Where what concerns this generation of the task is put: not another's request, nor its verdict."""
        return f"{self._home}/glue-{digest(str(self._key))[:12]}"

    def _request_uri(self, context: Context) -> str:
        number = int(getattr(context["ti"], "try_number", 1) or 1)
        return f"{self._folder}/request-{number}.json"
