"""One run for one month: whether to start, attach to, wait for or stop a job run, and the start itself.

StartJobRun has no idempotency token and AWS has no lock on a job's month, so this is what a task does at each look:
1. an active run of its own key and unit: attach to it (the earliest, if a lost reply made two; the others are stopped);
2. a run of its own key that ended: one started in this try is this try's; a success of an earlier try is taken too;
3. an active run of the unit that an older generation of the task started: stop it and wait for its end;
4. anybody else's active run of the unit: what ``on_active_run`` says; one that is STOPPING is always waited for;
5. otherwise start, then look again: of several active runs of the unit the earliest stays, and whoever started a later
   one stops it. All see the same times of AWS's, so all agree.

How close this is to a lock: two starts in the same instant may both run for as long as it takes the later starter to
list and stop its own, a second or two, in which Glue has not yet given a run its machines. What remains is a starter
that dies or loses AWS between its start and that look, and an AWS whose listing does not show a run that the starter of
another has already seen accepted; the starter looks until its own run is listed, which bounds that. A lock by
conditional PUT in S3 would need a lease, and a holder that oversleeps its lease is the same window again; so the
script's publishing by one PUT is what makes a second writer harmless.
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
# How long after a start whose reply was lost the run may still come to show.
SETTLING = 10.0
# How often the starter looks for its own run among the job's, and the pause between.
_LOOKS, _PAUSE = 4, 0.5


class ActiveRun(errors.AwsFailure):
    """Somebody else's run of the same unit is active, and on_active_run is "fail"."""


@dataclass(frozen=True)
class Unit:
    """What has one writer at a time: a job's values for the arguments that name a month, and those beside them.

    :ivar month_arguments: the names of year and month, whose values are compared as numbers
    :ivar values: name and value of each argument of the unit
    """

    job_name: str
    month_arguments: tuple[str, str]
    values: tuple[tuple[str, str], ...]

    @classmethod
    def of(
        cls, job_name: str, month_arguments: tuple[str, str], names: Iterable[str], given: Mapping[str, str]
    ) -> Unit:
        every = (*month_arguments, *names)
        return cls(job_name, month_arguments, tuple((name, given[name]) for name in every))

    def holds(self, arguments: Mapping[str, str]) -> bool:
        """Whether a run with these arguments is of this unit."""
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
class Job:
    """What of a job's definition a start needs to know.

    :ivar defaults: its default arguments, which a run that does not name them has
    :ivar fixed: its arguments that no run can change
    :ivar most_runs: at once
    :ivar kind: what Glue calls its command, glueetl or pythonshell
    """

    name: str
    defaults: Mapping[str, str]
    fixed: Mapping[str, str]
    most_runs: int
    kind: str = ""

    @classmethod
    def look(cls, client: Any, name: str) -> Job:
        """:raises errors.AwsFailure: there is no such job, or it may not be seen; what passes is raised as is"""
        try:
            job = client.get_job(JobName=name)["Job"]
        except Exception as error:
            if errors.passes_by_itself(error):
                raise
            if errors.code(error) == errors.NOT_FOUND:
                raise job_runs.no_such_job(client, name) from error
            raise errors.refusal(error, f"look at the Glue job {name!r} in {client.meta.region_name}") from error
        return cls(
            name,
            job.get("DefaultArguments") or {},
            job.get("NonOverridableArguments") or {},
            int((job.get("ExecutionProperty") or {}).get("MaxConcurrentRuns") or 1),
            (job.get("Command") or {}).get("Name") or "",
        )

    def effective(self, arguments: Mapping[str, str]) -> dict[str, str]:
        """What a run started with ``arguments`` is given."""
        return {**self.defaults, **arguments, **self.fixed}

    def keeps_bookmarks(self, arguments: Mapping[str, str]) -> bool:
        return self.effective(arguments).get("--job-bookmark-option") == "job-bookmark-enable"


@dataclass(frozen=True)
class Claim:
    """A task's wish for a run of a unit.

    :ivar arguments: of the run to be started, without the key
    :ivar options: further members of StartJobRun
    """

    job: Job
    unit: Unit
    key: RunKey
    arguments: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    on_active_run: OnActiveRun = "wait"

    def as_dict(self) -> dict[str, Any]:
        """Of plain JSON types, what ``decide`` needs: enough to wait, not to start."""
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
    def of(cls, told: Mapping[str, Any]) -> Claim:
        """What ``as_dict`` told."""
        job = Job(told["job_name"], told["defaults"], told["fixed"], told["most_runs"])
        year, month = told["month_arguments"]
        unit = Unit(job.name, (year, month), tuple((name, value) for name, value in told["values"]))
        key = RunKey.parse(told["key"])
        if key is None:
            raise ValueError(f"{told['key']!r} is no run key")
        return cls(job, unit, key, on_active_run=told["on_active_run"])


