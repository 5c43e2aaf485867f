"""The sources of the shared pollers: a job's runs, by pages for all waits at once; and one crawler's crawls."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass
from statistics import median
from typing import Any

from airflow_lakehouse_provider.aws import crawls, errors, job_runs, start_once, times
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.polling import Answers
from airflow_lakehouse_provider.aws.start_once import Claim, StartDecision, StartState

# A run whose age is between these shares of the usual duration is polled more often.
_NEAR_END = (0.85, 1.15)
# Runs that are on none of the pages are looked up one by one, so many a round.
_SINGLE = 25
# So few are cheaper to look up one by one than by another page.
_FEW = 1


@dataclass(frozen=True)
class RunQuestion:
    """The question: the state of a run."""

    run_id: str


@dataclass(frozen=True)
class TurnQuestion:
    """The question: the decision about a claim.

    :ivar key: the claim's run key
    """

    key: str


_Question = RunQuestion | TurnQuestion
_Answers = Answers[_Question, JobRun | StartDecision]


class JobRunSource:
    """A job's runs: all questions of a round are answered by the newest pages of GetJobRuns, where that is cheaper."""

    def __init__(self, job_name: str) -> None:
        self._job_name = job_name
        self._claims: dict[str, tuple[Claim, StartState]] = {}
        self._began: dict[str, str] = {}
        self._usual: float | None = None  # duration in seconds
        self._next = 0  # the first of the single look-ups of the next round

    def claim(self, claim: Claim, state: StartState) -> TurnQuestion:
        """Return the question of a claim, which is decided by the given state at first, then by its own."""
        self._claims[str(claim.key)] = claim, state
        return TurnQuestion(str(claim.key))

    def mark(self, answer: JobRun | StartDecision) -> str:
        return answer.state if isinstance(answer, JobRun) else f"{answer.waits} {answer.message}"

    def look(self, client: Any, questions: Collection[_Question]) -> _Answers:
        answers: _Answers = Answers(calls=0)
        wanted = {question.run_id for question in questions if isinstance(question, RunQuestion)}
        turns = [question for question in questions if isinstance(question, TurnQuestion)]
        runs = self._pages(client, wanted, bool(turns), answers)
        missing = sorted(wanted - runs.keys())
        for run_id in (missing[self._next :] + missing[: self._next])[:_SINGLE]:
            self._single(client, run_id, runs, answers)
        self._next = (self._next + _SINGLE) % max(1, len(missing))

        for run_id in wanted & runs.keys():
            answers.found[RunQuestion(run_id)] = runs[run_id]
        for turn in turns:
            claim, state = self._claims[turn.key]
            try:
                decision = start_once.decide(claim, state, list(runs.values()))
            except errors.AwsFailure as error:
                answers.failed[turn] = error
                continue
            self._claims[turn.key] = claim, decision.state
            answers.found[turn] = decision
        self._began = {run_id: runs[run_id].started_on or "" for run_id in wanted & runs.keys()}
        answers.soon = any(self._near_end(runs[run_id]) for run_id in wanted & runs.keys())
        return answers

    def _pages(
        self,
        client: Any,
        wanted: set[str],
        every: bool,
        answers: _Answers,
    ) -> dict[str, JobRun]:
        """Return the runs of the newest pages, as far as they help.

        :param wanted: ids of the runs that are asked for
        :param every: whether all runs that may be active are needed
        """
        runs: dict[str, JobRun] = {}
        # The first round takes a page in any case: it shows how long this job's runs usually take.
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
            raise start_once.list_error(client, self._job_name, error) from error
        lasted = [run.execution_seconds for run in runs.values() if run.succeeded and run.execution_seconds]
        self._usual = float(median(lasted[:12])) if lasted else self._usual or 0.0
        return runs

    def _single(
        self,
        client: Any,
        run_id: str,
        runs: dict[str, JobRun],
        answers: _Answers,
    ) -> None:
        answers.calls += 1
        try:
            runs[run_id] = job_runs.get(client, self._job_name, run_id)
        except errors.AwsFailure as error:
            answers.failed[RunQuestion(run_id)] = error
        except Exception:
            if answers.calls == 1:
                raise  # nothing was answered at all: the poller waits longer, and logs it

    def _near_end(self, run: JobRun) -> bool:
        if run.ended or not self._usual or not run.started_on:
            return False
        age = time.time() - times.moment(run.started_on).timestamp()
        return _NEAR_END[0] <= age / self._usual <= _NEAR_END[1]


class CrawlSource:
    """One crawler: two calls a round answer all searches, and one start serves all that need one."""

    def __init__(self, crawler_name: str) -> None:
        self._crawler_name = crawler_name
        self._searches: dict[crawls.Search, crawls.Search] = {}

    def mark(self, answer: crawls.CrawlDecision) -> str:
        return f"{answer.ended} {answer.message}"

    def look(self, client: Any, questions: Collection[crawls.Search]) -> Answers[crawls.Search, crawls.CrawlDecision]:
        searches = {question: self._searches.get(question, question) for question in questions}
        decisions = crawls.advance_all(client, self._crawler_name, list(searches.values()))
        found = dict(zip(searches, decisions, strict=True))
        self._searches = {question: decision.search for question, decision in found.items()}
        return Answers(found=found, calls=2)
