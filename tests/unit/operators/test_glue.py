"""GlueMonthlyJobOperator: what it starts, waits for, hands on and says; deferred and not."""

from __future__ import annotations

import json
import logging
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

pytest.importorskip("airflow")
from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowFailException, AirflowTaskTimeout
from airflow_lakehouse_provider.operators.glue import GlueMonthlyJobOperator

KEY = "--lakehouse-run-key"
MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["here", "deferred"])
INTERVAL = {
    "data_interval_start": datetime(2024, 1, 1, tzinfo=timezone.utc),
    "data_interval_end": datetime(2024, 2, 1, tzinfo=timezone.utc),
}


def operator(**arguments):
    return GlueMonthlyJobOperator(**{"task_id": "clean", "job_name": "trips", "job_poll_interval": 0.01, **arguments})


@MODES
def test_a_month_is_run_and_handed_on(aws, task, deferrable):
    aws.objects["s3://b/report.json"] = b'{"rows_read": 7}'
    script_args = {"--service": "yellow", "--report_uri": "s3://b/report.json"}
    tried = task(
        lambda: operator(
            year=2024, month=1, script_args=script_args, run_job_kwargs={"Timeout": 5}, deferrable=deferrable
        )
    )
    assert tried.run() == {
        "job_name": "trips",
        "run_id": "jr_1",
        "year": 2024,
        "month": 1,
        "state": "SUCCEEDED",
        "started_on": "2024-02-01T03:00:00+00:00",
        "completed_on": "2024-02-01T03:03:00+00:00",
        "execution_seconds": 180,
        "dpu_seconds": 360.0,
        "attempts": 1,
        "report": {"rows_read": 7},
    }
    arguments = {
        "--YEAR": "2024",
        "--MONTH": "01",
        **script_args,
        KEY: "v1/d/t/r/2024-02-01T02%3A00%3A00%2B00%3A00/-1/2",
    }
    assert aws.glue.started == [{"JobName": "trips", "Arguments": arguments, "Timeout": 5}]
    assert ("glue", False) in aws.asked, "the start is not resent: Glue would start a second run"
    assert (tried.trigger is not None) is deferrable
    assert tried.pushed["aws_console_links"]["job_run"].endswith("#/job/trips/run/jr_1")


def test_every_key_becomes_an_xcom_of_its_own():
    assert operator().multiple_outputs is True
    assert operator(multiple_outputs=False).multiple_outputs is False


@MODES
@pytest.mark.parametrize("state", ["FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED"])
def test_a_run_that_does_not_succeed_says_all_there_is_to_know(aws, task, deferrable, state):
    aws.glue.states = ["STARTING", "WAITING", "RUNNING", "STOPPING", state]
    aws.glue.run = {"ErrorMessage": "No such column", "LogGroupName": "/aws-glue/python-jobs"}
    aws.log = [f"line {n}" for n in range(40)]
    with pytest.raises(AirflowException) as failed:
        task(lambda: operator(year=2024, month=1, log_tail=3, deferrable=deferrable)).run()
    assert not isinstance(failed.value, AirflowFailException), "a retry may help"
    said = str(failed.value)
    for part in ("jr_1", "'trips'", "2024-01", state, "No such column", "line 39", "line 37", "console.aws.amazon.com"):
        assert part in said
    assert "line 36" not in said
    assert aws.log_asked["logGroupName"] == "/aws-glue/python-jobs/error"
    assert aws.log_asked["logStreamName"] == "jr_1"


@MODES
def test_a_run_that_glue_itself_retries_is_followed(aws, task, deferrable):
    """The job's MaxRetries: the next attempt has the same arguments, and another id."""
    aws.glue.states = ["RUNNING", "FAILED"]

    def retry():
        if [run["JobRunState"] for run in aws.glue.runs] == ["FAILED"]:
            again = aws.glue.add_run("jr_1_attempt_1", "RUNNING", aws.glue.runs[0]["Arguments"])
            again |= {"script": ["RUNNING", "RUNNING", "SUCCEEDED"], "Attempt": 1}

    real = aws.glue.get_job_runs
    aws.glue.get_job_runs = lambda **request: (retry(), real(**request))[1]
    result = task(lambda: operator(year=2024, month=1, deferrable=deferrable)).run()
    assert (result["run_id"], result["state"], result["attempts"]) == ("jr_1_attempt_1", "SUCCEEDED", 2)
    assert len(aws.glue.started) == 1


