"""The last error of a failed task."""

from __future__ import annotations

import json

from airflow_lakehouse_provider.demo.failures import failure_of


def log(tmp_path, attempt, *lines):
    folder = tmp_path / "dag_id=d" / "run_id=r" / "task_id=yellow.clean"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"attempt={attempt}.log"
    path.write_text("\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines))
    return path


def raised(name, value, **more):
    return {"event": "Task failed", "level": "error", "error_detail": [{"exc_type": name, "exc_value": value}], **more}


def test_the_last_error_of_the_last_try_is_reported(tmp_path):
    log(tmp_path, 9, raised("ValueError", "of an earlier attempt"))
    path = log(
        tmp_path,
        10,
        raised("KeyError", "an earlier one"),
        {"event": "going on", "level": "info"},
        raised("AirflowFailException", "job clean-trips failed: the raw file is corrupt\nRun: https://...\n  at java"),
        {"event": "Task finished", "level": "info"},
    )
    (path.parent / "attempt=10.log.trigger.2.log").write_text(json.dumps(raised("ValueError", "of its wait")))
    failure = failure_of(tmp_path, "d", "r", "yellow.clean")
    assert failure.error == "AirflowFailException: job clean-trips failed: the raw file is corrupt"
    assert failure.log == path


def test_the_cause_does_not_hide_what_was_raised(tmp_path):
    details = [{"exc_type": "Raised", "exc_value": "this"}, {"exc_type": "Cause", "exc_value": "that"}]
    log(tmp_path, 1, {"event": "Task failed", "error_detail": details})
    assert failure_of(tmp_path, "d", "r", "yellow.clean").error == "Raised: this"


def test_a_log_without_an_exception_gives_its_last_line(tmp_path):
    log(tmp_path, 1, "starting", "Killed")
    assert failure_of(tmp_path, "d", "r", "yellow.clean").error == "Killed"


def test_a_task_that_never_began_points_at_the_scheduler(tmp_path):
    failure = failure_of(tmp_path, "d", "r", "yellow.clean")
    assert failure.log == tmp_path / "scheduler.log"
    assert "before it began" in failure.error
