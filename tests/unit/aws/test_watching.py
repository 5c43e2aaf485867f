"""The sources of the shared pollers make as few calls as the questions need."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_lakehouse_provider.aws import errors
from airflow_lakehouse_provider.aws.crawls import Search
from airflow_lakehouse_provider.aws.run_key import RunKey
from airflow_lakehouse_provider.aws.start_once import Claim, JobDefinition, StartState, Unit
from airflow_lakehouse_provider.aws.watching import CrawlSource, JobRunSource, RunQuestion


@pytest.fixture
def calls(aws, monkeypatch):
    """Return the names of the calls to Glue, in order."""
    made = []
    for name in ("get_job_run", "get_job_runs", "list_crawls", "start_crawler"):
        real = getattr(aws.glue, name)
        monkeypatch.setattr(
            aws.glue, name, lambda real=real, name=name, **request: made.append(name) or real(**request)
        )
    return made


def add(aws, number, state="RUNNING", age=0):
    for n in range(number):
        aws.glue.add_run(f"jr_{n}", state, {}, datetime.now(timezone.utc) - timedelta(seconds=age))


def looked(aws, source, run_ids):
    return source.look(aws.glue, {RunQuestion(run_id) for run_id in run_ids})


def test_a_thousand_runs_take_five_calls(aws, calls):
    add(aws, 1000)
    answers = looked(aws, JobRunSource("trips"), [f"jr_{n}" for n in range(1000)])
    assert len(answers.found) == 1000
    assert calls == ["get_job_runs"] * 5 == ["get_job_runs"] * answers.calls


def test_one_run_is_looked_at_by_itself_once_the_job_is_known(aws, calls):
    add(aws, 1000)
    source = JobRunSource("trips")
    for _ in range(3):
        assert looked(aws, source, ["jr_999"]).found[RunQuestion("jr_999")].state == "RUNNING"
    assert calls == ["get_job_runs", "get_job_run", "get_job_run"]


def test_old_runs_are_looked_at_one_by_one(aws, calls):
    add(aws, 1000)
    answers = looked(aws, JobRunSource("trips"), ["jr_3", "jr_4", "jr_5"])
    assert len(answers.found) == 3
    assert calls == ["get_job_runs", "get_job_run", "get_job_run", "get_job_run"]


def test_a_run_that_is_gone_fails_alone(aws):
    add(aws, 2)
    answers = looked(aws, JobRunSource("trips"), ["jr_0", "jr_gone"])
    assert answers.found.keys() == {RunQuestion("jr_0")}
    assert isinstance(answers.failed[RunQuestion("jr_gone")], errors.AwsFailure)


@pytest.mark.parametrize(("age", "soon"), [(100, False), (178, True), (500, False)])
def test_the_usual_end_is_watched_closely(aws, age, soon):
    """This job's runs take 180 s."""
    add(aws, 5, "SUCCEEDED", age=9_000)
    aws.glue.add_run("mine", "RUNNING", {}, datetime.now(timezone.utc) - timedelta(seconds=age))
    assert looked(aws, JobRunSource("trips"), ["mine"]).soon is soon


def test_turns_and_runs_share_a_walk(aws, calls):
    add(aws, 150)
    source = JobRunSource("trips")
    claims = [
        Claim(
            JobDefinition("trips", {}, {}, 1),
            Unit("trips", ("--YEAR", "--MONTH"), (("--YEAR", "2024"), ("--MONTH", str(month)))),
            RunKey("d", "t", f"r{month}", "s", -1, 0),
        )
        for month in range(1, 13)
    ]
    turns = {source.claim(claim, StartState()) for claim in claims}
    answers = source.look(aws.glue, {*turns, RunQuestion("jr_7")})
    assert all(answers.found[turn].start for turn in turns)
    assert answers.found[RunQuestion("jr_7")].state == "RUNNING"
    assert calls == ["get_job_runs"]


def test_twelve_months_share_one_crawl(aws, calls):
    source = CrawlSource("nyc")
    searches = [Search("nyc", since=f"2024-02-01T02:{minute:02d}:00+00:00") for minute in range(12)]
    for _ in range(3):
        answers = source.look(aws.glue, searches)
    assert calls.count("start_crawler") == 1
    assert {step.crawl.crawl_id for step in answers.found.values()} == {"c1"}
