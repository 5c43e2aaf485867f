"""Start-once: what a look at a job's runs means, and the start that follows."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from airflow_lakehouse_provider.aws import errors, start_once
from airflow_lakehouse_provider.aws.job_runs import JobRun
from airflow_lakehouse_provider.aws.run_key import ARGUMENT, RunKey
from airflow_lakehouse_provider.aws.start_once import ActiveRun, Claim, JobDefinition, StartState, Unit

NOW = datetime(2024, 2, 1, 3, 0, tzinfo=timezone.utc)
MINE = RunKey("d", "clean", "r", "2024-02-01T02:00:00+00:00", -1, 3)
OLDER = RunKey("d", "clean", "r", "2024-02-01T02:00:00+00:00", -1, 1)
JOB = JobDefinition("trips", {"--service": "yellow"}, {}, 2)
RETRY = StartState(first_try=False)


def claim(key=MINE, on_active_run="wait", names=(), arguments=None, job=JOB):
    arguments = {"--YEAR": "2024", "--MONTH": "01", **(arguments or {})}
    return Claim(
        job, Unit.of_arguments("trips", ("--YEAR", "--MONTH"), names, arguments), key, arguments, {}, on_active_run
    )


def run(run_id, state="RUNNING", key=None, minute=0, **arguments):
    given = {"--YEAR": "2024", "--MONTH": "1"} | {f"--{name}": value for name, value in arguments.items()}
    if key is not None:
        given[ARGUMENT] = str(key)
    return JobRun("trips", run_id, state, (NOW + timedelta(minutes=minute)).isoformat(), arguments=given)


def decided(runs, memory=RETRY, **wanted):
    step = start_once.decide(claim(**wanted), memory, runs, clock=1_000.0)
    if step.run is not None:
        return f"take {step.run.run_id}"
    if step.start:
        return "start"
    if step.stop:
        return "stop " + " ".join(each.run_id for each in step.stop)
    return "wait"


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([], "start"),
        ([run("own", key=MINE)], "take own"),
        ([run("own", "WAITING", key=MINE)], "take own"),
        ([run("own", "STOPPING", key=MINE)], "wait"),
        ([run("own", "SUCCEEDED", key=MINE)], "take own"),
        ([run("own", "FAILED", key=MINE)], "start"),
        ([run("own", "STOPPED", key=MINE)], "start"),
        ([run("second", key=MINE, minute=1), run("first", key=MINE)], "stop second"),
        ([run("bad", "FAILED", key=MINE), run("good", "SUCCEEDED", key=MINE, minute=1)], "take good"),
        ([run("older", key=OLDER)], "stop older"),
        ([run("older", "STOPPING", key=OLDER)], "wait"),
        ([run("older", "SUCCEEDED", key=OLDER)], "start"),
        ([run("other")], "wait"),
        ([run("other", "SUCCEEDED")], "start"),
        ([run("other", "A_STATE_OF_2030")], "wait"),
        ([run("february", MONTH="02")], "start"),
        ([run("same", MONTH=" 01 ")], "wait"),
        ([run("text", MONTH="january")], "start"),
        # A DAG run made anew under its old name, and a reset database: neither its own nor its to stop.
        ([run("anew", "SUCCEEDED", key=RunKey("d", "clean", "r", "2024-01-31T00:00:00+00:00", -1, 3))], "start"),
        ([run("anew", key=RunKey("d", "clean", "r", "2024-01-31T00:00:00+00:00", -1, 3))], "wait"),
        # The DAG run had ended before it was cleared, which moves its start.
        ([run("older", key=RunKey("d", "clean", "r", "2024-01-31T00:00:00+00:00", -1, 1))], "stop older"),
        ([run("newer", key=RunKey("d", "clean", "r", "2024-02-01T02:00:00+00:00", -1, 4))], "wait"),
        ([run("mapped", key=RunKey("d", "clean", "r", "2024-02-01T02:00:00+00:00", 0, 1))], "wait"),
    ],
)
def test_what_a_retry_does(runs, expected):
    assert decided(runs) == expected


def test_a_first_try_takes_no_success_of_before():
    """`dag.test()` twice for one date: the same names and start, and a success of the first."""
    assert decided([run("own", "SUCCEEDED", key=MINE)], StartState(first_try=True)) == "start"
    assert decided([run("own", key=MINE)], StartState(first_try=True)) == "take own"


@pytest.mark.parametrize(
    ("names", "mine", "theirs", "expected"),
    [
        ((), {"--service": "yellow"}, {"service": "green"}, "wait"),
        (("--service",), {"--service": "yellow"}, {"service": "green"}, "start"),
        (("--service",), {"--service": "yellow"}, {"service": "yellow"}, "wait"),
        # A run that does not name it has the job's default.
        (("--service",), {"--service": "yellow"}, {}, "wait"),
        (("--service",), {"--service": "green"}, {}, "start"),
    ],
)
def test_the_unit_of_work(names, mine, theirs, expected):
    assert decided([run("other", **theirs)], names=names, arguments=mine) == expected


def test_an_argument_that_no_run_can_change_decides():
    job = JobDefinition("trips", {}, {"--service": "green"}, 1)
    assert decided(
        [run("other", service="yellow")], names=("--service",), arguments={"--service": "green"}, job=job
    ) == ("wait")


def test_anybody_elses_run():
    other = run("other", key=RunKey("e", "load", "m1", "x", -1, 0))
    assert decided([other], on_active_run="attach") == "take other"
    with pytest.raises(
        ActiveRun,
        match=r"Run other .* is active for --YEAR 2024 --MONTH 01 too; it was started by task load of DAG e, run m1",
    ):
        decided([other], on_active_run="fail")
    assert decided([run("other", "STOPPING")], on_active_run="attach") == "wait"
    assert decided([run("other", "STOPPING")], on_active_run="fail") == "wait"


def test_a_run_that_this_try_passed_by_is_not_taken():
    memory = start_once.decide(claim(), RETRY, [run("failed", "FAILED", key=MINE)], clock=0).state
    assert memory.passed == ["failed"]
    # One that shows later is this try's own, however it ended: its start's reply was lost.
    runs = [run("late", "FAILED", key=MINE, minute=2), run("failed", "FAILED", key=MINE)]
    assert decided(runs, memory) == "take late"


@pytest.mark.parametrize(("ago", "expected"), [(1, "wait"), (start_once.SETTLING + 1, "start")])
def test_a_lost_reply_settles_before_another_start(ago, expected):
    assert decided([], StartState(first_try=False, passed=[], lost_at=1_000.0 - ago)) == expected


@pytest.mark.parametrize(
    ("ago", "throttled", "active", "expected"),
    [
        (0.5, 0, 0, "wait"),
        (2, 0, 1, "start"),
        (2, 0, 2, "wait"),
        (301, 0, 2, "start"),
        (14, 1, 0, "wait"),
        (16, 1, 0, "start"),
        (100, 4, 0, "wait"),
        (301, 9, 0, "start"),
    ],
)
def test_a_slot_is_waited_for(ago, throttled, active, expected):
    runs = [run(f"r{n}", MONTH=str(n + 5)) for n in range(active)]
    memory = StartState(passed=[], refused_at=1_000.0 - ago, throttled=throttled)
    assert decided(runs, memory) == expected


def test_a_claim_and_a_memory_travel_as_json():
    import json

    wanted = claim(names=("--service",), arguments={"--service": "yellow"}, on_active_run="fail")
    told = Claim.from_dict(json.loads(json.dumps(wanted.as_dict())))
    assert told.unit == wanted.unit
    assert told.key == MINE
    assert told.on_active_run == "fail"
    assert told.job.defaults == {"--service": "yellow"}
    memory = StartState(first_try=False, passed=["a"], lost_at=1.5)
    assert StartState(**json.loads(json.dumps(memory.as_dict()))) == memory


def advanced(glue, memory=None, **wanted):
    return start_once.advance(glue, glue, claim(**wanted), memory or StartState())


def test_a_start_whose_reply_is_lost_is_found(aws, error):
    aws.glue.lost_replies = [error("InternalServiceException", status=500)]
    step = advanced(aws.glue)
    assert (step.run, step.brief) == (None, True)
    found = advanced(aws.glue, step.state)
    assert found.run is not None
    assert len(aws.glue.started) == 1


@pytest.mark.parametrize("code", ["ConcurrentRunsExceededException", "ThrottlingException"])
def test_a_start_without_room_is_no_failure(aws, error, code):
    aws.glue.start_errors = [error(code)]
    step = advanced(aws.glue)
    assert step.waits
    assert not step.brief
    assert step.state.refused_at is not None
    assert step.state.throttled == (code == "ThrottlingException")


def test_a_start_that_never_arrived_is_made_again_at_once(aws):
    from botocore.exceptions import EndpointConnectionError

    aws.glue.start_errors = [EndpointConnectionError(endpoint_url="http://x")]
    step = advanced(aws.glue)
    assert step.state.lost_at is None
    assert advanced(aws.glue, step.state).run is not None


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        ("EntityNotFoundException", errors.NotFound, "Glue has no job 'trips'"),
        ("InvalidInputException", errors.BadRequest, "Could not start the Glue job"),
        ("AccessDeniedException", errors.AwsFailure, "Allow this action"),
    ],
)
def test_a_start_that_is_refused_ends_it(aws, error, code, kind, sentence):
    aws.glue.start_errors = [error(code)]
    with pytest.raises(kind, match=sentence):
        advanced(aws.glue)


@pytest.mark.parametrize(("minute", "stays"), [(-1, False), (1, True)])
def test_of_two_starts_at_once_the_earlier_stays(aws, minute, stays):
    real = aws.glue.start_job_run

    def start(**request):
        answer = real(**request)
        rival = {"--YEAR": "2024", "--MONTH": "01", ARGUMENT: str(RunKey("e", "load", "m", "x", -1, 0))}
        aws.glue.add_run("rival", "STARTING", rival, aws.glue.now + timedelta(minutes=minute))
        return answer

    aws.glue.start_job_run = start
    step = advanced(aws.glue)
    assert (step.run is not None) is stays
    assert aws.glue.stopped == ([] if stays else ["jr_1"])
    if not stays:
        assert step.state.passed == ["jr_1"], "its end is none of this try's"


def test_nobody_elses_run_is_ever_stopped(aws):
    aws.glue.add_run("other", "RUNNING", {"--YEAR": "2024", "--MONTH": "01"})
    assert start_once.stop_own(aws.glue, "trips", MINE) == []
    with pytest.raises(RuntimeError, match="is not stopped: it carries no run key"):
        start_once.stop(aws.glue, run("other"))
    assert aws.glue.stopped == []


def test_own_runs_are_found_by_their_key(aws):
    aws.glue.add_run("own", "RUNNING", {ARGUMENT: str(MINE)})
    aws.glue.add_run("older", "RUNNING", {ARGUMENT: str(OLDER)})
    aws.glue.add_run("ended", "FAILED", {ARGUMENT: str(MINE)})
    assert start_once.stop_own(aws.glue, "trips", MINE) == ["own"]
    assert aws.glue.stopped == ["own"]


def test_what_is_active_is_looked_for_behind_many_pages(aws):
    for n in range(450):
        state = "RUNNING" if n == 3 else "SUCCEEDED"
        aws.glue.add_run(f"r{n}", state, {"--YEAR": "2024", "--MONTH": "01"}, start=datetime.now(timezone.utc))
    assert "r3" in advanced(aws.glue).message
