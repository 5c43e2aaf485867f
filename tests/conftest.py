"""What every test stands on: an Airflow home of its own, no AWS account, nothing of this machine's settings."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

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


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return REPOSITORY
