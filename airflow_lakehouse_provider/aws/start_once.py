"""One job run for one month: the decision to start, attach to, wait for or stop a run, and the start itself.

StartJobRun has no idempotency token and AWS has no lock on a job's month. So a task decides at each poll:
1. an active run of its own key and unit: attach to it (the earliest, if a lost reply made two; stop the others);
2. a run of its own key that ended: take it, if it was started in this try or succeeded in an earlier one;
3. an active run of the unit that an earlier round of the task started: stop it and wait for its end;
4. anybody else's active run of the unit: follow ``on_active_run``; always wait for one that is STOPPING;
5. otherwise start, then list the runs again: of several active runs of the unit the earliest stays, and the task that
   started a later one stops it. All tasks see the same start times, which are AWS's, so they agree.

This is nearly a lock. Two starts in the same instant may both run until the later starter has listed and stopped its
own: a second or two, in which Glue has not yet given a run its machines. Two windows remain: a starter that dies or
loses AWS between its start and that list, and a GetJobRuns that does not yet show a run that StartJobRun has accepted;
the starter lists until its own run shows, which bounds the second. A lock by conditional PUT in S3 would need a lease,
and a holder that oversleeps its lease opens the same window. So the script publishes by one PUT, which makes a second
writer harmless.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from airflow_lakehouse_provider.aws import errors, job_runs, times
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.run_key import ARGUMENT, RunKey

OnActiveRun = Literal["wait", "attach", "fail"]
ON_ACTIVE_RUN: tuple[OnActiveRun, ...] = ("wait", "attach", "fail")

# A run may take this long, and be queued before: https://docs.aws.amazon.com/glue/latest/webapi/API_StartJobRun.html
_LONGEST_RUN = timedelta(days=8)
# Seconds after a start whose reply was lost in which its run may still appear in the list.
SETTLING = 10.0
# How often the starter looks for its own run in the list, and the seconds between.
_LISTINGS, _PAUSE = 4, 0.5


class ActiveRun(errors.AwsFailure):
    """A start was refused: another task's run of the unit is active, and on_active_run is "fail"."""


@dataclass(frozen=True)
class Unit:
    """A unit of work, which has one writer at a time: a job, a month and the values of ``unit_args``.

    :ivar month_arguments: the names of the arguments for year and month, whose values are compared as numbers
    :ivar values: name and value of each argument of the unit
    """

    job_name: str
    month_arguments: tuple[str, str]
    values: tuple[tuple[str, str], ...]

    @classmethod
    def of_arguments(
        cls, job_name: str, month_arguments: tuple[str, str], names: Iterable[str], arguments: Mapping[str, str]
    ) -> Unit:
        """Return the unit of a run with these arguments.

        :param names: the arguments that belong to the unit beside the month's
        """
        every = (*month_arguments, *names)
        return cls(job_name, month_arguments, tuple((name, arguments[name]) for name in every))

    def holds(self, arguments: Mapping[str, str]) -> bool:
        """Return True if a run with these arguments is of this unit."""
        return all(
            name in arguments and self._parsed(name, arguments[name]) == self._parsed(name, value)
            for name, value in self.values
        )

    def _parsed(self, name: str, value: str) -> str | int:
        text = value.strip()
        return int(text) if name in self.month_arguments and text.isdecimal() else text

    def __str__(self) -> str:
        return " ".join(f"{name} {value}" for name, value in self.values)


@dataclass(frozen=True)
class JobDefinition:
    """The part of a Glue job's definition that a start needs.

    :ivar defaults: DefaultArguments, for the arguments that a run does not give
    :ivar fixed: NonOverridableArguments, which no run can change
    :ivar most_runs: MaxConcurrentRuns
    :ivar command: the name of its command, glueetl or pythonshell
    """

    name: str
    defaults: Mapping[str, str]
    fixed: Mapping[str, str]
    most_runs: int
    command: str = ""

    @classmethod
    def get(cls, client: Any, name: str) -> JobDefinition:
        """Return a job's definition.

        :param client: a boto3 client of Glue
        :raises errors.AwsFailure: there is no such job, or GetJob is refused; transient errors are raised unchanged
        """
        try:
            job = client.get_job(JobName=name)["Job"]
        except Exception as error:
            if errors.is_transient(error):
                raise
            if errors.code(error) == errors.NOT_FOUND:
                raise job_runs.no_such_job(client, name) from error
            raise errors.refusal(error, f"get the Glue job {name!r} in {client.meta.region_name}") from error
        return cls(
            name,
            job.get("DefaultArguments") or {},
            job.get("NonOverridableArguments") or {},
            int((job.get("ExecutionProperty") or {}).get("MaxConcurrentRuns") or 1),
            (job.get("Command") or {}).get("Name") or "",
        )

    def effective(self, arguments: Mapping[str, str]) -> dict[str, str]:
        """Return the arguments that a run started with ``arguments`` gets."""
        return {**self.defaults, **arguments, **self.fixed}

    def keeps_bookmarks(self, arguments: Mapping[str, str]) -> bool:
        """Return True if job bookmarks are on for a run with ``arguments``."""
        return self.effective(arguments).get("--job-bookmark-option") == "job-bookmark-enable"


