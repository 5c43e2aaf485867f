"""CrawlerCompletionSensor: which crawl it takes, starts, waits out, fails with; deferred and not."""

from __future__ import annotations

import inspect
from datetime import datetime, timedelta, timezone

import pytest

pytest.importorskip("airflow")
from airflow_lakehouse_provider._airflow.compat import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
)
from airflow_lakehouse_provider.sensors import crawler as sensor_module
from airflow_lakehouse_provider.sensors.crawler import CrawlerCompletionSensor

MODES = pytest.mark.parametrize("deferrable", [False, True], ids=["here", "deferred"])
LANDED = datetime(2024, 2, 1, 2, 30, tzinfo=timezone.utc)  # AWS's clock stands at 03:00 when a test begins
BEFORE, AFTER = LANDED - timedelta(minutes=5), LANDED + timedelta(minutes=5)


def sensor(**arguments):
    defaults = {"task_id": "catalogue", "crawler_name": "nyc", "poke_interval": 0.01, "timeout": 30}
    return CrawlerCompletionSensor(**defaults | {"since": LANDED.isoformat()} | arguments)


@MODES
def test_a_crawl_is_started_when_none_covers_the_load(aws, task, deferrable):
    aws.glue.add_crawl("old", BEFORE, "COMPLETED", end=LANDED + timedelta(minutes=1))
    tried = task(lambda: sensor(deferrable=deferrable))
    assert tried.run() == {
        "crawler_name": "nyc",
        "crawl_id": "c1",
        "state": "COMPLETED",
        "started_on": "2024-02-01T03:00:10+00:00",
        "completed_on": "2024-02-01T03:00:20+00:00",
        "summary": {"tables": 1},
        "dpu_hours": 0.1,
    }
    assert aws.glue.crawler_starts == 1
    assert (tried.trigger is not None) is deferrable
    assert tried.pushed["aws_console_links"]["crawler"].endswith("/crawlers/view/nyc")


@MODES
def test_a_crawl_that_covers_is_taken_as_it_is(aws, task, deferrable):
    aws.glue.add_crawl("covers", AFTER, "COMPLETED", end=AFTER)
    aws.glue.add_crawl("later", AFTER + timedelta(minutes=2), "COMPLETED", end=AFTER)
    tried = task(lambda: sensor(deferrable=deferrable))
    assert tried.run()["crawl_id"] == "covers"
    assert aws.glue.crawler_starts == 0
    assert tried.trigger is None, "nothing to wait for, nothing to defer"


@MODES
def test_a_crawl_covers_from_the_moment_of_the_load_on(aws, task, deferrable):
    aws.glue.add_crawl("same", LANDED, "COMPLETED", end=AFTER)
    assert task(lambda: sensor(deferrable=deferrable)).run()["crawl_id"] == "same"


@MODES
def test_a_running_crawl_that_covers_is_joined(aws, task, deferrable):
    aws.glue.crawler = ["RUNNING"]
    aws.glue.add_crawl("joined", AFTER, "RUNNING", "RUNNING", "RUNNING", "COMPLETED")
    assert task(lambda: sensor(deferrable=deferrable)).run()["crawl_id"] == "joined"
    assert aws.glue.crawler_starts == 0


@MODES
def test_an_older_running_crawl_is_waited_out_and_another_started(aws, task, deferrable):
    aws.glue.crawler = ["RUNNING", "RUNNING", "STOPPING", "READY"]
    aws.glue.add_crawl("older", BEFORE, "RUNNING", "RUNNING", "RUNNING", "COMPLETED")
    assert task(lambda: sensor(deferrable=deferrable)).run()["crawl_id"] == "c1"
    assert aws.glue.crawler_starts == 1


@MODES
def test_somebody_quicker_is_joined(aws, task, deferrable, error):
    aws.glue.crawler_error = error("CrawlerRunningException")
    looks = iter([None, None, "theirs"])
    real = aws.glue.list_crawls

    def list_crawls(**request):
        if crawl := next(looks, None):
            aws.glue.add_crawl(crawl, AFTER, "COMPLETED", end=AFTER)
        return real(**request)

    aws.glue.list_crawls = list_crawls
    assert task(lambda: sensor(deferrable=deferrable)).run()["crawl_id"] == "theirs"
    assert aws.glue.crawler_starts == 0


@MODES
@pytest.mark.parametrize("state", ["FAILED", "STOPPED"])
def test_a_crawl_that_fails_fails_the_task_with_its_message(aws, task, deferrable, state):
    aws.glue.crawler = ["RUNNING"]
    crawl = aws.glue.add_crawl("bad", AFTER, "RUNNING", "RUNNING", "RUNNING", state)
    crawl["ErrorMessage"] = "Access denied on s3://cleaned"
    with pytest.raises(AirflowException, match=rf"(?s)bad.*'nyc'.*{state}.*Access denied on.*log-events/nyc") as failed:
        task(lambda: sensor(deferrable=deferrable)).run()
    assert not isinstance(failed.value, AirflowFailException | AirflowSensorTimeout), "a retry may help"