@MODES
def test_a_retry_takes_the_success_that_the_wait_missed(aws, task, deferrable, error):
    aws.glue.states = ["RUNNING", error("AccessDeniedException"), "SUCCEEDED"]
    make = lambda: operator(year=2024, month=1, deferrable=deferrable)  # noqa: E731
    with pytest.raises(AirflowException, match="a retry finds it"):
        task(make).run()
    second = task(make)
    second.context["ti"].try_number = 2
    assert second.run()["run_id"] == "jr_1"
    cleared = task(make)
    cleared.context["ti"].try_number, cleared.context["ti"].max_tries = 3, 4
    assert cleared.run()["run_id"] == "jr_2"


@MODES
def test_a_slot_is_waited_for_in_the_triggerer(aws, task, deferrable, error):
    aws.glue.start_errors = [error("ConcurrentRunsExceededException")] * 2
    tried = task(lambda: operator(year=2024, month=1, deferrable=deferrable, job_poll_interval=0.4))
    assert tried.run()["state"] == "SUCCEEDED"
    assert tried.triggers == (["GlueTurnTrigger", "GlueTurnTrigger", "GlueJobRunTrigger"] if deferrable else [])


def test_bookmarks_are_warned_of(aws, task, capfd, caplog):
    aws.glue.job["DefaultArguments"] = {"--job-bookmark-option": "job-bookmark-enable"}
    task(lambda: operator(year=2024, month=1)).run()
    assert "a rerun of a month will read nothing" in caplog.text + "".join(capfd.readouterr())


@MODES
def test_an_outlets_event_carries_the_month(aws, task, deferrable):
    class Outlet:
        uri, name = "s3://lakehouse/trips", "trips"

    outlet, event = Outlet(), SimpleNamespace(extra={"kept": True})
    aws.objects["s3://b/r"] = b'{"rows_kept": 7}'

    def make():
        made = operator(year=2024, month=1, deferrable=deferrable, script_args={"--report_uri": "s3://b/r"})
        made.outlets = [outlet]
        return made

    task(make, outlet_events={outlet: event}).run()
    assert event.extra == {"kept": True, "year": 2024, "month": 1, "run_id": "jr_1", "rows": 7}


@pytest.mark.parametrize("error", ["Trigger timeout", "Trigger/execution timeout"])
def test_a_deferral_that_airflow_timed_out_stops_the_run(aws, task, error):
    """A fresh object, past execute_complete: the run is found by its key."""
    tried = task(lambda: operator(year=2024, month=1))
    fresh = operator(year=2024, month=1)
    aws.glue.add_run("mine", "RUNNING", {KEY: "v1/d/t/r/2024-02-01T02%3A00%3A00%2B00%3A00/-1/2"})
    aws.glue.add_run("not mine", "RUNNING", {"--YEAR": "2024", "--MONTH": "01"})
    with pytest.raises(AirflowTaskTimeout, match="Stopping: mine"):
        fresh.resume_execution("__fail__", {"error": error}, tried.context)
    assert aws.glue.stopped == ["mine"]


@MODES
def test_a_log_that_cannot_be_read_hides_nothing(aws, task, deferrable, error):
    aws.glue.states = ["FAILED"]
    aws.glue.run = {"ErrorMessage": "Out of memory"}
    aws.log = error("AccessDeniedException", "no logs for you")
    with pytest.raises(AirflowException, match=r"(?s)Out of memory.*no logs for you"):
        task(lambda: operator(year=2024, month=1, deferrable=deferrable)).run()


@MODES
def test_what_is_transient_does_not_end_the_wait(aws, task, deferrable, error, caplog):
    from botocore.exceptions import EndpointConnectionError, ReadTimeoutError

    caplog.set_level(logging.INFO)
    aws.glue.states = [
        error("ThrottlingException"),
        error("ThrottlingException"),
        error("OperationTimeoutException"),
        error("InternalServiceException", status=500),
        error("ExpiredTokenException"),
        EndpointConnectionError(endpoint_url="https://glue"),
        ReadTimeoutError(endpoint_url="https://glue"),
        "SUCCEEDED",
    ]
    assert task(lambda: operator(year=2024, month=1, deferrable=deferrable)).run()["state"] == "SUCCEEDED"
    assert len(aws.glue.started) == 1


