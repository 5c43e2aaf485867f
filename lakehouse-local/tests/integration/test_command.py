"""The command `lakehouse-local`, as a process, as users have it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

COMMAND = [sys.executable, "-m", "lakehouse_local"]


class Started:
    """The command after it printed its variables."""

    def __init__(self, root: Path, *arguments: str) -> None:
        self.root = root
        self.process = subprocess.Popen(
            [*COMMAND, *arguments, "--root", str(root), "--port", "0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=root.parent,
        )
        assert self.process.stdout is not None
        self.first_line = self.process.stdout.readline()
        self.exports: dict[str, str] = {}
        while len(self.exports) < 5:
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError(self.process.communicate()[1])
            name, _, value = line.removeprefix("export ").strip().partition("=")
            self.exports[name] = value

    def client(self, service: str) -> Any:
        return boto3.client(
            service, endpoint_url=self.exports["AWS_ENDPOINT_URL"], region_name=self.exports["AWS_REGION"]
        )


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Started]]:
    """`start(*arguments)`: start the command on a root of its own; what still runs at the module's end is killed."""
    started: list[Started] = []

    def one(*arguments: str) -> Started:
        started.append(Started(tmp_path_factory.mktemp("command") / "root", *arguments))
        return started[-1]

    yield one
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
        each.process.communicate()


@pytest.fixture(scope="module")
def running(start: Callable[..., Started]) -> Started:
    """The command without a subcommand, with a region and an account of its own."""
    return start("--region", "eu-west-1", "--account", "000011112222")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=120)


def test_it_starts_as_an_account_that_has_used_athena(running: Started) -> None:
    assert f"# The local AWS is ready; its state is under {running.root}. Ctrl-C stops it." in running.first_line
    assert running.client("sts").get_caller_identity()["Account"] == "000011112222"
    assert [each["Name"] for each in running.client("glue").get_databases()["DatabaseList"]] == ["default"]
    athena = running.client("athena")
    query = athena.start_query_execution(QueryString="SELECT 1")["QueryExecutionId"]
    end = time.monotonic() + 60
    while True:
        found = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]
        if found["Status"]["State"] not in ("QUEUED", "RUNNING"):
            break
        assert time.monotonic() < end, found
        time.sleep(0.05)
    assert found["Status"]["State"] == "SUCCEEDED", found
    rows = athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
    assert [row["Data"][0]["VarCharValue"] for row in rows] == ["_col0", "1"]
    assert found["ResultConfiguration"]["OutputLocation"].startswith("s3://athena-results/")
    location = running.client("s3").get_bucket_location(Bucket="athena-results")["LocationConstraint"]
    assert location == running.exports["AWS_DEFAULT_REGION"] == "eu-west-1"


def test_a_root_in_use_is_a_sentence(running: Started) -> None:
    ended = run("start", "--root", str(running.root), "--port", "0")
    assert ended.returncode == 1
    assert f"another local AWS (process {running.process.pid}) uses {running.root}" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_in_use_is_a_sentence(running: Started, tmp_path: Path) -> None:
    port = running.exports["AWS_ENDPOINT_URL"].rpartition(":")[2]
    ended = run("--root", str(tmp_path / "root"), "--port", port)
    assert ended.returncode == 1
    assert f"port {port} of 127.0.0.1 is in use: stop what listens there, or choose another port" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "root").exists()


@pytest.mark.parametrize(
    ("arguments", "number"), [(("--empty",), signal.SIGINT), (("start", "--empty", "--enforce-iam"), signal.SIGTERM)]
)
def test_it_starts_empty_and_ends_on_a_signal(
    start: Callable[..., Started], arguments: tuple[str, ...], number: signal.Signals
) -> None:
    started = start(*arguments)
    assert started.client("s3").list_buckets()["Buckets"] == []
    assert started.client("glue").get_databases()["DatabaseList"] == []
    started.process.send_signal(number)
    assert started.process.wait(timeout=60) == 0
    with socket.socket() as probe:
        port = int(started.exports["AWS_ENDPOINT_URL"].rpartition(":")[2])
        assert probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--port", "70000"), "--port must be a number from 0 (any free port) to 65535, not '70000'"),
        (("start", "--port", "http"), "--port must be a number from 0 (any free port) to 65535, not 'http'"),
        (("--account", "12345678901"), "--account must be twelve digits, as 123456789012, not '12345678901'"),
        (("--region", "us-east-9"), "--region must be a region of AWS, not 'us-east-9': one of af-south-1, "),
        (("strat",), "No such command 'strat'"),
    ],
)
def test_bad_arguments_are_refused_before_anything_starts(
    tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    root = () if arguments == ("strat",) else ("--root", str(tmp_path / "root"))
    ended = run(*arguments, *root)
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "root").exists()


def test_a_root_of_an_older_version_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / ".state").mkdir(parents=True)
    (root / ".state" / "catalog.sqlite").write_bytes(b"")
    ended = run("--root", str(root), "--port", "0")
    assert (ended.returncode, ended.stderr) == (
        1,
        f"Error: {root} was made by an older version: start with a new --root\n",
    )


def test_a_root_that_cannot_be_written_is_a_sentence() -> None:
    ended = run("--root", "/dev/null/root", "--port", "0")
    assert ended.returncode == 1
    assert "the root /dev/null/root cannot be written (Not a directory): choose another root" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [("-h",), ("start", "-h"), ("start", "--help")])
def test_help(arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)
    assert (ended.returncode, ended.stderr) == (0, "")
    for option in ("--root", "--port", "--region", "--account", "--enforce-iam", "--empty", "--help"):
        assert option in ended.stdout
    assert "[default: 5000]" in " ".join(ended.stdout.split())
