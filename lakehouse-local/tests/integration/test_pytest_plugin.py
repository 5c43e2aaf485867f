"""The pytest plugin in test projects of its own: the README's, with xdist, and one whose pytest is killed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
MORE = """
import os
import subprocess
import sys


def test_a_fresh_one_is_empty(local_aws_empty, local_aws):
    assert local_aws_empty.endpoint != local_aws.endpoint
    assert local_aws_empty.client("s3").list_buckets()["Buckets"] == []
    assert [each["Name"] for each in local_aws.client("s3").list_buckets()["Buckets"]] == ["athena-results"]
    code = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    environment = {**os.environ, **local_aws.environment}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert ended.stdout.strip() == "123456789012", ended.stderr


def test_moto_here_is_not_moto_there():
    assert "moto" not in sys.modules
"""
SLEEPS = """
import os
import time


def test_forever(local_aws):
    with open("pid.new", "w") as file:
        file.write(str(local_aws.process.pid))
    os.rename("pid.new", "pid")
    time.sleep(600)
"""


def pytest_in(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def test_the_project_of_the_readme_and_xdist(tmp_path: Path) -> None:
    found = re.search(r"<!-- test project -->\n```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert found
    assert len([line for line in found[1].splitlines() if line.strip()]) <= 10
    (tmp_path / "test_readme.py").write_text(found[1])
    (tmp_path / "test_more.py").write_text(MORE)
    process = pytest_in(tmp_path, "-n", "2", "--dist", "loadfile")
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "3 passed" in output


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")
@pytest.mark.slow
def test_nothing_is_left_of_a_pytest_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "test_sleeps.py").write_text(SLEEPS)
    process = pytest_in(tmp_path)
    try:
        wait_for((tmp_path / "pid").exists)
        local = int((tmp_path / "pid").read_text())
        os.kill(local, 0)
    finally:
        process.kill()
        process.communicate()
    wait_for(lambda: not Path(f"/proc/{local}").exists())
