"""`lakehouse history`, `rollback`, `publish` and `sweep`, as a person types them."""

from __future__ import annotations

import re

import pytest
import yaml
from click.testing import CliRunner

from airflow_lakehouse_provider.cli.main import lakehouse
from airflow_lakehouse_provider.publishing.attempt import GATE_FAILED, Gate

FAILED = Gate(GATE_FAILED, "1 of 3 tests failed: unique_facts (2 rows)", ("test.p.unique_facts.abc",))


@pytest.fixture
def command(lake, local_aws, repository, tmp_path, monkeypatch):
    """`command("history", "--month", "2024-01")`: exit status and output of `lakehouse ...` on the lake."""
    content = yaml.safe_load((repository / "example_dags" / "lakehouse.yaml").read_text())
    content["zones"] |= {"curated": lake.places.data, "results": f"s3://{lake.results}"}
    content["databases"]["marts"] = lake.schema
    del content["athena"]["work_group"]
    content["athena"]["work_group"] = "primary"
    config = tmp_path / "lakehouse.yaml"
    config.write_text(yaml.safe_dump(content))
    for name, value in local_aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("COLUMNS", "250")

    def run(*words):
        done = CliRunner().invoke(lakehouse, [*words, "--config", str(config)])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    return run


def rows(output):
    """Return the cells of the table that was printed, without its head."""
    return [[cell.strip() for cell in line.split("│")[1:-1]] for line in output.splitlines() if line.startswith("│")]


@pytest.mark.slow
def test_history_before_anything_was_published(command):
    assert command("history") == (0, command("history")[1])
    assert "No month was published" in command("history")[1]
    assert "2024-05 was never published" in command("history", "--month", "2024-05")[1]


def test_history_rollback_and_history(command, lake):
    lake.publish_month(1, [1])
    lake.publish_month(2, [20])
    lake.publish_month(1, [2])
    code, output = command("rollback", "--month", "2024-01")
    assert code == 0, output
    assert "2024-01 is back to generation 1, as generation 3: 1 tables and views." in output
    assert lake.facts() == [(1, 1, 1), (2, 1, 20)]
    code, output = command("history", "--month", "2024-01")
    assert code == 0, output
    assert [row[:3] for row in rows(output)] == [
        ["2024-01", "1", "published"],
        ["2024-01", "2", "published"],
        ["2024-01", "3", "public"],
    ]
    assert "back to 1" in output
    assert "dag/2024-01" in output
    assert [row[0] for row in rows(command("history")[1])] == ["2024-01", "2024-01", "2024-01", "2024-02"]


@pytest.mark.slow
def test_a_rollback_that_is_refused(command, lake):
    lake.publish_month(1, [1])
    code, output = command("rollback", "--month", "2024-01", "--to", "7")
    assert code == 1
    assert "Error: 2024-01 cannot go back to 7" in output
    assert lake.facts() == [(1, 1, 1)]


def test_publish_accepts_named_tests_and_history_says_who_and_why(command, lake, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    lake.publish_month(1, [1])
    attempt = lake.begin("2024-01", "facts")
    lake.build_month(attempt, 1, [7])
    lake.end(attempt, FAILED)
    for words, message in (
        ((), "the gate of 2024-01 failed: 1 of 3 tests failed: unique_facts (2 rows). Production is unchanged"),
        (("--accept", "unique_facts"), "the two go together"),
        (("--accept", "other", "--reason", "late"), "the gate of 2024-01 failed"),
    ):
        code, output = command("publish", "--month", "2024-01", *words)
        assert code == 1
        assert message in output
        assert lake.facts() == [(1, 1, 1)]
    code, output = command("publish", "--month", "2024-01", "--accept", "unique_facts", "--reason", "known duplicate")
    assert code == 0, output
    assert "2024-01 is public as generation 2, its gate accepted." in output
    assert lake.facts() == [(1, 1, 7)]
    assert "(accepted by ada: known duplicate)" in command("history")[1]


@pytest.mark.slow
def test_publish_without_a_build_that_waits(command):
    code, output = command("publish", "--month", "2024-01")
    assert code == 1
    assert "there is no build of 2024-01 that waits for its publication" in output


@pytest.mark.slow
def test_sweep_lists_and_removes(command, lake):
    lake.publish_month(1, [1])
    code, output = command("sweep", "--dry-run")
    assert code == 0, output
    assert re.search(r"Would remove 0 audit schemas, 0 temporary tables and 0 files", output)
    code, output = command("sweep", "--keep-hours", "0")
    assert code == 1
    assert "keep_hours is 0.0; it must be 1 or more hours" in output