@MODES
@pytest.mark.parametrize("code", ["EntityNotFoundException", "AccessDeniedException"])
def test_what_does_not_pass_ends_the_wait_with_a_sentence(aws, task, deferrable, error, code):
    aws.glue.states = ["RUNNING", error(code, "because")]
    with pytest.raises(AirflowException, match=rf"jr_1.*trips.*2024-01(?s:.*){code}: because"):
        task(lambda: operator(year=2024, month=1, deferrable=deferrable)).run()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"year": 2024, "month": 13}, "month must be a whole number from 1 to 12, not 13"),
        ({"year": 24, "month": 1}, "year must be .*not 24"),
        ({"year": 2024}, "month is missing"),
        ({"year": 2024, "month": "January"}, "month must be a whole number, not 'January'"),
        ({"script_args": {"--YEAR": "2023"}}, "script_args: --YEAR is the month's"),
        ({"script_args": {"service": "yellow"}}, "script_args: a name must begin with two hyphens.*'service'"),
        ({"script_args": {"--rows": 5}}, "script_args: --rows must be text.*not 5"),
        ({"script_args": {"--rows": None}}, "script_args: --rows must be text.*not None"),
        ({"script_args": "--a b"}, "script_args must be a mapping"),
        ({"script_args": {"--report_uri": "report.json"}}, "--report_uri must be an address such as s3://bucket/key"),
        ({"month_arguments": ("--YEAR",)}, "month_arguments must be two different names"),
        ({"month_arguments": "--YM"}, "month_arguments must be two different names"),
        ({"month_arguments": ("--M", "--M")}, "month_arguments must be two different names"),
        ({"run_job_kwargs": {"Arguments": {}}}, "run_job_kwargs must not hold Arguments"),
        ({"run_job_kwargs": {"JobRunId": "jr_0"}}, "run_job_kwargs must not hold JobRunId"),
        ({"run_job_kwargs": ["Timeout"]}, "run_job_kwargs must be a mapping"),
        ({"job_poll_interval": 0}, "job_poll_interval must be a number, above 0"),
        ({"job_poll_interval": "often"}, "job_poll_interval must be a number"),
        ({"log_tail": -1}, "log_tail must be a number, not negative"),
        ({"unit_args": ("--service",)}, "unit_args: '--service' is no name among script_args, which are: none"),
        ({"unit_args": "--service"}, "unit_args must be a list of names"),
        ({"on_active_run": "hope"}, "on_active_run must be one of wait, attach, fail, not 'hope'"),
        ({"script_args": {KEY: "x"}}, "script_args: --lakehouse-run-key is this operator's own"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(aws, task, arguments, sentence):
    month = {} if "year" in arguments else {"year": 2024, "month": 1}
    with pytest.raises(AirflowFailException, match=sentence):
        task(lambda: operator(**month, **arguments)).run()
    assert aws.glue.started == []


@pytest.mark.parametrize(
    ("code", "kind", "sentence"),
    [
        ("EntityNotFoundException", AirflowFailException, "Glue has no job 'trips' in eu-west-1"),
        (
            "InvalidInputException",
            AirflowFailException,
            "start the Glue job 'trips' in eu-west-1: InvalidInputException",
        ),
        ("AccessDeniedException", AirflowException, "Allow this action"),
    ],
)
def test_a_start_that_is_refused_says_why(aws, task, error, code, kind, sentence):
    aws.glue.start_errors = [error(code)]
    with pytest.raises(kind, match=sentence) as failed:
        task(lambda: operator(year=2024, month=1)).run()
    assert type(failed.value) is kind


@MODES
def test_the_deadline_stops_the_run_and_says_so(aws, task, deferrable):
    aws.glue.states = ["RUNNING"]
    with pytest.raises(AirflowTaskTimeout, match=r"execution_timeout.*jr_1 of trips for 2024-01.*is being stopped"):
        task(
            lambda: operator(year=2024, month=1, deferrable=deferrable, execution_timeout=timedelta(seconds=0.1))
        ).run()
    assert aws.glue.stopped == ["jr_1"]


@MODES
def test_the_deadline_leaves_the_run_where_that_is_asked_for(aws, task, deferrable):
    aws.glue.states = ["RUNNING"]
    timeout = timedelta(seconds=0.1)
    with pytest.raises(AirflowTaskTimeout, match="stop_job_run_on_kill is off"):
        task(
            lambda: operator(
                year=2024, month=1, deferrable=deferrable, execution_timeout=timeout, stop_job_run_on_kill=False
            )
        ).run()
    assert aws.glue.stopped == []


@pytest.mark.parametrize("stop", [True, False])
def test_a_kill_stops_the_run_and_ends_the_task(aws, task, stop):
    killed = operator(year=2024, month=1, stop_job_run_on_kill=stop)
    aws.glue.states = ["RUNNING"]
    aws.glue.on_look = killed.on_kill  # as Airflow 3 does it: execute goes on afterwards
    with pytest.raises(AirflowException, match="is being stopped" if stop else "goes on"):
        task(lambda: killed).run()
    assert aws.glue.stopped == (["jr_1"] if stop else [])


def test_a_kill_before_the_start_stops_nothing(aws):
    operator().on_kill()
    assert aws.glue.stopped == []


def test_a_stop_that_is_refused_is_said(aws, task, error):
    killed = operator(year=2024, month=1)
    aws.glue.states = ["RUNNING"]
    aws.glue.stop_answer = {
        "Errors": [{"ErrorDetail": {"ErrorCode": "InternalServiceException", "ErrorMessage": "no"}}]
    }
    looks = iter([killed.on_kill])
    aws.glue.on_look = lambda: next(looks, lambda: None)()
    with pytest.raises(AirflowException, match=r"may go on.*InternalServiceException: no"):
        task(lambda: killed).run()


@pytest.mark.parametrize("body", [b"[1]", b"not json", b" " * ((1 << 20) + 1)], ids=["list", "text", "long"])
def test_a_bad_report_takes_nothing_from_the_success(aws, task, body, caplog):
    aws.objects["s3://b/r"] = body
    result = task(lambda: operator(year=2024, month=1, script_args={"--report_uri": "s3://b/r"})).run()
    assert result["report"] is None
    assert result["state"] == "SUCCEEDED"


def test_a_missing_report_takes_nothing_from_the_success(aws, task):
    result = task(lambda: operator(year=2024, month=1, script_args={"--report_uri": "s3://b/none"})).run()
    assert result["report"] is None


def test_the_resume_needs_nothing_but_the_event(aws, task):
    """Airflow renders templates again when a task resumes; the month and the report are the start's all the same."""
    aws.objects["s3://b/first"] = b'{"n": 1}'
    arguments = iter([("s3://b/first", 1), ("s3://b/second", 2)])

    def make():
        uri, month = next(arguments)
        return operator(year=2024, month=month, script_args={"--report_uri": uri}, deferrable=True)

    result = task(make).run()
    assert (result["month"], result["report"]) == (1, {"n": 1})


@MODES
def test_the_connection_is_the_same_everywhere(aws, task, deferrable):
    connection = {
        "aws_conn_id": "other",
        "region_name": "eu-west-1",
        "verify": "/ca.pem",
        "botocore_config": {"read_timeout": 9},
    }
    aws.glue.states = ["FAILED"]
    with pytest.raises(AirflowException):
        task(lambda: operator(year=2024, month=1, deferrable=deferrable, **connection)).run()
    assert {json.dumps(asked.as_dict(), sort_keys=True) for asked in aws.connections} == {
        json.dumps(connection, sort_keys=True)
    }


def test_links_that_cannot_be_stored_fail_nothing(aws, task):
    def refuse(key, value):
        raise RuntimeError("no database")

    tried = task(lambda: operator(year=2024, month=1))
    tried.context["ti"].xcom_push = refuse
    assert tried.run()["state"] == "SUCCEEDED"


def test_all_but_the_flags_is_templated():
    import inspect

    named = set(inspect.signature(GlueMonthlyJobOperator.__init__).parameters) - {"self", "kwargs"}
    assert named - set(GlueMonthlyJobOperator.template_fields) == {"deferrable", "stop_job_run_on_kill"}


def test_the_default_of_deferrable_is_airflows(monkeypatch):
    assert operator().deferrable is False
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    assert operator().deferrable is True
    assert operator(deferrable=False).deferrable is False


def test_templates_are_rendered_also_into_numbers(aws, task):
    made = operator(
        year="{{ y }}",
        month="{{ m }}",
        script_args={"--service": "{{ s }}"},
        job_poll_interval="{{ i }}",
        log_tail="{{ i }}",
    )
    context = {"y": 2024, "m": "02", "s": "green", "i": "1"}
    made.render_template_fields(context)
    assert task(lambda: made).run()["month"] == 2
    started = aws.glue.started[0]["Arguments"]
    assert {name: started[name] for name in started if name != KEY} == {
        "--YEAR": "2024",
        "--MONTH": "02",
        "--service": "green",
    }


def test_months_can_be_mapped():
    from airflow_lakehouse_provider._airflow.compat import AIRFLOW_3

    if AIRFLOW_3:
        from airflow.sdk import DAG
    else:
        from airflow import DAG
    with DAG("d", schedule=None, start_date=datetime(2024, 1, 1, tzinfo=timezone.utc)):
        mapped = GlueMonthlyJobOperator.partial(task_id="clean", job_name="trips", year=2024).expand(month=[1, 2, 3])
    assert type(mapped).__name__ == "MappedOperator"
