"""Query executions: started, run in threads, stopped, and stored so that they survive a restart."""

from __future__ import annotations

import logging
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse_local.athena.binding import Binding
from lakehouse_local.athena.engine import Cancelled, Cursor, Engine
from lakehouse_local.athena.failures import PERMISSION_DENIED, athena_error
from lakehouse_local.athena.results.pages import Page, Results
from lakehouse_local.athena.sql import SqlError, from_duckdb
from lakehouse_local.athena.statements.statement import Statement, StatementContext
from lakehouse_local.documents import Document, Documents
from lakehouse_local.glue.catalog.store import Catalog
from lakehouse_local.http.wire import AwsError
from lakehouse_local.iam.access import AccessDenied
from lakehouse_local.iam.guarded import guarded
from lakehouse_local.s3.store import SCRATCH, ObjectStore

if TYPE_CHECKING:
    from lakehouse_local.iam.enforcement import Judge

log = logging.getLogger(__name__)

ACTIVE = ("QUEUED", "RUNNING")
WAIT = 0.5  # seconds that GetQueryExecution waits for the end of a query that runs
MAX_RUNNING = 8  # queries that run at the same time
KIND = "execution"
_BY_USER = "Query was cancelled by user"
_ENDED = "GENERIC_INTERNAL_ERROR: the local AWS ended while the query ran"


