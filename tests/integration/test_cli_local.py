"""`lakehouse local` and `lakehouse upload-raw`, as processes, as users have them."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("moto", reason="needs the extra 'local'")

LAKEHOUSE = [sys.executable, "-m", "airflow_lakehouse_provider.cli"]


@pytest.fixture
def config(tmp_path: Path, repository: Path) -> Path:
    """A lakehouse.yaml of other names than the starter's."""
    text = (repository / "example_dags" / "lakehouse.yaml").read_text()
    path = tmp_path / "lakehouse.yaml"
    path.write_text(text.replace("s3://nyc-taxi-raw", "s3://my-raw/in").replace("nyc_taxi_marts", "my_marts"))
    return path


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Start `lakehouse local`; gives the process and the environment that it printed."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> tuple[subprocess.Popen[str], dict[str, str]]:
        process = subprocess.Popen(
            [*LAKEHOUSE, "local", "--root", str(tmp_path / "root"), "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
        )
        started.append(process)
        assert process.stdout is not None
        exports: dict[str, str] = {}
        for line in process.stdout:
            if line.startswith("export "):
                name, _, value = line.removeprefix("export ").strip().partition("=")
                exports[name] = value
            if len(exports) == 5:
                return process, exports
        raise AssertionError(process.communicate()[1])

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def client(service: str, exports: dict[str, str]) -> Any:
    import boto3

    return boto3.client(service, endpoint_url=exports["AWS_ENDPOINT_URL"], region_name=exports["AWS_REGION"])


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*LAKEHOUSE, *arguments], capture_output=True, text=True, timeout=120, env={**os.environ, **environment}
    )


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_it_has_what_the_yaml_names_and_ends_on_a_signal(
    local: Callable[..., Any], config: Path, number: signal.Signals
) -> None:
    process, exports = local("--config", str(config))
    assert exports["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1:")
    assert exports["AWS_ACCESS_KEY_ID"] == "local"
    buckets = {bucket["Name"] for bucket in client("s3", exports).list_buckets()["Buckets"]}
    assert buckets == {
        "my-raw", "nyc-taxi-cleaned", "nyc-taxi-curated", "nyc-taxi-athena-results", "nyc-taxi-artifacts",
        "athena-results",  # of tools that name no place
    }  # fmt: skip
    glue = client("glue", exports)
    assert [item["Name"] for item in glue.get_databases()["DatabaseList"]] == [
        "default",
        "my_marts",
        "nyc_taxi_cleaned",
    ]
    process.send_signal(number)
    assert process.wait(timeout=30) == 0
    with socket.socket() as probe:
        port = int(exports["AWS_ENDPOINT_URL"].rpartition(":")[2])
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_it_is_empty_where_something_else_makes_what_there_is(local: Callable[..., Any]) -> None:
    _, exports = local("--empty")
    assert client("s3", exports).list_buckets()["Buckets"] == []
    assert client("glue", exports).get_databases()["DatabaseList"] == []


@pytest.mark.slow
def test_a_restart_finds_objects_and_tables_again(local: Callable[..., Any], tmp_path: Path) -> None:
    process, exports = local()
    client("s3", exports).put_object(Bucket="nyc-taxi-raw", Key="k", Body=b"x")
    client("glue", exports).create_table(DatabaseName="nyc_taxi_marts", TableInput={"Name": "t"})
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)
    _, exports = local()
    assert client("s3", exports).get_object(Bucket="nyc-taxi-raw", Key="k")["Body"].read() == b"x"
    assert client("glue", exports).get_table(DatabaseName="nyc_taxi_marts", Name="t")["Table"]["Name"] == "t"


def test_a_port_in_use_is_a_sentence(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = run("local", "--root", str(tmp_path / "root"), "--port", str(port))
    assert ended.returncode == 1
    assert f"port {port} of 127.0.0.1 is in use" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "root").exists()


@pytest.mark.slow
def test_a_root_in_use_is_a_sentence(local: Callable[..., Any], tmp_path: Path) -> None:
    process, _ = local()
    ended = run("local", "--root", str(tmp_path / "root"), "--port", "0")
    assert ended.returncode == 1
    assert f"process {process.pid}" in ended.stderr


