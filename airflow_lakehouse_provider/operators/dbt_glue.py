"""dbt in a Glue job, seen from the task: what is put into S3 for it, its run, the wait, the verdict."""

from __future__ import annotations

import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_lakehouse_provider import links
from airflow_lakehouse_provider._compat import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    current_context,
)
from airflow_lakehouse_provider._compat.connection import AwsConnection
from airflow_lakehouse_provider.aws import errors, job_runs, start_once
from airflow_lakehouse_provider.aws.errors import AwsFailure, BadRequest
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.polling import Look
from airflow_lakehouse_provider.aws.run_key import RunKey
from airflow_lakehouse_provider.aws.start_once import Claim, Job, Memory, Unit
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
from airflow_lakehouse_provider.operators.job_arguments import checked_seconds
from airflow_lakehouse_provider.operators.task_key import is_first_try, run_key
from airflow_lakehouse_provider.triggers.dbt import DbtGlueRunTrigger
from airflow_lakehouse_provider.triggers.glue import GlueTurnTrigger

if TYPE_CHECKING:
    from airflow_lakehouse_provider._compat import Context

# Before `execution_timeout` runs out: enough to stop the run and say so.
_DEADLINE_MARGIN = 60.0
# Seconds that a killed task may take: Airflow 3 sends SIGKILL after 5.
_STOP_WITHIN, _QUERIES_WITHIN = 1.5, 1.5
# Lines of the job's error log in an exception, where dbt came to say nothing.
_TAIL = 25