@dataclass(frozen=True)
class Memory:
    """What a try remembers between its looks, in plain JSON types, so that it travels through a deferral.

    :ivar first_try: the task's first, which has no success of an earlier one to take
    :ivar passed: runs of our key that are none of this try's: they ended before it, or it stopped them; None before
        the first look
    :ivar lost_at: when a start got no clear answer, epoch seconds; its run may still come to show
    :ivar refused_at: when AWS had no room for a start, epoch seconds
    :ivar throttled: how often in a row for another reason than the job's own limit of runs at once
    """

    first_try: bool = True
    passed: list[str] | None = None
    lost_at: float | None = None
    refused_at: float | None = None
    throttled: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Step(NamedTuple):
    """One look.

    :ivar run: the run to wait for, or to take as it ended
    :ivar start: nothing stands in the way of a start
    :ivar stop: runs to stop first
    :ivar doing: what is being done or waited for, in a sentence for the log
    :ivar brief: it is waited for seconds
    """

    memory: Memory
    doing: str
    run: JobRun | None = None
    start: bool = False
    stop: tuple[JobRun, ...] = ()
    brief: bool = False

    @property
    def waits(self) -> bool:
        return self.run is None and not self.start and not self.stop


def horizon(now: datetime) -> datetime:
    """Before which no run that is still active began."""
    return now - _LONGEST_RUN


def list_runs(client: Any, job_name: str) -> list[JobRun]:
    """The job's runs that may be active, and those about as young.

    :raises errors.AwsFailure: AWS refuses, and asking again does not help; what passes by itself is raised as is
    """
    try:
        return [run for page, _ in job_runs.pages(client, job_name, horizon(times.now())) for run in page]
    except Exception as error:
        raise refused(client, job_name, error) from error


def refused(client: Any, job_name: str, error: Exception) -> Exception:
    """What to raise for an error at listing: a sentence where asking again does not help."""
    if errors.passes_by_itself(error):
        return error
    if errors.code(error) == errors.NOT_FOUND:
        return job_runs.no_such_job(client, job_name)
    return errors.refusal(error, f"list the runs of the Glue job {job_name!r} in {client.meta.region_name}")


def decide(claim: Claim, memory: Memory, runs: Sequence[JobRun], clock: float | None = None) -> Step:
    """What these runs mean to the claim; asks AWS nothing.

    :param clock: epoch seconds; default now
    """
    clock = time.time() if clock is None else clock
    of_unit = sorted((run for run in runs if _is_of(claim, run)), key=lambda run: run.order)
    own = [run for run in of_unit if run.key == claim.key]
    if memory.passed is None:
        memory = replace(memory, passed=[run.run_id for run in own if run.ended and _is_past(memory, run)])
    passed = memory.passed or []

    if active := [run for run in own if not run.ended and run.run_id not in passed]:
        first, *others = active
        if others:
            doing = f"Several runs of this task are active: {first.run_id} stays, the others are stopped."
            memory = replace(memory, passed=[*passed, *(run.run_id for run in others)])
            return Step(memory, doing, stop=tuple(run for run in others if not run.stopping))
        if first.stopping:
            return Step(memory, _waits_for(first, "the task's own run is stopping"))
        return Step(memory, f"Run {first.run_id} of {first.job_name} is this task's own: {first.state}.", run=first)
    if ended := [run for run in own if run.ended and run.run_id not in passed]:
        # The latest success, else the latest: several only where a reply was lost.
        best = max(ended, key=lambda run: (run.succeeded, run.order))
        return Step(memory, f"Run {best.run_id} of {best.job_name} is this task's own: {best.state}.", run=best)

    active = [run for run in of_unit if not run.ended]
    older = [run for run in active if run.key is not None and claim.key.follows(run.key)]
    if wanted := tuple(run for run in older if not run.stopping):
        names = ", ".join(run.run_id for run in wanted)
        return Step(memory, f"{names} was started before this task was cleared, and is stopped.", stop=wanted)
    if active:
        return _beside(claim, memory, active)
    if memory.lost_at is not None and clock < memory.lost_at + SETTLING:
        return Step(memory, "The answer to the start was lost; whether there is a run shows in a moment.", brief=True)
    if memory.refused_at is not None and not _room(claim, memory, runs, clock):
        return Step(memory, f"Glue has no room for another run of {claim.job.name}; a slot is waited for.")
    return Step(memory, f"No run of {claim.job.name} for {claim.unit} is active.", start=True)


def advance(client: Any, once: Any, claim: Claim, memory: Memory) -> Step:
    """Look, and do what is to be done: stop what must not go on, start what is free. Never returns ``start``.

    :param client: a client of Glue
    :param once: one that does not resend: a resent StartJobRun is a second run
    :raises ActiveRun: somebody else's run is active, and the claim says fail
    :raises errors.AwsFailure: AWS refuses, and asking again does not help; what passes by itself is raised as is
    """
    step = decide(claim, memory, list_runs(client, claim.job.name))
    if step.stop:
        for run in step.stop:
            stop(client, run)
        return step._replace(stop=())
    return _start(client, once, claim, step.memory) if step.start else step


def stop(client: Any, run: JobRun) -> None:
    """Stop a run that carries a key of ours."""
    if run.key is None:
        raise RuntimeError(f"run {run.run_id} of {run.job_name} carries no key of ours and is not ours to stop")
    job_runs.stop(client, run.job_name, run.run_id)


