"""Athena in the test's process, without a server, for tests that patch its parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class AthenaInProcess:
    """The service with its store and Data Catalog; `run` returns an execution that has ended."""

    def __init__(self, root: Path) -> None:
        from lakehouse_local.athena.api import Athena
        from lakehouse_local.glue.catalog.store import Catalog
        from lakehouse_local.http.wire import Caller
        from lakehouse_local.s3.store import STATE, ObjectStore

        self.store = ObjectStore(root)
        (root / "bucket").mkdir(exist_ok=True)
        self.catalog = Catalog(root / STATE / "catalog.sqlite")
        self.service = Athena(root / STATE, self.store, self.catalog)
        self._caller = Caller()

    def call(self, operation: str, **request: Any) -> dict[str, Any]:
        return self.service.operations[operation](request, self._caller)

    def run(self, sql: str, *parameters: str) -> dict[str, Any]:
        arguments: dict[str, Any] = {"ResultConfiguration": {"OutputLocation": "s3://bucket/results/"}}
        if parameters:
            arguments["ExecutionParameters"] = list(parameters)
        execution_id = self.call("StartQueryExecution", QueryString=sql, **arguments)["QueryExecutionId"]
        while True:
            execution = self.call("GetQueryExecution", QueryExecutionId=execution_id)["QueryExecution"]
            if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
                return execution

    def objects(self, prefix: str) -> list[str]:
        return [each.uri for each in self.store.objects(f"s3://bucket/{prefix}")]

    def close(self) -> None:
        self.service.close()
        self.catalog.close()
        self.store.close()


@pytest.fixture
def athena(tmp_path: Path) -> Iterator[AthenaInProcess]:
    service = AthenaInProcess(tmp_path)
    service.catalog.create_database({"Name": "default"})
    yield service
    service.close()
