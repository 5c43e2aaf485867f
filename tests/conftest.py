"""The environment of every test (an Airflow home of its own, no AWS account), and the order and times of a run."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest

_home = tempfile.mkdtemp(prefix="lakehouse-tests-")
atexit.register(shutil.rmtree, _home, ignore_errors=True)

# Before any test module imports Airflow, which reads these once.
for _name in [name for name in os.environ if name.startswith(("AWS_", "AIRFLOW", "DBT_"))]:
    del os.environ[_name]
os.environ |= {
    "AIRFLOW_HOME": _home,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_home}/airflow.db",
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": f"{_home}/aws-config",
    "AWS_SHARED_CREDENTIALS_FILE": f"{_home}/aws-credentials",
}

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLES = {"quick": 20, "thorough": 200}  # hypothesis profile -> examples of a property test
# Folders whose files are handed out first, the longest before the others: two workers then end together.
LONGEST_FIRST = (
    "tests/e2e",
    "tests/infra",
    "tests/integration/dbt",
    "tests/unit/glue_scripts",
    "tests/integration",
    "lakehouse-local/tests/integration",
)

try:
    from hypothesis import settings
except ImportError:  # an environment for MWAA's constraints may lack it
    pass
else:
    for _profile, _examples in EXAMPLES.items():
        settings.register_profile(_profile, max_examples=_examples)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return REPOSITORY


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files by their folders, the longest first; the order inside a file stays."""

    def rank(item: pytest.Item) -> int:
        return next(
            (at for at, folder in enumerate(LONGEST_FIRST) if item.nodeid.startswith(f"{folder}/")), len(LONGEST_FIRST)
        )

    items.sort(key=rank)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the seconds that each folder's tests took, where `--durations` asks for times."""
    if config.option.durations is None:
        return
    seconds, tests = Counter[str](), Counter[str]()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folder = folder_of(report.nodeid)
                seconds[folder] += report.duration
                tests[folder] += report.when == "call"
    terminalreporter.section("seconds by folder")
    for folder in sorted(seconds):
        terminalreporter.write_line(f"{seconds[folder]:8.1f} s {tests[folder]:5d} tests  {folder}")
    terminalreporter.write_line(f"{seconds.total():8.1f} s {tests.total():5d} tests  in all")


def folder_of(nodeid: str) -> str:
    """The test's folder, at most two levels below `tests`."""
    parts = PurePosixPath(nodeid.partition("::")[0]).parent.parts
    return "/".join(parts[: parts.index("tests") + 3]) if "tests" in parts else "/".join(parts)