@dataclass(frozen=True)
class Claim:
    """A task's request for a run of a unit.

    :ivar key: the task's run key
    :ivar arguments: of the run to be started, without the run key
    :ivar options: further members of StartJobRun
    """

    job: JobDefinition
    unit: Unit
    key: RunKey
    arguments: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    on_active_run: OnActiveRun = "wait"

    def as_dict(self) -> dict[str, Any]:
        """Return the part that ``decide`` needs, in plain JSON types: enough to wait, not to start."""
        job, names = self.job, [name for name, _ in self.unit.values]
        return {
            "job_name": job.name,
            "defaults": {name: job.defaults[name] for name in names if name in job.defaults},
            "fixed": {name: job.fixed[name] for name in names if name in job.fixed},
            "most_runs": job.most_runs,
            "month_arguments": list(self.unit.month_arguments),
            "values": [list(value) for value in self.unit.values],
            "key": str(self.key),
            "on_active_run": self.on_active_run,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Claim:
        """Return the claim that ``as_dict`` made these values of.

        :raises ValueError: the key is no run key
        """
        job = JobDefinition(values["job_name"], values["defaults"], values["fixed"], values["most_runs"])
        year, month = values["month_arguments"]
        unit = Unit(job.name, (year, month), tuple((name, value) for name, value in values["values"]))
        key = RunKey.parse(values["key"])
        if key is None:
            raise ValueError(f"{values['key']!r} is no run key")
        return cls(job, unit, key, on_active_run=values["on_active_run"])


@dataclass(frozen=True)
class StartState:
    """The state of a try that wants a run, kept between polls; plain JSON types, so that it survives a deferral.

    :ivar first_try: this is the task's first try, which has no success of an earlier one to take
    :ivar passed: ids of runs with the task's key that this try does not take: they ended before it began, or it stopped
        them; None before the first poll
    :ivar lost_at: time of a start without a clear answer, epoch seconds; its run may still appear
    :ivar refused_at: time at which AWS had no room for a start, epoch seconds
    :ivar throttled: refusals in a row for another reason than the job's MaxConcurrentRuns
    """

    first_try: bool = True
    passed: list[str] | None = None
    lost_at: float | None = None
    refused_at: float | None = None
    throttled: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class StartDecision(NamedTuple):
    """The decision of one poll: take a run, start one, stop some first, or wait.

    :ivar message: the decision and its reason, a sentence for the log
    :ivar run: the run to wait for, or to take as it ended
    :ivar start: a run is to be started
    :ivar stop: runs to stop first
    :ivar brief: the wait takes seconds
    """

    state: StartState
    message: str
    run: JobRun | None = None
    start: bool = False
    stop: tuple[JobRun, ...] = ()
    brief: bool = False

    @property
    def waits(self) -> bool:
        """Return True if there is nothing to do before the next poll."""
        return self.run is None and not self.start and not self.stop


def horizon(now: datetime) -> datetime:
    """Return the time before which no run that is still active can have started."""
    return now - _LONGEST_RUN


def list_runs(client: Any, job_name: str) -> list[JobRun]:
    """Return the job's runs that may be active, and others as recent.

    :raises errors.AwsFailure: AWS refuses the call; transient errors are raised unchanged
    """
    try:
        return [run for page, _ in job_runs.pages(client, job_name, horizon(times.now())) for run in page]
    except Exception as error:
        raise list_error(client, job_name, error) from error


def list_error(client: Any, job_name: str, error: Exception) -> Exception:
    """Return what to raise for an error of GetJobRuns: a sentence, or a transient error unchanged."""
    if errors.is_transient(error):
        return error
    if errors.code(error) == errors.NOT_FOUND:
        return job_runs.no_such_job(client, job_name)
    return errors.refusal(error, f"list the runs of the Glue job {job_name!r} in {client.meta.region_name}")


def decide(claim: Claim, state: StartState, runs: Sequence[JobRun], clock: float | None = None) -> StartDecision:
    """Return what the claim's task is to do, given the job's runs; calls no AWS.

    :param clock: epoch seconds; default: now
    :raises ActiveRun: another task's run is active, and ``on_active_run`` is "fail"
    """
    clock = time.time() if clock is None else clock
    of_unit = sorted((run for run in runs if _is_of_unit(claim, run)), key=lambda run: run.order)
    own = [run for run in of_unit if run.key == claim.key]
    if state.passed is None:
        state = replace(state, passed=[run.run_id for run in own if run.ended and _is_past(state, run)])
    passed = state.passed or []

    if active := [run for run in own if not run.ended and run.run_id not in passed]:
        first, *others = active
        if others:
            message = f"Several runs of this task are active: {first.run_id} stays, the others are stopped."
            state = replace(state, passed=[*passed, *(run.run_id for run in others)])
            return StartDecision(state, message, stop=tuple(run for run in others if not run.stopping))
        if first.stopping:
            return StartDecision(state, _waits_for(first, "the task's own run is stopping"))
        return StartDecision(
            state, f"Run {first.run_id} of {first.job_name} is this task's own: {first.state}.", run=first
        )
    if ended := [run for run in own if run.ended and run.run_id not in passed]:
        # The latest success, else the latest; there are several only where a reply was lost.
        best = max(ended, key=lambda run: (run.succeeded, run.order))
        return StartDecision(state, f"Run {best.run_id} of {best.job_name} is this task's own: {best.state}.", run=best)

    active = [run for run in of_unit if not run.ended]
    older = [run for run in active if run.key is not None and claim.key.follows(run.key)]
    if wanted := tuple(run for run in older if not run.stopping):
        names = ", ".join(run.run_id for run in wanted)
        return StartDecision(state, f"{names} was started before this task was cleared, and is stopped.", stop=wanted)
    if active:
        return _beside(claim, state, active)
    if state.lost_at is not None and clock < state.lost_at + SETTLING:
        return StartDecision(state, "The reply to StartJobRun was lost; checking for its run.", brief=True)
    if state.refused_at is not None and not _room(claim, state, runs, clock):
        return StartDecision(state, f"Glue has no room for another run of {claim.job.name}; waiting for a slot.")
    return StartDecision(state, f"No run of {claim.job.name} for {claim.unit} is active.", start=True)


def advance(client: Any, once: Any, claim: Claim, state: StartState) -> StartDecision:
    """Decide by the job's runs and act on it: stop runs, or start one. Never returns ``start`` or ``stop``.

    :param client: a boto3 client of Glue
    :param once: one without botocore's retries: a repeated StartJobRun is a second run
    :raises ActiveRun: another task's run is active, and ``on_active_run`` is "fail"
    :raises errors.AwsFailure: AWS refuses a call; transient errors are raised unchanged
    """
    decision = decide(claim, state, list_runs(client, claim.job.name))
    if decision.stop:
        for run in decision.stop:
            stop(client, run)
        return decision._replace(stop=())
    return _start(client, once, claim, decision.state) if decision.start else decision


def stop(client: Any, run: JobRun) -> None:
    """Stop a run that carries a run key.

    :raises RuntimeError: it carries none, so that this provider did not start it
    """
    if run.key is None:
        raise RuntimeError(f"Run {run.run_id} of {run.job_name} is not stopped: it carries no run key.")
    job_runs.stop(client, run.job_name, run.run_id)


def stop_own(client: Any, job_name: str, key: RunKey) -> list[str]:
    """Stop all active runs of a key and return their ids; for a task that does not know its run's id."""
    active = [run for run in list_runs(client, job_name) if run.key == key and not run.ended]
    for run in active:
        if not run.stopping:
            stop(client, run)
    return [run.run_id for run in active]


def _start(client: Any, once: Any, claim: Claim, state: StartState) -> StartDecision:
    name, region = claim.job.name, client.meta.region_name
    arguments = {**claim.arguments, ARGUMENT: str(claim.key)}
    try:
        run_id = once.start_job_run(JobName=name, Arguments=arguments, **claim.options)["JobRunId"]
    except Exception as error:
        now = time.time()
        if errors.code(error) in errors.NO_ROOM:
            full = errors.code(error) == errors.CONCURRENT_RUNS
            state = replace(state, refused_at=now, throttled=0 if full else state.throttled + 1)
            message = f"Glue has no room for another run of {name} ({errors.code(error)}); waiting for a slot."
            return StartDecision(state, message)
        if errors.never_arrived(error):
            return StartDecision(
                state, f"StartJobRun for {name} did not reach AWS and is repeated: {error}", brief=True
            )
        if errors.is_transient(error):
            state = replace(state, lost_at=now)
            message = f"The reply to StartJobRun for {name} was lost ({errors.code(error)}); looking for its run."
            return StartDecision(state, message, brief=True)
        if errors.code(error) == errors.NOT_FOUND:
            raise job_runs.no_such_job(client, name) from error
        raise errors.refusal(error, f"start the Glue job {name!r} in {region}") from error
    started = JobRun(name, run_id, "STARTING", arguments=arguments)
    return _settled(client, claim, state, started)


def _settled(client: Any, claim: Claim, state: StartState, started: JobRun) -> StartDecision:
    """Decide after a start: stop the new run if another run of the unit was started before it, by AWS's times."""
    for attempt in range(_LISTINGS):
        if attempt:
            time.sleep(_PAUSE)
        try:
            runs = list_runs(client, claim.job.name)
        except Exception as error:  # the run is this task's and goes on; the wait for it meets this error again
            if not errors.is_transient(error):
                break
            continue
        mine = next((run for run in runs if run.run_id == started.run_id), None)
        if mine is None:
            continue
        rivals = [run for run in runs if not run.ended and run.key != claim.key and _is_of_unit(claim, run)]
        earlier = [run for run in rivals if run.order < mine.order]
        if mine.ended or not earlier:
            return StartDecision(state, f"Started run {mine.run_id} of {mine.job_name}.", run=mine)
        stop(client, mine)
        state = replace(state, passed=[*(state.passed or ()), mine.run_id])
        return StartDecision(
            state, f"{mine.run_id} was started beside {earlier[0].run_id}, of the same unit, and is stopped."
        )
    return StartDecision(state, f"Started run {started.run_id} of {started.job_name}.", run=started)


def _beside(claim: Claim, state: StartState, active: Sequence[JobRun]) -> StartDecision:
    """Decide while runs of the unit are active that are not this task's."""
    going = [run for run in active if not run.stopping]
    if not going:
        return StartDecision(state, _waits_for(active[0], "it is stopping"))
    other, origin = going[0], _origin(going[0])
    if claim.on_active_run == "attach":
        return StartDecision(
            state,
            f"Run {other.run_id} of {other.job_name}, {origin}, works on the same unit: attached to it.",
            run=other,
        )
    if claim.on_active_run == "fail":
        raise ActiveRun(
            f"Run {other.run_id} of the Glue job {other.job_name!r} is active for {claim.unit} too; it was {origin}. "
            "Nothing was started, as on_active_run is 'fail'; 'wait' starts after its end, 'attach' waits for it."
        )
    return StartDecision(state, _waits_for(other, f"it was {origin}"))


def _waits_for(run: JobRun, reason: str) -> str:
    return f"Waiting for the end of run {run.run_id} of {run.job_name} ({run.state}): {reason}."


def _origin(run: JobRun) -> str:
    key = run.key
    return (
        f"started by task {key.task_id} of DAG {key.dag_id}, run {key.run_id}"
        if key
        else "not started by this provider"
    )


def _is_of_unit(claim: Claim, run: JobRun) -> bool:
    return claim.unit.holds(claim.job.effective(run.arguments))


def _is_past(state: StartState, run: JobRun) -> bool:
    """Return True if a run of the task's key that ended before this try began is not to be taken."""
    return state.first_try or not run.succeeded


def _room(claim: Claim, state: StartState, runs: Sequence[JobRun], clock: float) -> bool:
    """Return True if another start is worth a try after one was refused."""
    waited = clock - (state.refused_at or 0.0)
    if state.throttled:  # AWS does not tell when this is over
        return waited >= min(300.0, 15.0 * 2.0 ** (state.throttled - 1))
    free = sum(not run.ended for run in runs) < claim.job.most_runs
    return waited >= (1.0 if free else 300.0)  # the limit may have been raised meanwhile