class Executions:
    """The query executions of one local AWS; at most MAX_RUNNING run, the others are QUEUED."""

    def __init__(self, state_dir: Path, store: ObjectStore, catalog: Catalog, documents: Documents) -> None:
        self._store = store
        self._catalog = catalog
        self._documents = documents
        self._engine = Engine(store.root, store.root / SCRATCH)
        self._results = Results(state_dir / "athena")
        self._pool = ThreadPoolExecutor(MAX_RUNNING, thread_name_prefix="athena")
        self._changed = threading.Condition()
        self._futures: dict[str, Future[None]] = {}
        self._cursors: dict[str, Cursor] = {}
        self._stopped: set[str] = set()
        self._closing = False
        self._fail_active()

    def close(self) -> None:
        """Stop the running queries: they are FAILED, with the end of the local AWS as the reason."""
        with self._changed:
            self._closing = True
            running = list(self._cursors.values())
        for cursor in running:
            cursor.stop(_ENDED)
        self._pool.shutdown(cancel_futures=True)
        self._fail_active()
        self._engine.close()

    def _fail_active(self) -> None:
        for execution in self._documents.all(KIND):
            if execution["Status"]["State"] in ACTIVE:
                self._finish(execution, "FAILED", _ENDED)

    def start(
        self,
        statement: Statement,
        execution: Document,
        *,
        database: str,
        enforced: bool,
        cutoff: int | None,
        judge: Judge | None = None,
    ) -> None:
        """Queue an accepted statement.

        :param execution: the QueryExecution that GetQueryExecution returns
        :param enforced: the work group decides where data goes
        :param cutoff: bytes that the query may read
        :param judge: checks the caller's permissions; None permits everything
        """
        execution_id = execution["QueryExecutionId"]
        self._documents.put(KIND, execution_id, execution, execution["WorkGroup"])
        with self._changed:
            future = self._pool.submit(self._run, statement, execution, database, enforced, cutoff, judge)
            self._futures[execution_id] = future

    def get(self, execution_id: str) -> Document:
        """Return an execution as it is now.

        :raises AwsError: InvalidRequestException when there is none
        """
        found = self._documents.get(KIND, execution_id)
        if found is None:
            raise AwsError("InvalidRequestException", f"QueryExecution {execution_id} was not found")
        return found

    def wait(self, execution_id: str) -> Document:
        """Return an execution when it ends, or after WAIT seconds: a client that polls sees the end at once."""
        until = time.monotonic() + WAIT
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
            cursor, future = self._cursors.get(execution_id), self._futures.get(execution_id)
        if cursor is not None:
            cursor.stop(_BY_USER)
        elif future is not None and future.cancel():
            self._finish(execution, "CANCELLED", _BY_USER)
            self._forget(execution_id)

    def page(self, execution: Document, token: str | None, limit: int) -> Page:
        """Return a page of an execution's results."""
        return self._results.page(execution["QueryExecutionId"], token, limit)

    def ids(self, work_group: str) -> list[str]:
        """Return the ids of a work group's executions, the newest first."""
        return [found["QueryExecutionId"] for _, found in self._documents.newest(KIND, work_group)]

    def _run(
        self,
        statement: Statement,
        execution: Document,
        database: str,
        enforced: bool,
        cutoff: int | None,
        judge: Judge | None,
    ) -> None:
        execution_id = execution["QueryExecutionId"]
        begun = time.monotonic()
        scanned = 0
        try:
            with self._engine.cursor(cutoff) as cursor:
                try:
                    with self._changed:
                        self._cursors[execution_id] = cursor
                        stopped = execution_id in self._stopped
                    if stopped:
                        cursor.stop(_BY_USER)
                    cursor.check()
                    self._put(execution, "RUNNING")
                    store, catalog = guarded(self._store, self._catalog, judge)
                    self._carry_out(statement, execution, Binding(catalog, store, cursor, database), enforced)
                    cursor.check()
                finally:
                    scanned = cursor.bytes_scanned
        except Cancelled as cancelled:
            state = "FAILED" if self._closing else "CANCELLED"
            self._finish(execution, state, str(cancelled), begun, scanned)
        except SqlError as error:
            self._finish(execution, "FAILED", f"{error.name}: {error.message}", begun, scanned)
        except AwsError as error:
            self._finish(execution, "FAILED", f"{error.code}: {error.message}", begun, scanned)
        except AccessDenied as denied:
            self._finish(execution, "FAILED", f"{PERMISSION_DENIED}: {denied.message}", begun, scanned)
        except Exception as error:
            log.exception("query %s failed inside the local Athena", execution_id)
            internal = from_duckdb(error)
            self._finish(execution, "FAILED", f"{internal.name}: {internal.message}", begun, scanned)
        else:
            self._finish(execution, "SUCCEEDED", None, begun, scanned)
        finally:
            self._forget(execution_id)

    def _carry_out(self, statement: Statement, execution: Document, binding: Binding, enforced: bool) -> None:
        location = execution["ResultConfiguration"]["OutputLocation"]
        output = location.rpartition("/")[0] + "/"
        outcome = statement.run(StatementContext(execution["QueryExecutionId"], binding, output, enforced))
        self._results.write(execution["QueryExecutionId"], outcome, location, binding.store)
        execution["UpdateCount"] = outcome.written
        if outcome.files is not None:
            uri = f"{location.rpartition('.')[0]}-manifest.csv"
            binding.store.write(uri, "".join(f"{file}\n" for file in outcome.files).encode())
            execution["Statistics"]["DataManifestLocation"] = uri

    def _forget(self, execution_id: str) -> None:
        with self._changed:
            self._cursors.pop(execution_id, None)
            self._futures.pop(execution_id, None)
            self._stopped.discard(execution_id)

    def _put(self, execution: Document, state: str) -> None:
        execution["Status"]["State"] = state
        self._documents.put(KIND, execution["QueryExecutionId"], execution)

    def _finish(
        self, execution: Document, state: str, reason: str | None, begun: float | None = None, scanned: int = 0
    ) -> None:
        now = time.time()
        took = int(1000 * (time.monotonic() - begun)) if begun is not None else 0
        total = int(1000 * (now - execution["Status"]["SubmissionDateTime"]))
        execution["Status"]["CompletionDateTime"] = round(now, 3)
        if reason is not None:
            execution["Status"]["StateChangeReason"] = reason
            if state == "FAILED":
                execution["Status"]["AthenaError"] = athena_error(reason.partition(":")[0], reason)
        execution["Statistics"] |= {
            "EngineExecutionTimeInMillis": took,
            "DataScannedInBytes": scanned,
            "TotalExecutionTimeInMillis": total,
            "QueryQueueTimeInMillis": max(0, total - took),
            "ServiceProcessingTimeInMillis": 0,
        }
        with self._changed:
            self._put(execution, state)
            self._changed.notify_all()