@MODES
def test_the_retry_after_a_failed_crawl_starts_another(aws, task, deferrable):
    aws.glue.crawl_states = ["RUNNING", "FAILED"]
    with pytest.raises(AirflowException, match="c1"):
        task(lambda: sensor(deferrable=deferrable)).run()
    aws.glue.crawl_states = ["RUNNING", "COMPLETED"]
    aws.glue.now += timedelta(minutes=5)
    assert task(lambda: sensor(deferrable=deferrable)).run()["crawl_id"] == "c2"


@MODES
def test_twelve_months_share_one_crawl(aws, task, deferrable):
    found = [
        task(lambda n=n: sensor(since=(LANDED + timedelta(minutes=n)).isoformat(), deferrable=deferrable)).run()
        for n in range(12)
    ]
    assert {result["crawl_id"] for result in found} == {"c1"}
    assert aws.glue.crawler_starts == 1


@MODES
def test_never_waits_for_somebody_elses_crawl(aws, task, deferrable):
    real, looks = aws.glue.list_crawls, []

    def list_crawls(**request):
        looks.append(1)
        if len(looks) == 3:
            aws.glue.add_crawl("theirs", AFTER, "RUNNING", "COMPLETED")
        return real(**request)

    aws.glue.list_crawls = list_crawls
    assert task(lambda: sensor(start="never", deferrable=deferrable)).run()["crawl_id"] == "theirs"
    assert aws.glue.crawler_starts == 0


@MODES
def test_never_fails_with_somebody_elses_failure(aws, task, deferrable):
    aws.glue.add_crawl("theirs", AFTER, "FAILED", end=AFTER)
    with pytest.raises(AirflowException, match="theirs"):
        task(lambda: sensor(start="never", deferrable=deferrable)).run()


@MODES
def test_its_own_crawl_covers_whatever_aws_rounds(aws, task, deferrable):
    real = aws.glue.start_crawler

    def start_crawler(**request):
        real(**request)
        aws.glue.crawls[-1]["StartTime"] = LANDED - timedelta(milliseconds=400)  # cut to the second
        return {}

    aws.glue.start_crawler = start_crawler
    aws.glue.add_crawl("old", BEFORE, "COMPLETED", end=BEFORE)
    assert task(lambda: sensor(deferrable=deferrable)).run()["crawl_id"] == "c1"
    assert aws.glue.crawler_starts == 1


@MODES
def test_a_crawl_that_does_not_show_at_once_is_not_started_twice(aws, task, deferrable):
    real, looks = aws.glue.list_crawls, []

    def list_crawls(**request):
        looks.append(1)
        return real(**request) if len(looks) > 4 else {"Crawls": []}

    aws.glue.list_crawls = list_crawls
    assert task(lambda: sensor(deferrable=deferrable)).run()["crawl_id"] == "c1"
    assert aws.glue.crawler_starts == 1


@MODES
def test_left_out_since_is_when_the_try_began_on_aws_clock(aws, task, deferrable):
    aws.glue.add_crawl("before", aws.glue.now, "COMPLETED", end=aws.glue.now)
    assert task(lambda: sensor(since=None, deferrable=deferrable)).run()["crawl_id"] == "c1"


def test_left_out_since_in_reschedule_mode_is_the_first_look(aws, task, monkeypatch):
    first = datetime.now(timezone.utc) - timedelta(minutes=20)
    monkeypatch.setattr(sensor_module, "first_poke_began", lambda context: first)
    aws.glue.add_crawl("since", aws.glue.now - timedelta(minutes=10), "COMPLETED", end=aws.glue.now)
    rescheduled = sensor(since=None, mode="reschedule")
    found = rescheduled.poke({"ti": type("Ti", (), {"xcom_push": lambda self, **x: None})()})
    assert found.xcom_value["crawl_id"] == "since"


@MODES
def test_a_since_in_awss_future_is_waited_for(aws, task, deferrable):
    soon = aws.glue.now + timedelta(seconds=45)
    result = task(lambda: sensor(since=soon, deferrable=deferrable)).run()
    assert datetime.fromisoformat(result["started_on"]) >= soon
    assert aws.glue.crawler_starts == 1


@MODES
def test_the_timeout_is_airflows(aws, task, deferrable):
    aws.glue.crawl_states = ["RUNNING"]
    with pytest.raises(AirflowSensorTimeout):
        task(lambda: sensor(timeout=0.05, deferrable=deferrable)).run()


