"""Fixtures for jobs and crawlers without a server: a store, a Data Catalog and a list of log lines."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

pytest.importorskip("pyarrow", reason="needs the extra 'local'")

from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.http.wire import Caller
from lakehouse_local.s3.store import STATE, ObjectStore


class Calls:
    """The operations of a service as functions: `calls.StartJobRun(JobName=...)`."""

    def __init__(self, service):
        self.service = service

    def __getattr__(self, operation):
        return lambda **request: self.service.operations[operation](request, Caller())


def wait_for(condition, seconds=30.0):
    """Wait until the condition returns a true value, and return it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"the condition is still false after {seconds:g} seconds"
        time.sleep(0.02)
    return found


@pytest.fixture
def store(tmp_path):
    store = ObjectStore(tmp_path / "root")
    for bucket in ("code", "data"):
        (store.root / bucket).mkdir()
    yield store
    store.close()


@pytest.fixture
def state_dir(store):
    return store.root / STATE


@pytest.fixture
def catalog(state_dir):
    catalog = Catalog(state_dir / "catalog.sqlite")
    catalog.create_database({"Name": "lake"})
    yield catalog
    catalog.close()


@pytest.fixture
def logs():
    """A writer for CloudWatch Logs that keeps its lines: (region, group, stream, line)."""
    lines = []

    def write(region, group, stream, added):
        lines.extend((region, group, stream, line) for line in added)

    return SimpleNamespace(lines=lines, write=write)
