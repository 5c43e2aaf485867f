"""Query executions: started, run in threads, watched, stopped; kept so that a restart finds them."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.local_aws.athena import statements
from airflow_lakehouse_provider.local_aws.athena.binding import Binding
from airflow_lakehouse_provider.local_aws.athena.engine import Cancelled, Cursor, Engine
from airflow_lakehouse_provider.local_aws.athena.results import Results
from airflow_lakehouse_provider.local_aws.athena.sql import SqlError, from_duckdb
from airflow_lakehouse_provider.local_aws.athena.statements import Session, Statement
from airflow_lakehouse_provider.local_aws.catalog import Catalog
from airflow_lakehouse_provider.local_aws.glue.documents import Documents
from airflow_lakehouse_provider.local_aws.s3 import ObjectStore
from airflow_lakehouse_provider.local_aws.wire import AwsError

log = logging.getLogger(__name__)

ACTIVE = ("QUEUED", "RUNNING")
HOLD = 0.5  # seconds that GetQueryExecution waits for the end of a query that runs
AT_ONCE = 8
KIND = "execution"
# Athena's error categories: 1 system, 2 user, 3 other
_SYSTEM = {"GENERIC_INTERNAL_ERROR", "EXCEEDED_LOCAL_MEMORY_LIMIT"}


class Executions:
    """The executions of one local AWS."""

    def __init__(self, state_dir: Path, store: ObjectStore, catalog: Catalog, documents: Documents) -> None:
        self._store = store
        self._catalog = catalog
        self._documents = documents
        self._engine = Engine(store.root, store.root / ".tmp")
        self._results = Results(state_dir / "athena", store)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="athena")
        self._changed = threading.Condition()
        self._cursors: dict[str, Cursor] = {}
        self._stopped: set[str] = set()
        for execution in documents.all(KIND):
            if execution["Status"]["State"] in ACTIVE:
                self._finish(execution, "FAILED", "GENERIC_INTERNAL_ERROR: the local AWS ended while the query ran")

    def close(self) -> None:
        with self._changed:
            running = list(self._cursors.values())
        for cursor in running:
            cursor.stop()
        self._pool.shutdown(cancel_futures=True)
        self._engine.close()

    def start(self, statement: Statement, execution: dict[str, Any], *, database: str, enforced: bool) -> None:
        """Queue an accepted statement; the execution holds what GetQueryExecution shows."""
        self._documents.put(KIND, execution["QueryExecutionId"], execution, execution["WorkGroup"])
        self._pool.submit(self._run, statement, execution, database, enforced)

    def get(self, execution_id: str) -> dict[str, Any]:
        """An execution as it is now.

        :raises AwsError: InvalidRequestException when there is none
        """
        found = self._documents.get(KIND, execution_id)
        if found is None:
            raise AwsError("InvalidRequestException", f"QueryExecution {execution_id} was not found")
        return found

    def wait(self, execution_id: str) -> dict[str, Any]:
        """An execution, held until it ends or half a second has passed: who polls learns of the end at once."""
        until = time.monotonic() + HOLD
        with self._changed:
            while (found := self.get(execution_id))["Status"]["State"] in ACTIVE:
                left = until - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return self.get(execution_id)
        return found

    def stop(self, execution_id: str) -> None:
        """Cancel an execution; one that has ended stays as it is."""
        execution = self.get(execution_id)
        if execution["Status"]["State"] not in ACTIVE:
            return
        with self._changed:
            self._stopped.add(execution_id)
            cursor = self._cursors.get(execution_id)
        if cursor is not None:
            cursor.stop()

    def page(self, execution: dict[str, Any], token: str | None, limit: int) -> Any:
        """A page of an execution's results."""
        return self._results.page(execution["QueryExecutionId"], token, limit)

    def list(self, work_group: str) -> list[str]:
        """The ids of a work group's executions, the newest first."""
        return [found["QueryExecutionId"] for _, found in self._documents.newest(KIND, work_group)]

    def _run(self, statement: Statement, execution: dict[str, Any], database: str, enforced: bool) -> None:
        execution_id = execution["QueryExecutionId"]
        begun = time.monotonic()
        scanned = 0
        try:
            with self._engine.cursor() as cursor:
                with self._changed:
                    self._cursors[execution_id] = cursor
                    if execution_id in self._stopped:
                        cursor.stop()
                cursor.check()
                self._put(execution, "RUNNING")
                location = execution["ResultConfiguration"]["OutputLocation"]
                binding = Binding(self._catalog, self._store, cursor, database)
                session = Session(execution_id, binding, cursor, location.rpartition("/")[0] + "/", enforced)
                outcome = statements.execute(statement, session)
                self._results.write(execution_id, outcome, location)
                if outcome.manifest is not None:
                    self._write_manifest(execution, outcome.manifest, location)
                cursor.check()
                scanned = cursor.bytes_scanned
                execution["UpdateCount"] = outcome.update_count
        except Cancelled:
            self._finish(execution, "CANCELLED", "Query was cancelled by user", begun, scanned)
        except SqlError as error:
            self._finish(execution, "FAILED", f"{error.name}: {error.message}", begun, scanned)
        except AwsError as error:
            self._finish(execution, "FAILED", f"{error.code}: {error.message}", begun, scanned)
        except Exception as error:
            log.exception("query %s failed inside the local Athena", execution_id)
            translated = from_duckdb(error)
            self._finish(execution, "FAILED", f"{translated.name}: {translated.message}", begun, scanned)
        else:
            self._finish(execution, "SUCCEEDED", None, begun, scanned)
        finally:
            with self._changed:
                self._cursors.pop(execution_id, None)
                self._stopped.discard(execution_id)

    def _write_manifest(self, execution: dict[str, Any], files: list[str], location: str) -> None:
        uri = f"{location.rpartition('.')[0] or location}-manifest.csv"
        self._store.write(uri, "".join(f"{file}\n" for file in files).encode())
        execution["Statistics"]["DataManifestLocation"] = uri

    def _put(self, execution: dict[str, Any], state: str) -> None:
        execution["Status"]["State"] = state
        self._documents.put(KIND, execution["QueryExecutionId"], execution)

    def _finish(
        self, execution: dict[str, Any], state: str, reason: str | None, begun: float | None = None, scanned: int = 0
    ) -> None:
        now = time.time()
        took = int(1000 * (time.monotonic() - begun)) if begun is not None else 0
        status = execution["Status"]
        status["CompletionDateTime"] = now
        if reason is not None:
            status["StateChangeReason"] = reason
        if state == "FAILED" and reason is not None:
            name = reason.partition(":")[0]
            status["AthenaError"] = {
                "ErrorCategory": 1 if name in _SYSTEM else 2,
                "ErrorType": 1 if name in _SYSTEM else 1001,
                "Retryable": False,
                "ErrorMessage": reason,
            }
        execution["Statistics"] |= {
            "EngineExecutionTimeInMillis": took,
            "DataScannedInBytes": scanned,
            "TotalExecutionTimeInMillis": int(1000 * (now - status["SubmissionDateTime"])),
            "QueryQueueTimeInMillis": max(0, int(1000 * (now - status["SubmissionDateTime"])) - took),
            "ServiceProcessingTimeInMillis": 0,
        }
        with self._changed:
            self._put(execution, state)
            self._changed.notify_all()


def new_id() -> str:
    """An execution's id."""
    return str(uuid.uuid4())