@MODES
@pytest.mark.parametrize("flag", ["soft_fail", "never_fail"])
@pytest.mark.parametrize("what", ["timeout", "failed", "unknown", "input"])
def test_soft_fail_skips(aws, task, deferrable, flag, what, error):
    if (flag, what, deferrable) == ("never_fail", "timeout", False):
        pytest.skip("Airflow's own poke loop lets a timeout through never_fail")
    arguments = {"timeout": 0.05}
    aws.glue.crawl_states = ["RUNNING"] if what == "timeout" else ["RUNNING", "FAILED"]
    if what == "unknown":
        aws.glue.crawler = [error("EntityNotFoundException")]
    if what == "input":
        arguments["since"] = "None"
    with pytest.raises(AirflowSkipException):
        task(lambda: sensor(deferrable=deferrable, **arguments, **{flag: True})).run()


@MODES
def test_what_is_transient_does_not_end_the_wait(aws, task, deferrable, error):
    aws.glue.crawler = [
        error("ThrottlingException"),
        "READY",
        error("OperationTimeoutException"),
        error("InternalServiceException", status=500),
        "RUNNING",
        "READY",
    ]
    assert task(lambda: sensor(deferrable=deferrable)).run()["crawl_id"] == "c1"
    assert aws.glue.crawler_starts == 1


@MODES
def test_what_does_not_pass_ends_it_with_a_sentence(aws, task, deferrable, error):
    aws.glue.crawler = ["READY", "RUNNING", error("AccessDeniedException", "not you")]
    aws.glue.crawl_states = ["RUNNING"]
    with pytest.raises(AirflowException, match=r"not you.*Allow this action"):
        task(lambda: sensor(deferrable=deferrable)).run()


@MODES
def test_an_unknown_crawler_is_named(aws, task, deferrable, error):
    aws.glue.crawler = [error("EntityNotFoundException")]
    with pytest.raises(AirflowFailException, match="Glue has no crawler 'nyc' in eu-west-1"):
        task(lambda: sensor(deferrable=deferrable)).run()


@MODES
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"since": "None"}, "since is the text 'None'"),
        ({"since": ""}, "since is the text ''"),
        ({"since": []}, "since is an empty list"),
        ({"since": 5}, "since: 5 is no time"),
        ({"start": "always"}, "start must be one of if_needed, never, not 'always'"),
    ],
)
def test_bad_input_is_refused_before_anything_starts(aws, task, deferrable, arguments, sentence):
    with pytest.raises(AirflowFailException, match=sentence):
        task(lambda: sensor(deferrable=deferrable, **arguments)).run()
    assert aws.glue.crawler_starts == 0


def test_only_as_many_pages_are_read_as_matter(aws, task):
    aws.glue.page = 10
    for n in range(95):
        aws.glue.add_crawl(f"old{n}", BEFORE - timedelta(hours=n), "COMPLETED", end=BEFORE)
    aws.glue.add_crawl("covers", AFTER, "COMPLETED", end=AFTER)
    assert task(sensor).run()["crawl_id"] == "covers"
    assert aws.glue.pages == 1


def test_pages_that_are_not_newest_first_are_read_to_the_end(aws, task):
    aws.glue.page = 2
    for n in range(5):
        aws.glue.add_crawl(f"old{n}", BEFORE + timedelta(seconds=n), "COMPLETED", end=BEFORE)
    aws.glue.add_crawl("covers", AFTER, "COMPLETED", end=AFTER)
    real = aws.glue.list_crawls
    aws.glue.list_crawls = lambda **request: _reversed(real, aws.glue, request)
    assert task(sensor).run()["crawl_id"] == "covers"


def _reversed(real, glue, request):
    oldest_first = sorted(glue.crawls, key=lambda crawl: crawl["StartTime"])
    first = int(request.get("NextToken", 0))
    more = {"NextToken": str(first + 2)} if first + 2 < len(oldest_first) else {}
    return {"Crawls": oldest_first[first : first + 2], **more}


def test_all_but_flags_and_times_is_templated():
    named = set(inspect.signature(CrawlerCompletionSensor.__init__).parameters) - {"self", "kwargs"}
    assert named - set(CrawlerCompletionSensor.template_fields) == {"deferrable", "poke_interval"}


@pytest.mark.parametrize(
    ("arguments", "longest"),
    [
        ({}, None),
        ({"exponential_backoff": True}, 30.0),
        ({"exponential_backoff": True, "max_wait": timedelta(seconds=7)}, 7.0),
    ],
)
def test_a_deferred_wait_backs_off_as_the_sensor_does(aws, task, arguments, longest):
    tried = task(lambda: sensor(deferrable=True, **arguments))
    tried.run()
    assert tried.trigger[1]["longest"] == longest