def stop_own(client: Any, job_name: str, key: RunKey) -> list[str]:
    """Stop whatever is active of this very key: the runs' ids. For a task that has lost what it knew."""
    active = [run for run in list_runs(client, job_name) if run.key == key and not run.ended]
    for run in active:
        if not run.stopping:
            stop(client, run)
    return [run.run_id for run in active]


def _start(client: Any, once: Any, claim: Claim, memory: Memory) -> Step:
    name, region = claim.job.name, client.meta.region_name
    arguments = {**claim.arguments, ARGUMENT: str(claim.key)}
    try:
        run_id = once.start_job_run(JobName=name, Arguments=arguments, **claim.options)["JobRunId"]
    except Exception as error:
        now = time.time()
        if errors.code(error) in errors.NO_ROOM:
            full = errors.code(error) == errors.CONCURRENT_RUNS
            memory = replace(memory, refused_at=now, throttled=0 if full else memory.throttled + 1)
            said = f"Glue has no room for another run of {name} ({errors.code(error)}); a slot is waited for."
            return Step(memory, said)
        if errors.never_arrived(error):
            return Step(memory, f"The start of {name} did not reach AWS and is tried again: {error}", brief=True)
        if errors.passes_by_itself(error):
            memory = replace(memory, lost_at=now)
            said = f"The answer to the start of {name} was lost ({errors.code(error)}); looking for its run."
            return Step(memory, said, brief=True)
        if errors.code(error) == errors.NOT_FOUND:
            raise job_runs.no_such_job(client, name) from error
        raise errors.refusal(error, f"start the Glue job {name!r} in {region}") from error
    started = JobRun(name, run_id, "STARTING", arguments=arguments)
    return _settled(client, claim, memory, started)


def _settled(client: Any, claim: Claim, memory: Memory, started: JobRun) -> Step:
    """After a start: whether another's run of the unit was started before it, as AWS tells the order."""
    for attempt in range(_LOOKS):
        if attempt:
            time.sleep(_PAUSE)
        try:
            runs = list_runs(client, claim.job.name)
        except Exception as error:  # the run is ours and goes on; the wait for it meets whatever this was
            if not errors.passes_by_itself(error):
                break
            continue
        mine = next((run for run in runs if run.run_id == started.run_id), None)
        if mine is None:
            continue
        rivals = [run for run in runs if not run.ended and run.key != claim.key and _is_of(claim, run)]
        earlier = [run for run in rivals if run.order < mine.order]
        if mine.ended or not earlier:
            return Step(memory, f"Started run {mine.run_id} of {mine.job_name}.", run=mine)
        stop(client, mine)
        memory = replace(memory, passed=[*(memory.passed or ()), mine.run_id])
        return Step(memory, f"{mine.run_id} was started beside {earlier[0].run_id}, of the same unit, and is stopped.")
    return Step(memory, f"Started run {started.run_id} of {started.job_name}.", run=started)


def _beside(claim: Claim, memory: Memory, active: Sequence[JobRun]) -> Step:
    """What to do while runs of the unit are active that are not this task's."""
    going = [run for run in active if not run.stopping]
    if not going:
        return Step(memory, _waits_for(active[0], "it is stopping"))
    other, whose = going[0], _whose(going[0])
    if claim.on_active_run == "attach":
        return Step(
            memory, f"Run {other.run_id} of {other.job_name}, {whose}, does the same: attached to it.", run=other
        )
    if claim.on_active_run == "fail":
        raise ActiveRun(
            f"Run {other.run_id} of the Glue job {other.job_name!r} is active for {claim.unit} too; it is {whose}. "
            "Nothing was started, as on_active_run='fail' asks; 'wait' starts after its end, 'attach' waits with it."
        )
    return Step(memory, _waits_for(other, f"it is {whose}"))


def _waits_for(run: JobRun, why: str) -> str:
    return f"Waiting for the end of run {run.run_id} of {run.job_name} ({run.state}): {why}."


def _whose(run: JobRun) -> str:
    key = run.key
    return f"{key.task_id}'s of {key.dag_id}, run {key.run_id}" if key else "nobody's of this provider"


def _is_of(claim: Claim, run: JobRun) -> bool:
    return claim.unit.holds(claim.job.effective(run.arguments))


def _is_past(memory: Memory, run: JobRun) -> bool:
    """Whether a run of our key that ended before this try began is of no use to it."""
    return memory.first_try or not run.succeeded


def _room(claim: Claim, memory: Memory, runs: Sequence[JobRun], clock: float) -> bool:
    """Whether another start is worth a try after one was refused."""
    waited = clock - (memory.refused_at or 0.0)
    if memory.throttled:  # nothing that AWS tells says when this is over
        return waited >= min(300.0, 15.0 * 2.0 ** (memory.throttled - 1))
    free = sum(not run.ended for run in runs) < claim.job.most_runs
    return waited >= (1.0 if free else 300.0)  # the limit may have been raised meanwhile
