"""What the shared pollers ask: a job's runs, by pages for all who wait; and one crawler's crawls."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from statistics import median
from typing import Any

from airflow_lakehouse_provider.aws import crawls, errors, job_runs, start_once, times
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.polling import Answers
from airflow_lakehouse_provider.aws.start_once import Claim, Memory, Step

# A run this near its usual duration, as a share of it, is looked at more often.
_NEAR_END = (0.85, 1.15)
# Runs that no page holds any more are looked at one by one, so many a round.
_SINGLE = 25
# As many are cheaper to look at one by one than by another page.
_FEW = 1


@dataclass(frozen=True)
class Run:
    """Question: how is this run?"""

    run_id: str


@dataclass(frozen=True)
class Turn:
    """Question: may the claim go on, by starting, stopping or taking a run?

    :ivar token: tells claims apart
    """

    token: str


class JobRuns:
    """A job's runs: all that is asked of them is answered by one walk over the newest pages, where that is cheaper."""

    def __init__(self, job_name: str) -> None:
        self._job_name = job_name
        self._claims: dict[str, tuple[Claim, Memory]] = {}
        self._began: dict[str, str] = {}
        self._usual: float | None = None
        self._turn = 0

    def claim(self, claim: Claim, memory: Memory) -> Turn:
        """The question of a claim."""
        self._claims[str(claim.key)] = claim, memory
        return Turn(str(claim.key))

    def mark(self, answer: JobRun | Step) -> str:
        return answer.state if isinstance(answer, JobRun) else f"{answer.waits} {answer.doing}"

    def look(self, client: Any, questions: Collection[Run | Turn]) -> Answers[Run | Turn, JobRun | Step]:
        answers: Answers[Run | Turn, JobRun | Step] = Answers(calls=0)
        wanted = {question.run_id for question in questions if isinstance(question, Run)}
        turns = [question for question in questions if isinstance(question, Turn)]
        runs = self._walk(client, wanted, bool(turns), answers)
        missing = sorted(wanted - runs.keys())
        for run_id in (missing[self._turn :] + missing[: self._turn])[:_SINGLE]:
            self._single(client, run_id, runs, answers)
        self._turn = (self._turn + _SINGLE) % max(1, len(missing))

        for run_id in wanted & runs.keys():
            answers.found[Run(run_id)] = runs[run_id]
        for turn in turns:
            claim, memory = self._claims[turn.token]
            try:
                step = start_once.decide(claim, memory, list(runs.values()))
            except errors.AwsFailure as error:
                answers.failed[turn] = error
                continue
            self._claims[turn.token] = claim, step.memory
            answers.found[turn] = step
        self._began = {run_id: runs[run_id].started_on or "" for run_id in wanted & runs.keys()}
        answers.soon = any(self._near_end(runs[run_id]) for run_id in wanted & runs.keys())
        return answers

    def _walk(
        self, client: Any, wanted: set[str], every: bool, answers: Answers[Run | Turn, JobRun | Step]
    ) -> dict[str, JobRun]:
        """The runs of the newest pages: as far as they help, or all that may be active.

        :param every: whether all that may be active are wanted
        """
        runs: dict[str, JobRun] = {}
        # A first look takes a page in any case: it tells how long this job's runs usually take.
        if not every and len(wanted) <= _FEW and self._usual is not None:
            return runs
        known = [self._began.get(run_id) for run_id in wanted]
        since = start_once.horizon(times.now())
        if not every and all(known):
            since = min(times.moment(began) for began in known if began)
        try:
            for page, _ in job_runs.pages(client, self._job_name, since):
                answers.calls += 1
                useful = any(run.run_id in wanted for run in page)
                runs.update((run.run_id, run) for run in page)
                missing = len(wanted - runs.keys())
                if not every and (missing <= _FEW or (not useful and missing <= _SINGLE)):
                    break
        except Exception as error:
            raise start_once.refused(client, self._job_name, error) from error
        lasted = [run.execution_seconds for run in runs.values() if run.succeeded and run.execution_seconds]
        self._usual = float(median(lasted[:12])) if lasted else self._usual or 0.0
        return runs

    def _single(
        self, client: Any, run_id: str, runs: dict[str, JobRun], answers: Answers[Run | Turn, JobRun | Step]
    ) -> None:
        answers.calls += 1
        try:
            runs[run_id] = job_runs.look(client, self._job_name, run_id)
        except errors.AwsFailure as error:
            answers.failed[Run(run_id)] = error
        except Exception:
            if answers.calls == 1:
                raise  # nothing was answered at all: the poller waits longer, and says so

    def _near_end(self, run: JobRun) -> bool:
        if run.ended or not self._usual or not run.started_on:
            return False
        age = time.time() - times.moment(run.started_on).timestamp()
        return _NEAR_END[0] <= age / self._usual <= _NEAR_END[1]


class Crawls:
    """One crawler: a look at it and its crawls answers all searches, and one start serves all that need one."""

    def __init__(self, crawler_name: str) -> None:
        self._crawler_name = crawler_name
        self._going: dict[crawls.Search, crawls.Search] = {}

    def mark(self, answer: crawls.Step) -> str:
        return f"{answer.ended} {answer.doing}"

    def look(self, client: Any, questions: Collection[crawls.Search]) -> Answers[crawls.Search, crawls.Step]:
        searches = {question: self._going.get(question, question) for question in questions}
        steps = crawls.advance_all(client, self._crawler_name, list(searches.values()))
        found = dict(zip(searches, steps, strict=True))
        self._going = {question: step.search for question, step in found.items()}
        return Answers(found=found, calls=2)
