"""Glue job runs: the table of their states, getting, listing and stopping them, and the message about a failed one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple

from airflow_lakehouse_provider.aws import console, errors, times
from airflow_lakehouse_provider.aws.run_key import ARGUMENT, RunKey


class JobRunState(NamedTuple):
    """The meaning of a job run's state."""

    ended: bool
    succeeded: bool = False
    stopping: bool = False


# https://docs.aws.amazon.com/glue/latest/webapi/API_JobRun.html
STATES = {
    "STARTING": JobRunState(ended=False),
    "RUNNING": JobRunState(ended=False),
    "STOPPING": JobRunState(ended=False, stopping=True),
    "WAITING": JobRunState(ended=False),  # queued, where the job has run queuing on
    "SUCCEEDED": JobRunState(ended=True, succeeded=True),
    "STOPPED": JobRunState(ended=True),
    "FAILED": JobRunState(ended=True),
    "TIMEOUT": JobRunState(ended=True),
    "ERROR": JobRunState(ended=True),
    "EXPIRED": JobRunState(ended=True),
}
# A state that AWS adds one day does not count as ended: that would start a second writer.
_UNKNOWN = JobRunState(ended=False)

_LOG_GROUP = "/aws-glue/jobs"
PAGE = 200  # the most that GetJobRuns returns at once


@dataclass(frozen=True)
class JobRun:
    """A job run as Glue returns it, in plain JSON types; times are ISO 8601 in UTC."""

    job_name: str
    run_id: str
    state: str
    started_on: str | None = None
    completed_on: str | None = None
    execution_seconds: int | None = None
    dpu_seconds: float | None = None
    attempts: int = 1
    error_message: str | None = None
    log_group: str = _LOG_GROUP
    arguments: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_api(cls, run: Mapping[str, Any]) -> JobRun:
        """Return the run of an entry of GetJobRun or GetJobRuns."""
        seconds, capacity = run.get("ExecutionTime"), run.get("MaxCapacity")
        used = run.get("DPUSeconds")  # given for FLEX and auto-scaled runs only
        if used is None and seconds is not None and capacity is not None:
            used = float(seconds) * float(capacity)
        return cls(
            job_name=run["JobName"],
            run_id=run["Id"],
            state=run["JobRunState"],
            started_on=times.text(run.get("StartedOn")),
            completed_on=times.text(run.get("CompletedOn")),
            execution_seconds=seconds,
            dpu_seconds=used,
            attempts=int(run.get("Attempt") or 0) + 1,
            error_message=run.get("ErrorMessage"),
            log_group=run.get("LogGroupName") or _LOG_GROUP,
            arguments=dict(run.get("Arguments") or {}),
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it in plain JSON types, without the arguments, which may be long and which no resumed task needs."""
        # Not asdict, which copies deeply: a thousand of them at once would hold up a triggerer.
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "arguments"}

    @property
    def key(self) -> RunKey | None:
        """The run key of the task that started it; None if this provider did not."""
        return RunKey.parse(self.arguments.get(ARGUMENT))

    @property
    def order(self) -> tuple[str, str]:
        """The sort key by which every task puts runs in the same order: their start at AWS, then their id.

        A run that waits in Glue's queue has not started yet, and comes last.
        """
        return self.started_on or "9999", self.run_id

    @property
    def stopping(self) -> bool:
        return STATES.get(self.state, _UNKNOWN).stopping

    @property
    def ended(self) -> bool:
        return STATES.get(self.state, _UNKNOWN).ended

    @property
    def succeeded(self) -> bool:
        return STATES.get(self.state, _UNKNOWN).succeeded

    @property
    def error_log(self) -> tuple[str, str]:
        """Log group and stream of what the script wrote to standard error."""
        return f"{self.log_group}/error", self.run_id

    @property
    def output_log(self) -> tuple[str, str]:
        """Log group and stream of what the script wrote to standard output."""
        return f"{self.log_group}/output", self.run_id


def pages(client: Any, job_name: str, since: datetime | None = None) -> Iterator[tuple[list[JobRun], datetime]]:
    """Yield the job's runs, newest first, a page at a time, each with the time at AWS.

    :param since: runs that started earlier may be left out
    """
    request: dict[str, Any] = {"JobName": job_name, "MaxResults": PAGE}
    while True:
        answer = client.get_job_runs(**request)
        runs = [JobRun.from_api(run) for run in answer.get("JobRuns") or ()]
        yield runs, times.clock(answer)
        starts = [times.moment(run.started_on) for run in runs if run.started_on]
        # The order is not documented: a page that is not newest first does not end the list.
        past = since is not None and starts and starts == sorted(starts, reverse=True) and starts[-1] < since
        if past or not answer.get("NextToken"):
            return
        request["NextToken"] = answer["NextToken"]


def no_such_job(client: Any, job_name: str) -> errors.NotFound:
    """Return the error for a job that does not exist."""
    region = client.meta.region_name
    return errors.NotFound(
        f"Glue has no job {job_name!r} in {region}. Check job_name and region_name; "
        f"`aws glue list-jobs --region {region}` lists the jobs."
    )


def get(client: Any, job_name: str, run_id: str) -> JobRun:
    """Return the run as it is now.

    :raises errors.AwsFailure: AWS refuses the call; transient errors are raised unchanged
    """
    try:
        return JobRun.from_api(client.get_job_run(JobName=job_name, RunId=run_id)["JobRun"])
    except Exception as error:
        if errors.is_transient(error):
            raise
        action = f"get run {run_id} of the Glue job {job_name!r} in {client.meta.region_name}"
        raise errors.refusal(error, action) from error


def stop(client: Any, job_name: str, run_id: str) -> None:
    """Stop the run; do nothing if it has ended.

    :raises errors.AwsFailure: Glue did not accept it
    """
    action = f"stop run {run_id} of the Glue job {job_name!r} in {client.meta.region_name}"
    try:
        answer = client.batch_stop_job_run(JobName=job_name, JobRunIds=[run_id])
    except Exception as error:
        raise errors.refusal(error, action) from error
    for failed in answer.get("Errors") or ():
        detail = failed.get("ErrorDetail") or {}
        if not get(client, job_name, run_id).ended:
            raise errors.AwsFailure(f"Could not {action}: {detail.get('ErrorCode')}: {detail.get('ErrorMessage')}")


def log_tail(logs: Any, group: str, stream: str, lines: int) -> list[str]:
    """Return the last lines of a log stream.

    :param logs: a boto3 client of CloudWatch Logs
    """
    if lines <= 0:
        return []
    answer = logs.get_log_events(
        logGroupName=group, logStreamName=stream, limit=min(lines, 10_000), startFromHead=False
    )
    found = [line for event in answer["events"] for line in str(event["message"]).rstrip("\n").split("\n")]
    return found[-lines:]


def failure(run: JobRun, subject: object, *, region: str, partition: str, tail: Sequence[str] = ()) -> str:
    """Return the message about a run that ended without success, with links to the run and its log.

    :param subject: what the run was for, such as a month
    :param tail: the last lines of its error log
    """
    reason = run.error_message or "Glue gives no reason"
    text = [
        f"Run {run.run_id} of the Glue job {run.job_name!r} for {subject} ended {run.state}: {reason.strip()}",
        f"Run: {console.job_run(region, partition, run.job_name, run.run_id)}",
        f"Error log: {console.log_stream(region, partition, *run.error_log)}",
    ]
    if tail:
        text += [f"Its last {len(tail)} lines:", *(f"    {line}" for line in tail)]
    return "\n".join(text)
