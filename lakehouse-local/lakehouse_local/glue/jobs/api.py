"""The job operations of the Glue API: definitions, job runs as real processes, states and errors."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lakehouse_local.documents import Document, Documents
from lakehouse_local.glue.identity import RunIdentity
from lakehouse_local.glue.jobs import definitions
from lakehouse_local.glue.jobs.definitions import invalid
from lakehouse_local.glue.jobs.runs import LOG_PREFIX, JobRun, RunRequest, log_group_prefix
from lakehouse_local.glue.logs import WriteLog
from lakehouse_local.http.wire import AwsError, Caller, Handler, epoch, page
from lakehouse_local.s3.store import ObjectStore

JOB, RUN = "job", "run"

ACTIVE = ("STARTING", "RUNNING", "STOPPING")  # states that count against MaxConcurrentRuns
UNFINISHED = (*ACTIVE, "WAITING")
RETRIED = ("FAILED", "ERROR")  # AWS does not retry runs that timed out or were stopped

_MINUTE = 60.0
_WAITING_RUNS = 1000
SESSION = "GlueJobRunnerSession"  # name of the role session of a job run, as on AWS
_SERVER_ENDED = "The job run ended because the local AWS was stopped or killed. Start the job again."


class Jobs:
    """The job operations of AWS Glue.

    :param state_dir: directory of the database with definitions and runs
    :param store: holds the scripts, and the objects that Spark reads and writes as ``s3://``
    :param write_log: ``(region, group, stream, lines)`` into CloudWatch Logs
    :param identity: ``(caller, role, session name)`` -> the identity of a job run that the caller starts
    :param processes: number of Spark runs that have a process at once; further ones stay STARTING. The default is the
        environment's LAKEHOUSE_GLUE_PROCESSES, or two
    :raises ValueError: LAKEHOUSE_GLUE_PROCESSES is not a whole number from 1 on
    """

    target = "AWSGlue"

    def __init__(
        self,
        state_dir: Path,
        store: ObjectStore,
        write_log: WriteLog,
        identity: Callable[[Caller, str, str], RunIdentity],
        *,
        processes: int | None = None,
    ) -> None:
        self._documents = Documents(Path(state_dir) / "jobs.sqlite")
        self._store = store
        self._write_log = write_log
        self._identity = identity
        self._slots = threading.BoundedSemaphore(processes or _process_limit())
        self._lock = threading.RLock()
        self._threads: dict[str, JobRun] = {}
        self._identities: dict[str, RunIdentity] = {}
        self._closed = False
        self.operations: Mapping[str, Handler] = {
            "CreateJob": self.create_job,
            "UpdateJob": self.update_job,
            "GetJob": self.get_job,
            "GetJobs": self.get_jobs,
            "ListJobs": self.list_jobs,
            "BatchGetJobs": self.batch_get_jobs,
            "DeleteJob": self.delete_job,
            "StartJobRun": self.start_job_run,
            "GetJobRun": self.get_job_run,
            "GetJobRuns": self.get_job_runs,
            "BatchStopJobRun": self.batch_stop_job_run,
            "GetJobBookmark": self.get_job_bookmark,
            "ResetJobBookmark": self.reset_job_bookmark,
        }
        for run in self._documents.all(RUN):
            if run["JobRunState"] in UNFINISHED:
                self._documents.put(RUN, run["Id"], _ended(run, "FAILED", _SERVER_ENDED))

    def close(self) -> None:
        """Kill every run's processes; the runs end as STOPPED. A second call does nothing."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            threads = list(self._threads.values())
            for run in self._documents.all(RUN):
                if run["JobRunState"] == "WAITING":
                    self._documents.put(RUN, run["Id"], _ended(run, "STOPPED", None))
        for thread in threads:
            thread.stop()
        for thread in threads:
            thread.join(30)
        self._documents.close()

    # Jobs

    def create_job(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = request["Name"]
        definition = definitions.completed(request)
        with self._lock:
            existing = self._documents.get(JOB, name)
            if existing is None:
                now = epoch()
                self._documents.put(JOB, name, {**definition, "CreatedOn": now, "LastModifiedOn": now})
            elif {k: v for k, v in existing.items() if k not in ("CreatedOn", "LastModifiedOn")} != definition:
                raise AwsError("AlreadyExistsException", f"Job already exists: {name}.")
        return {"Name": name}

    def update_job(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = request["JobName"]
        with self._lock:
            existing = self._job(name)
            # Members that an update leaves out go back to their defaults, as on AWS.
            definition = definitions.completed({"Name": name, **request["JobUpdate"]})
            kept: Document = {key: existing[key] for key in ("Tags", "CreatedOn") if key in existing}
            self._documents.put(JOB, name, {**definition, **kept, "LastModifiedOn": epoch()})
        return {"JobName": name}

    def get_job(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return {"Job": _job_response(self._job(request["JobName"]))}

    def get_jobs(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        jobs, more = page(self._documents.all(JOB), request, limit=1000, default=100)
        return {"Jobs": [_job_response(job) for job in jobs], **more}

    def list_jobs(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        required = (request.get("Tags") or {}).items()
        jobs = [job["Name"] for job in self._documents.all(JOB) if required <= (job.get("Tags") or {}).items()]
        names, more = page(jobs, request, limit=1000, default=100)
        return {"JobNames": names, **more}

    def batch_get_jobs(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        found = {name: self._documents.get(JOB, name) for name in request["JobNames"]}
        return {
            "Jobs": [_job_response(job) for job in found.values() if job],
            "JobsNotFound": [name for name, job in found.items() if not job],
        }

    def delete_job(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = request["JobName"]
        with self._lock:
            # Active runs go on, as on AWS; ended ones are deleted with the job.
            self._documents.delete(JOB, name)
            for _, run in self._documents.newest(RUN, name):
                if run["JobRunState"] not in UNFINISHED:
                    self._documents.delete(RUN, run["Id"])
        return {"JobName": name}

    # Runs

    def start_job_run(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = request["JobName"]
        with self._lock:
            job = self._documents.get(JOB, name)
            if job is None:
                raise AwsError("EntityNotFoundException", "Failed to start job run due to missing metadata")
            previous = self._run(name, request["JobRunId"]) if request.get("JobRunId") else None
            if previous and previous["JobRunState"] in UNFINISHED:
                raise invalid(f"Job run {previous['Id']} is {previous['JobRunState']}: wait for its end.")
            run = _new_run(job, request, previous)
            run["Region"] = caller.region
            active, waiting = self._unfinished(name)
            if active >= job["ExecutionProperty"]["MaxConcurrentRuns"]:
                if not run.get("JobRunQueuingEnabled") or waiting >= _WAITING_RUNS:
                    raise AwsError("ConcurrentRunsExceededException", f"Concurrent runs exceeded for {name}")
                run["JobRunState"] = "WAITING"
            self._identities[run["Id"]] = self._identity(caller, job["Role"], SESSION)
            self._documents.put(RUN, run["Id"], run, owner=name)
            if run["JobRunState"] == "STARTING":
                self._launch(job, run)
        return {"JobRunId": run["Id"]}

    def get_job_run(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        return {"JobRun": _run_response(self._run(request["JobName"], request["RunId"]))}

    def get_job_runs(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        self._job(request["JobName"])
        size = min(request.get("MaxResults") or 200, 200)
        token = request.get("NextToken")
        if token and not token.isdigit():
            raise invalid(f"NextToken {token!r} was not returned by GetJobRuns: pass the one of the previous page.")
        # The token is a position in the history and not an offset, so runs that start meanwhile shift no page.
        found = self._documents.newest(RUN, request["JobName"], before=int(token) if token else None, limit=size + 1)
        more = {"NextToken": str(found[size - 1][0])} if len(found) > size else {}
        return {"JobRuns": [_run_response(run) for _, run in found[:size]], **more}

    def batch_stop_job_run(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        name = request["JobName"]
        self._job(name)
        answer: dict[str, Any] = {"SuccessfulSubmissions": [], "Errors": []}
        for run_id in request["JobRunIds"]:
            submission = {"JobName": name, "JobRunId": run_id}
            try:
                self._stop(name, run_id)
            except AwsError as error:
                detail = {"ErrorCode": error.code, "ErrorMessage": error.message}
                answer["Errors"].append({**submission, "ErrorDetail": detail})
            else:
                answer["SuccessfulSubmissions"].append(submission)
        return answer

    # Bookmarks: the local AWS keeps none.

    def get_job_bookmark(self, request: dict[str, Any], caller: Caller) -> dict[str, Any]:
        raise AwsError("EntityNotFoundException", f"Continuation for job {request['JobName']} not found.")

    reset_job_bookmark = get_job_bookmark

    def _job(self, name: str) -> Document:
        job = self._documents.get(JOB, name)
        if job is None:
            raise AwsError("EntityNotFoundException", f"Job {name} not found.")
        return job

    def _run(self, job: str, run_id: str) -> Document:
        run = self._documents.get(RUN, run_id)
        if run is None or run["JobName"] != job:
            raise AwsError("EntityNotFoundException", f"Job run {run_id} not found for job {job}.")
        return run

    def _unfinished(self, job: str) -> tuple[int, int]:
        """Return the numbers of a job's active and waiting runs."""
        states = [run["JobRunState"] for _, run in self._documents.newest(RUN, job)]
        return sum(state in ACTIVE for state in states), states.count("WAITING")

    def _launch(self, job: Document, run: Document) -> None:
        arguments = {
            **(job.get("DefaultArguments") or {}),
            **(run.get("Arguments") or {}),
            **(job.get("NonOverridableArguments") or {}),
        }
        thread = JobRun(
            request=RunRequest(
                run_id=run["Id"],
                job_name=job["Name"],
                command=job["Command"],
                arguments=arguments,
                timeout=run["Timeout"] * _MINUTE,
                region=run["Region"],
                identity=self._identities[run["Id"]],
            ),
            store=self._store,
            write_log=self._write_log,
            slot=self._slots,
            on_started=self._on_started,
            on_finished=self._on_finished,
        )
        self._threads[run["Id"]] = thread
        thread.start()

    def _on_started(self, run_id: str) -> None:
        with self._lock:
            run = self._documents.get(RUN, run_id)
            if run is not None:
                now = epoch()
                run.update(ExecutionStartedOn=now, LastModifiedOn=now)
                if run["JobRunState"] == "STARTING":
                    run["JobRunState"] = "RUNNING"
                self._documents.put(RUN, run_id, run)

    def _on_finished(self, run_id: str, state: str, error: str | None) -> None:
        with self._lock:
            self._threads.pop(run_id, None)
            identity = self._identities.pop(run_id, None)
            run = self._documents.get(RUN, run_id)
            if run is None:
                return
            self._documents.put(RUN, run_id, run := _ended(run, state, error))
            job = self._documents.get(JOB, run["JobName"])
            if job is None:
                self._documents.delete(RUN, run_id)
                return
            if self._closed:
                return
            if state in RETRIED and run["Attempt"] < job["MaxRetries"] and identity is not None:
                attempt = _next_attempt(run)
                self._identities[attempt["Id"]] = identity
                self._documents.put(RUN, attempt["Id"], attempt, owner=run["JobName"])
                self._launch(job, attempt)
            else:
                self._launch_waiting(job)

    def _launch_waiting(self, job: Document) -> None:
        active, _ = self._unfinished(job["Name"])
        waiting = [run for _, run in self._documents.newest(RUN, job["Name"]) if run["JobRunState"] == "WAITING"]
        for run in waiting[::-1][: max(0, job["ExecutionProperty"]["MaxConcurrentRuns"] - active)]:
            run.update(JobRunState="STARTING", LastModifiedOn=epoch())
            self._documents.put(RUN, run["Id"], run)
            self._launch(job, run)

    def _stop(self, job: str, run_id: str) -> None:
        with self._lock:
            run = self._run(job, run_id)
            if run["JobRunState"] not in UNFINISHED:
                raise AwsError(
                    "JobRunInvalidStateTransitionException",
                    f"Job run {run_id} is {run['JobRunState']} and cannot be stopped.",
                )
            thread = self._threads.get(run_id)
            if thread is None:
                self._documents.put(RUN, run_id, _ended(run, "STOPPED", None))
                self._identities.pop(run_id, None)
                return
            run.update(JobRunState="STOPPING", LastModifiedOn=epoch())
            self._documents.put(RUN, run_id, run)
        thread.stop()


def _process_limit() -> int:
    text = os.environ.get("LAKEHOUSE_GLUE_PROCESSES", "2")
    if not text.isdigit() or not int(text):
        raise ValueError(f"LAKEHOUSE_GLUE_PROCESSES must be a whole number from 1 on, not {text!r}")
    return int(text)


_RUN_SETTINGS = ("SecurityConfiguration", "NotificationProperty", "ExecutionClass", "JobRunQueuingEnabled")
_JOB_SETTINGS = ("GlueVersion", "JobMode", "MaintenanceWindow")
_HIDDEN = ("Region", "ExecutionStartedOn", "ExecutionRoleSessionPolicy")


def _new_run(job: Document, request: Mapping[str, Any], previous: Document | None) -> Document:
    """Return the run that StartJobRun creates.

    :param job: its definition
    :param request: that of StartJobRun; its members override the job's
    :param previous: an ended run to repeat with its arguments, or None
    """
    arguments = request.get("Arguments") or (previous or {}).get("Arguments") or {}
    definitions.check_arguments("Arguments", arguments)
    run: Document = {
        "Id": f"jr_{uuid.uuid4().hex}{uuid.uuid4().hex}",
        "Attempt": 0,
        "JobName": job["Name"],
        "JobRunState": "STARTING",
        "StartedOn": epoch(),
        "LastModifiedOn": epoch(),
        "Arguments": arguments,
        "Timeout": request.get("Timeout") or job["Timeout"],
        "PredecessorRuns": [],
        **{name: job[name] for name in (*_JOB_SETTINGS, *_RUN_SETTINGS) if name in job},
        **{name: request[name] for name in _RUN_SETTINGS if request.get(name) is not None},
    }
    if previous:
        run["PreviousRunId"] = previous["Id"]
    definitions.check_timeout(run["Timeout"])
    definitions.check_execution_class({**job, **run})
    requested = {name: request[name] for name in definitions.CAPACITY_MEMBERS if request.get(name) is not None}
    own = ("WorkerType", "NumberOfWorkers") if "WorkerType" in job else ("MaxCapacity",)
    run |= definitions.capacity(job, requested or {name: job[name] for name in own})
    prefix = {**(job.get("DefaultArguments") or {}), **arguments}.get(LOG_PREFIX)
    run["LogGroupName"] = prefix or log_group_prefix(job["Command"]["Name"])
    return run


_END_MEMBERS = ("CompletedOn", "ErrorMessage", "ExecutionTime", "DPUSeconds", "ExecutionStartedOn")


def _next_attempt(run: Document) -> Document:
    """Return the run with which Glue retries a failed one."""
    kept = {name: value for name, value in run.items() if name not in _END_MEMBERS}
    first, attempt = run["Id"].partition("_attempt_")[0], run["Attempt"] + 1
    now = epoch()
    return {
        **kept,
        "Id": f"{first}_attempt_{attempt}",
        "Attempt": attempt,
        "PreviousRunId": run["Id"],
        "JobRunState": "STARTING",
        "StartedOn": now,
        "LastModifiedOn": now,
    }


def _ended(run: Document, state: str, error: str | None) -> Document:
    now = epoch()
    started_on = run.get("ExecutionStartedOn")
    seconds = round(now - started_on) if started_on else 0
    ended = {**run, "JobRunState": state, "CompletedOn": now, "LastModifiedOn": now, "ExecutionTime": seconds}
    ended["DPUSeconds"] = round(seconds * run["MaxCapacity"], 3)
    if error:
        ended["ErrorMessage"] = error
    return ended


def _run_response(run: Document) -> Document:
    """Return a run as GetJobRun does; ExecutionTime of an unfinished one is the seconds so far."""
    response = {name: value for name, value in run.items() if name not in _HIDDEN}
    started_on = run.get("ExecutionStartedOn")
    response.setdefault("ExecutionTime", int(epoch() - started_on) if started_on else 0)
    return response


def _job_response(job: Document) -> Document:
    """Return a job as GetJob does: without its tags, which GetTags returns."""
    return {name: value for name, value in job.items() if name != "Tags"}
