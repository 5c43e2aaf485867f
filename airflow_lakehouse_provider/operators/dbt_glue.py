"""dbt in a Glue job, from the task's side: the request in S3, the job run, the verdict."""

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
from airflow_lakehouse_provider.aws.start_once import Claim, Job, Memory, Unit
from airflow_lakehouse_provider.dbt.documents import VersionError
from airflow_lakehouse_provider.dbt.glue_job import (
    PYTHON_SHELL,
    REQUEST_ARGUMENT,
    TASK_ARGUMENT,
    read_verdict,
    stop_queries,
    write,
)
from airflow_lakehouse_provider.dbt.project import Project, ProjectError, pack
from airflow_lakehouse_provider.dbt.request import DbtRequest
from airflow_lakehouse_provider.dbt.scratch import Cache, digest
from airflow_lakehouse_provider.dbt.verdict import DbtVerdict
from airflow_lakehouse_provider.links import glue as links
from airflow_lakehouse_provider.operators.job_arguments import checked_seconds
from airflow_lakehouse_provider.operators.task_key import is_first_try, run_key
from airflow_lakehouse_provider.operators.task_run import TaskRun
from airflow_lakehouse_provider.s3_uri import split_s3_uri
from airflow_lakehouse_provider.triggers.dbt import DbtGlueRunTrigger

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context

# Seconds to stop the queries of a run that a kill stopped; of one that ended without a verdict.
_QUERIES_WITHIN, _LEFT_WITHIN = 1.5, 10.0
# Lines of the job's error log in an exception, where there is no verdict.
_TAIL = 25


class DbtInGlue:
    """The dbt of a task, in a Glue job.

    :param operator: the task, whose templates are rendered
    :param context: of the task instance
    :param task_uri: the address under which the artifacts of the task instance are kept
    """

    def __init__(self, operator: Any, context: Context, task_uri: str) -> None:
        self._operator = operator
        self._task_uri = task_uri
        self._key = run_key(context)
        self._interval = checked_seconds("job_poll_interval", operator.job_poll_interval)
        config = dict(operator.botocore_config) if operator.botocore_config else None
        self._connection = AwsConnection(operator.aws_conn_id, operator.region_name, None, config)
        self._run = TaskRun(
            operator,
            self._connection,
            operator.glue_job_name,
            services=("s3", "athena"),
            stop_more=self._stop_queries,
        )
        self._run.key = self._key

    def take(self, context: Context, request: DbtRequest) -> DbtVerdict:
        """Find or start the job run and wait for it; deferred, where the operator is."""
        return self._take(context, request, Memory(first_try=is_first_try(context)), self._run.deadline())

    def _take(self, context: Context, request: DbtRequest | None, memory: Memory, deadline: float | None) -> DbtVerdict:
        """Find or start the job run and wait for it.

        :param request: None when the task resumes: it is in S3 already
        """
        name = self._operator.glue_job_name
        arguments = {REQUEST_ARGUMENT: self._request_uri(context), TASK_ARGUMENT: self._task_uri}
        unit = Unit(name, ("", ""), ((TASK_ARGUMENT, self._task_uri),))
        claim = Claim(Job(name, {}, {}, 1), unit, self._key, arguments)

        def seen(job: Job) -> None:
            if job.kind == "pythonshell":
                raise AirflowFailException(f"The Glue job {name!r} cannot run dbt. {PYTHON_SHELL}")
            if request is not None:
                document = replace(request, project=self._upload_project(request.project)).dump()
                write(self._run.client("s3"), self._request_uri(context), document)

        run = self._run.take(claim, memory, self._interval, deadline, seen)
        addresses = links.run_addresses(self._run.client("glue"), run.job_name, run.run_id, run.error_log)
        self._operator.log.info("Run %s of %s: %s", run.run_id, run.job_name, addresses[links.GlueJobRunLink.key])
        self._run.leave_if_killed()
        identity: dict[str, Any] = {"job_name": run.job_name, "run_id": run.run_id}
        if run.ended:
            return self.resumed(context, {**identity, "status": "ended", "run": run.as_dict()})
        if self._operator.deferrable:
            self._operator.defer(
                trigger=DbtGlueRunTrigger(
                    **identity,
                    carried={"folder": self._folder, "task_uri": self._task_uri},
                    poll_interval=self._interval,
                    deadline=deadline,
                    stop_on_kill=True,
                    **self._connection.as_dict(),
                ),
                method_name="execute_complete",
            )
        return self.resumed(context, {**identity, **self._run.wait(run, self._interval, deadline)})

    def resumed(self, context: Context, event: dict[str, Any]) -> DbtVerdict:
        """Continue after a wait, here or in the triggerer."""
        if event["status"] == "turn":
            return self._take(context, None, Memory(**event["memory"]), event["deadline"])
        self._run.own_run_id = event.get("run_id")
        if event["status"] == "deadline":
            raise AirflowTaskTimeout(f"{self._run.timeout_is_over} {self._run.stop(context)}")
        if event["status"] != "ended":
            raise AirflowException(f"The wait for dbt in Glue ended, a retry finds its run: {event.get('message')}")
        return self._verdict(JobRun(**event["run"]))

    def _verdict(self, run: JobRun) -> DbtVerdict:
        """Return the verdict of a run that has ended.

        :raises AirflowFailException: the job's script is of another version
        :raises AirflowException: the run left no verdict
        """
        self._run.own_run_id = None  # it has ended: nothing to stop
        s3, athena = self._run.client("s3"), self._run.client("athena")
        try:
            verdict = read_verdict(s3, self._folder, run.run_id)
            if verdict is not None and not run.stopping and run.state != "STOPPED":
                return verdict
            stopped = stop_queries(s3, athena, self._folder, run.run_id, _LEFT_WITHIN)
        except VersionError as error:
            raise AirflowFailException(str(error)) from error
        meta = self._run.client("glue").meta
        tail = error_log(lambda: self._run.client("logs"), run, _TAIL)
        title = f"dbt {self._operator.command}"
        message = job_runs.failure(run, title, region=meta.region_name, partition=meta.partition, tail=tail)
        raise AirflowException(f"{message}\nAthena queries stopped: {', '.join(stopped)}" if stopped else message)

    def prepare_kill(self) -> None:
        """Make the clients that a kill needs, as it has no time for it."""
        self._run.prepare_kill()

    def kill(self) -> None:
        """Stop the job run and its queries, from a signal handler: few calls, no log line."""
        self._run.kill()

    def stop(self, context: Context) -> str:
        """Stop the task's job run and its queries; return a sentence of what was stopped. Never raises."""
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
                uri = f"{self._task_uri.rpartition('/')[0]}/projects/{project.name}-{project.fingerprint()[:32]}.zip"
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
        return f"{self._task_uri}/glue-{digest(str(self._key))[:12]}"

    def _request_uri(self, context: Context) -> str:
        number = int(getattr(context["ti"], "try_number", 1) or 1)
        return f"{self._folder}/request-{number}.json"
