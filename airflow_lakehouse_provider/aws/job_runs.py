"""Glue job runs: the one table of their states, starting, looking, stopping, and what an ended one is told as."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, NamedTuple

from airflow_lakehouse_provider.aws import console, errors, times
from airflow_lakehouse_provider.aws.run_key import ARGUMENT, RunKey


class State(NamedTuple):
    ended: bool
    succeeded: bool = False
    stopping: bool = False


# https://docs.aws.amazon.com/glue/latest/webapi/API_JobRun.html
STATES = {
    "STARTING": State(ended=False),
    "RUNNING": State(ended=False),
    "STOPPING": State(ended=False, stopping=True),
    "WAITING": State(ended=False),  # queued, where the job has run queuing on
    "SUCCEEDED": State(ended=True, succeeded=True),
    "STOPPED": State(ended=True),
    "FAILED": State(ended=True),
    "TIMEOUT": State(ended=True),
    "ERROR": State(ended=True),
    "EXPIRED": State(ended=True),
}
# A state that AWS adds one day is waited out: taking it for an end would start a second writer.
_UNKNOWN = State(ended=False)

_LOG_GROUP = "/aws-glue/jobs"
PAGE = 200  # the most that GetJobRuns gives at once


@dataclass(frozen=True)
class JobRun:
    """A job run as Glue tells it, in plain JSON types; times are ISO 8601 in UTC."""

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
    def of(cls, run: Mapping[str, Any]) -> JobRun:
        """A run of GetJobRun's or GetJobRuns' shape."""
        seconds, capacity = run.get("ExecutionTime"), run.get("MaxCapacity")
        used = run.get("DPUSeconds")  # only of FLEX and auto-scaled runs
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
        """Plain JSON types; without the arguments, which may be long and are of no use to a task that resumes."""
        # Not asdict, which copies deeply: a thousand of them at once would hold up a triggerer.
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "arguments"}

    @property
    def key(self) -> RunKey | None:
        """The key of the task that started it; None where it was none of ours."""
        return RunKey.parse(self.arguments.get(ARGUMENT))

    @property
    def order(self) -> tuple[str, str]:
        """By which every observer puts runs in the same order: their start at AWS, then their id.

        A run that waits in Glue's queue has no start yet, and comes last.
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
    """The job's runs, newest first, a page at a time, each with the time at AWS; those that began before ``since`` may
    be left out."""
    request: dict[str, Any] = {"JobName": job_name, "MaxResults": PAGE}
    while True:
        answer = client.get_job_runs(**request)
        runs = [JobRun.of(run) for run in answer.get("JobRuns") or ()]
        yield runs, times.clock(answer)
        starts = [times.moment(run.started_on) for run in runs if run.started_on]
        # Newest first is what AWS does, not what it promises: a page in another order is no reason to stop.
        past = since is not None and starts and starts == sorted(starts, reverse=True) and starts[-1] < since
        if past or not answer.get("NextToken"):
            return
        request["NextToken"] = answer["NextToken"]


def no_such_job(client: Any, job_name: str) -> errors.NotFound:
    region = client.meta.region_name
    return errors.NotFound(
        f"Glue has no job {job_name!r} in {region}. Look at job_name and region_name; "
        f"`aws glue list-jobs --region {region}` shows what there is."
    )


def look(client: Any, job_name: str, run_id: str) -> JobRun:
    """The run as it is now.

    :raises errors.AwsFailure: AWS does not tell, and asking again does not help; what passes by itself is raised as is
    """
    try:
        return JobRun.of(client.get_job_run(JobName=job_name, RunId=run_id)["JobRun"])
    except Exception as error:
        if errors.passes_by_itself(error):
            raise
        doing = f"look at run {run_id} of the Glue job {job_name!r} in {client.meta.region_name}"
        raise errors.refusal(error, doing) from error


def stop(client: Any, job_name: str, run_id: str) -> None:
    """Ask Glue to stop the run; one that has ended is left as it is.

    :raises errors.AwsFailure: Glue did not accept it
    """
    doing = f"stop run {run_id} of the Glue job {job_name!r} in {client.meta.region_name}"
    try:
        answer = client.batch_stop_job_run(JobName=job_name, JobRunIds=[run_id])
    except Exception as error:
        raise errors.refusal(error, doing) from error
    for failed in answer.get("Errors") or ():
        detail = failed.get("ErrorDetail") or {}
        if not look(client, job_name, run_id).ended:
            raise errors.AwsFailure(f"Could not {doing}: {detail.get('ErrorCode')}: {detail.get('ErrorMessage')}")


def log_tail(logs: Any, group: str, stream: str, lines: int) -> list[str]:
    """The last lines of a log stream.

    :param logs: a client of CloudWatch Logs
    """
    if lines <= 0:
        return []
    answer = logs.get_log_events(
        logGroupName=group, logStreamName=stream, limit=min(lines, 10_000), startFromHead=False
    )
    said = [line for event in answer["events"] for line in str(event["message"]).rstrip("\n").split("\n")]
    return said[-lines:]


def failure(run: JobRun, month: object, *, region: str, partition: str, tail: Sequence[str] = ()) -> str:
    """What a person is told of a run that ended without success."""
    reason = run.error_message or "Glue gives no reason"
    told = [
        f"Run {run.run_id} of the Glue job {run.job_name!r} for {month} ended {run.state}: {reason.strip()}",
        f"Run: {console.job_run(region, partition, run.job_name, run.run_id)}",
        f"Error log: {console.log_stream(region, partition, *run.error_log)}",
    ]
    if tail:
        told += [f"Its last {len(tail)} lines:", *(f"    {line}" for line in tail)]
    return "\n".join(told)