class GlueForm:
    """A task's dbt in Glue.

    :param operator: the task, whose templates are rendered
    :param home: where the artifacts of the task's run are kept
    """

    def __init__(self, operator: Any, home: str) -> None:
        self._operator = operator
        self._home = home
        config = dict(operator.botocore_config) if operator.botocore_config else None
        self._connection = AwsConnection(operator.aws_conn_id, operator.region_name, None, config)
        self._clients: dict[str, Any] = {}
        self._key: RunKey | None = None
        self._own: str | None = None
        self._killed = ""
        self._interval = checked_seconds("job_poll_interval", operator.job_poll_interval)

    def take(self, context: Context, asked: Request | None, memory: Memory | None, deadline: float | None) -> Verdict:
        """Find or start the run, then wait for it: deferred, where the operator is.

        :param asked: None when the task resumes: the request is in S3 already
        :param memory: None in a try's beginning
        """
        self._key = run_key(context)
        self.prepare_kill()
        if memory is None:
            memory = Memory(first_try=is_first_try(context))
            deadline = self._deadline()
            job = self._looked(deadline)
        else:
            job = Job(self._operator.glue_job_name, {}, {}, 1)
        if asked is not None:
            write(
                self._client("s3"), self._request_uri(context), replace(asked, project=self._shipped(asked)).as_dict()
            )
        arguments = {REQUEST_ARGUMENT: self._request_uri(context), TASK_ARGUMENT: self._home}
        unit = Unit(job.name, ("", ""), ((TASK_ARGUMENT, self._home),))
        claim = Claim(job, unit, self._key, arguments)
        try:
            run = self._first_run(claim, memory, deadline)
        except BadRequest as error:
            raise AirflowFailException(str(error)) from error
        except AwsFailure as error:
            raise AirflowException(str(error)) from error
        self._own = run.run_id
        self._leave_if_killed()
        addresses = links.run_addresses(self._client("glue"), run.job_name, run.run_id, run.error_log)
        self._operator.log.info("Run %s of %s: %s", run.run_id, run.job_name, addresses[links.GlueJobRunLink.key])
        if not run.ended and self._operator.deferrable:
            self._operator.defer(
                trigger=DbtGlueRunTrigger(
                    job_name=run.job_name,
                    run_id=run.run_id,
                    carried={"folder": self._folder, "home": self._home},
                    poll_interval=self._interval,
                    deadline=deadline,
                    stop_on_kill=True,
                    **self._connection.as_dict(),
                ),
                method_name="execute_complete",
            )
        return self.verdict(self._wait(run, deadline))

    def resumed(self, context: Context, event: dict[str, Any]) -> Verdict:
        """Go on after a deferral."""
        if event["status"] == "turn":
            return self.take(context, None, Memory(**event["memory"]), event["deadline"])
        self._key = run_key(context)
        self._own = event.get("run_id")
        if event["status"] == "deadline":
            raise AirflowTaskTimeout(f"{self._timeout_is_over} {self.stop()}")
        if event["status"] != "ended":
            raise AirflowException(f"The wait for dbt in Glue ended, a retry finds its run: {event.get('message')}")
        return self.verdict(JobRun(**event["run"]))

    def verdict(self, run: JobRun) -> Verdict:
        """What the ended run came to.

        :raises AirflowException: dbt did not come to say
        """
        found = verdict_of(self._client("s3"), self._folder, run.run_id)
        self._own = None  # it has ended: nothing to stop
        if found is not None and not run.stopping and run.state != "STOPPED":
            return found
        stopped = stop_queries(self._client("s3"), self._client("athena"), self._folder, run.run_id, 10.0)
        meta = self._client("glue").meta
        tail = self._tail(run)
        what = f"dbt {self._operator.command}"
        said = job_runs.failure(run, what, region=meta.region_name, partition=meta.partition, tail=tail)
        raise AirflowException(f"{said}\nAthena queries stopped: {', '.join(stopped)}" if stopped else said)

    def prepare_kill(self) -> None:
        """Make what a kill needs, which has no time for it and may ask Airflow nothing."""
        for service in ("glue", "s3", "athena"):
            name = f"stop {service}"
            if name not in self._clients:
                self._clients[name] = self._connection.client(service, resend=False, timeout=_STOP_WITHIN)

    def kill(self) -> None:
        """Of on_kill: called from a signal handler."""
        if not self._killed:
            self._killed = f"The task was killed. {self.stop()}"

    def stop(self) -> str:
        """Stop the task's run, known or found by its key, and its queries; says what it did. Never raises."""
        try:
            self.prepare_kill()
            glue, name = self._clients["stop glue"], self._operator.glue_job_name
            key = self._key or run_key(current_context())
            if self._own is not None:
                job_runs.stop(glue, name, self._own)
                runs = [self._own]
            else:
                runs = start_once.stop_own(glue, name, key)
            queries = [
                query
                for run in runs
                for query in stop_queries(
                    self._clients["stop s3"], self._clients["stop athena"], self._folder, run, _QUERIES_WITHIN
                )
            ]
        except Exception as error:
            return f"Its run in Glue may go on; a retry finds it: {error}"
        return f"Told to stop: {', '.join([*runs, *queries])}." if runs else "It had no run in Glue that was active."

    def _looked(self, deadline: float | None) -> Job:
        """The job, as it is defined."""
        client, name = self._client("glue"), self._operator.glue_job_name
        look = Look(lambda: client.get_job(JobName=name)["Job"], lambda job: "", self._operator.log.info)
        while True:
            try:
                job = look()
            except Exception as error:
                missing = errors.code(error) == errors.NOT_FOUND
                refused = (
                    job_runs.no_such_job(client, name) if missing else errors.refusal(error, f"look at job {name!r}")
                )
                raise AirflowFailException(str(refused)) from error
            if job is not None:
                break
            self._pause(look.pause(self._interval), deadline)
        if job["Command"]["Name"] == "pythonshell":
            raise AirflowFailException(f"The Glue job {name!r} cannot run dbt. {PYTHON_SHELL}")
        most = int((job.get("ExecutionProperty") or {}).get("MaxConcurrentRuns") or 1)
        return Job(name, job.get("DefaultArguments") or {}, job.get("NonOverridableArguments") or {}, most)

    def _shipped(self, asked: Request) -> str:
        """The project where Glue can read it; a directory or a zip of the worker's is put into S3, once per content."""
        if asked.project.startswith("s3://"):
            return asked.project
        s3 = self._client("s3")
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

    def _first_run(self, claim: Claim, memory: Memory, deadline: float | None) -> JobRun:
        """Look until there is a run; deferred where it takes longer."""
        client, once = self._client("glue"), self._client("glue", resend=False)
        step = start_once.Step(memory, "", brief=True)
        turn = Look(
            lambda: start_once.advance(client, once, claim, step.memory),
            lambda step: step.doing,
            self._operator.log.info,
        )
        while True:
            step = turn() or step
            if step.run is not None:
                return step.run
            self._leave_if_killed()
            if self._operator.deferrable and not step.brief:
                self._operator.defer(
                    trigger=GlueTurnTrigger(
                        claim=claim.as_dict(),
                        memory=step.memory.as_dict(),
                        poll_interval=self._interval,
                        deadline=deadline,
                        stop_on_kill=True,
                        **self._connection.as_dict(),
                    ),
                    method_name="execute_complete",
                )
            brief = min(self._interval, start_once.SETTLING / 3)
            self._pause(turn.pause(brief if step.brief else self._interval), deadline)

    def _wait(self, run: JobRun, deadline: float | None) -> JobRun:
        """The run's end, waited for here."""
        client = self._client("glue")
        look = Look(
            lambda: job_runs.look(client, run.job_name, run.run_id),
            lambda run: f"Run {run.run_id} of {run.job_name}: {run.state}.",
            self._operator.log.info,
        )
        while not run.ended:
            try:
                run = look() or run
            except AwsFailure as error:
                raise AirflowException(
                    f"dbt's run in Glue can no longer be watched, a retry finds it: {error}"
                ) from error
            if not run.ended:
                self._pause(look.pause(self._interval), deadline)
        return run

    def _pause(self, seconds: float, deadline: float | None) -> None:
        """:raises AirflowTaskTimeout: the deadline is over; AirflowException: the task was killed"""
        until = time.time() + seconds
        while (now := time.time()) < until:
            self._leave_if_killed()
            if deadline is not None and now >= deadline:
                raise AirflowTaskTimeout(f"{self._timeout_is_over} {self.stop()}")
            time.sleep(max(0.0, min(0.5, until - now)))
        self._leave_if_killed()

    def _leave_if_killed(self) -> None:
        # Airflow 3 calls on_kill and lets execute go on.
        if self._killed:
            raise AirflowException(self._killed)

    @property
    def _folder(self) -> str:
        """Where what concerns this generation of the task is put: not another's request, nor its verdict."""
        return f"{self._home}/glue-{digest(str(self._key))[:12]}"

    def _request_uri(self, context: Context) -> str:
        number = int(getattr(context["ti"], "try_number", 1) or 1)
        return f"{self._folder}/request-{number}.json"

    @property
    def _timeout_is_over(self) -> str:
        return f"execution_timeout ({self._operator.execution_timeout}) is nearly over."

    def _deadline(self) -> float | None:
        if self._operator.execution_timeout is None:
            return None
        seconds: float = self._operator.execution_timeout.total_seconds()
        return time.time() + seconds - min(_DEADLINE_MARGIN, seconds / 4)

    def _client(self, service: str, *, resend: bool = True) -> Any:
        name = f"{service} {resend}"
        if name not in self._clients:
            self._clients[name] = self._connection.client(service, resend=resend)
        return self._clients[name]

    def _tail(self, run: JobRun) -> list[str]:
        """The end of the run's error log; a log that cannot be read fails nothing."""
        try:
            return job_runs.log_tail(self._client("logs"), *run.error_log, _TAIL)
        except Exception as error:
            return [f"(The log could not be read: {error})"]