@pytest.mark.parametrize(
    ("yaml", "part"), [("region: us-east-1\n", "is missing"), (":", "YAML"), (None, "No such file")]
)
def test_a_yaml_that_cannot_be_used(tmp_path: Path, yaml: str | None, part: str) -> None:
    path = tmp_path / "lakehouse.yaml"
    if yaml is not None:
        path.write_text(yaml)
    ended = run("local", "--root", str(tmp_path / "root"), "--port", "0", "--config", str(path))
    assert ended.returncode == 1
    assert part in ended.stderr
    assert str(path) in ended.stderr
    assert not (tmp_path / "root").exists()


class TestUploadRaw:
    @pytest.fixture
    def environment(self, local_aws: Any, boto: Callable[..., Any]) -> dict[str, str]:
        s3 = boto("s3")
        if "my-raw" not in [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]:
            s3.create_bucket(Bucket="my-raw")
        return dict(local_aws.environment)

    @pytest.mark.parametrize("size", [0, 1000, 9 << 20])
    def test_the_file_arrives_byte_for_byte(
        self, environment: dict[str, str], boto: Callable[..., Any], config: Path, tmp_path: Path, size: int
    ) -> None:
        file = tmp_path / "trips.parquet"
        file.write_bytes(os.urandom(size))
        arguments = ("--service", "yellow", "--month", "2024-1", "--config", str(config), str(file))
        ended = run("upload-raw", *arguments, **environment)
        assert ended.returncode == 0, ended.stderr
        key = "in/yellow/2024/yellow_tripdata_2024-01.parquet"
        assert f"s3://my-raw/{key}" in ended.stdout
        etag = boto("s3").head_object(Bucket="my-raw", Key=key)["ETag"]
        assert etag == f'"{hashlib.md5(file.read_bytes()).hexdigest()}"'

    @pytest.mark.parametrize(
        ("arguments", "status", "part"),
        [
            (("--service", "yellow", "--month", "2024-13"), 2, "13"),
            (("--service", "yellow", "--month", "January"), 2, "YYYY-MM"),
            (("--service", "red", "--month", "2024-01"), 2, "red"),
            (("--service", "green", "--month", "2024-01"), 1, "services are yellow, without green"),
            (("--month", "2024-01"), 2, "--service"),
        ],
    )
    def test_bad_arguments(
        self, config: Path, environment: dict[str, str], arguments: tuple[str, ...], status: int, part: str
    ) -> None:
        ended = run("upload-raw", *arguments, "--config", str(config), str(config), **environment)
        assert ended.returncode == status
        assert part in ended.stderr
        assert "Traceback" not in ended.stderr

    def test_a_file_that_is_missing(self, config: Path, environment: dict[str, str]) -> None:
        arguments = ("--service", "yellow", "--month", "2024-01", "--config", str(config), "no-such-file")
        ended = run("upload-raw", *arguments, **environment)
        assert ended.returncode == 2
        assert "no-such-file" in ended.stderr

    def test_a_bucket_that_is_missing(self, config: Path, environment: dict[str, str]) -> None:
        config.write_text(config.read_text().replace("s3://my-raw/in", "s3://no-such-bucket-at-all"))
        arguments = ("--service", "yellow", "--month", "2024-01", "--config", str(config), str(config))
        ended = run("upload-raw", *arguments, **environment)
        assert ended.returncode == 1
        assert "NoSuchBucket" in ended.stderr
        assert "lakehouse local" in ended.stderr

    def test_nobody_listens(self, config: Path, environment: dict[str, str]) -> None:
        arguments = ("--service", "yellow", "--month", "2024-01", "--config", str(config), str(config))
        ended = run(
            "upload-raw",
            *arguments,
            **{**environment, "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"},
        )
        assert ended.returncode == 1
        assert "http://127.0.0.1:9" in ended.stderr
        assert "Traceback" not in ended.stderr
