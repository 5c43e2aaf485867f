"""The invocations of dbt of one try of a task: followed, stopped, and their Athena queries stopped after a kill."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.dbt import queries
from airflow_lakehouse_provider.dbt.events import DbtEvent
from airflow_lakehouse_provider.dbt.invocation import Invocation
from airflow_lakehouse_provider.dbt.scratch import Scratch
from airflow_lakehouse_provider.errors import LakehouseError

# Left out of dbt's environment: paths of the worker's Python break dbt's, and Airflow's configuration holds secrets.
_NOT_FOR_DBT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_")
# Seconds to stop the queries that a stopped dbt left; Airflow 3 sends SIGKILL five seconds after SIGTERM.
_SWEEP_SECONDS = 1.5
# Seconds within which a query that a killed dbt was just starting appears in the work group's list.
_SETTLE_SECONDS = 0.6


class Stopped(LakehouseError):
    """The attempt was stopped before dbt was started."""


@dataclass(frozen=True)
class Aws:
    """The access to AWS of an attempt.

    :ivar client: returns a boto3 client of a service
    :ivar variables: variables of dbt's environment
    :ivar dropped: variables that dbt's environment must not have
    :ivar serve: for credentials that expire: takes the attempt's directory and a function to call with new credentials,
        and returns a context whose value are further variables of dbt's environment
    """

    client: Callable[[str], Any]
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    dropped: tuple[str, ...] = ()
    serve: Callable[[Path, Callable[[dict[str, str]], None]], AbstractContextManager[dict[str, str]]] | None = None


class Attempt:
    """The invocations of one try: the command's own, after `dbt deps` where packages are missing.

    :param executable: the beginning of dbt's command line
    :param work_group: of Athena, where queries are looked for after a kill; None for Athena's ``primary``
    :param on_event: called with every event of dbt's log that has a message
    :param log: called with the level and the message of a line for the task's log
    """

    def __init__(
        self,
        *,
        executable: Sequence[str],
        aws: Aws,
        work_group: str | None,
        on_event: Callable[[DbtEvent], None],
        log: Callable[[int, str], None],
    ) -> None:
        self._executable = tuple(executable)
        self._aws = aws
        self._work_group = work_group
        self._on_event = on_event
        self._log = log
        self._running: list[Invocation] = []
        self._stopping = False
        self._athena: Any = None
        self._cleanup_environment = _python_path()

    def stop(self) -> None:
        """Stop dbt and its Athena queries. Returns at once; safe in a signal handler."""
        self._stopping = True
        for invocation in tuple(self._running):
            invocation.stop()

    @contextmanager
    def environment(self, more: Mapping[str, str], directory: Path, aws: Aws | None = None) -> Iterator[dict[str, str]]:
        """Make dbt's environment, whose credentials are renewed for as long as the context is entered.

        :param more: variables that win over all others
        :param directory: of this attempt, which only this user may enter
        :param aws: dbt's access to AWS, where it has less than the attempt; default: the attempt's
        """
        aws = aws or self._aws
        dropped = {*aws.dropped}
        own = {n: v for n, v in os.environ.items() if not n.startswith(_NOT_FOR_DBT) and n not in dropped}
        # dbt reports each run to its makers, and without a network waits for that at its end.
        defaults = {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        variables = {**defaults, **own, **aws.variables, **more}
        if aws.serve is None:
            yield variables
            return
        with aws.serve(directory, self._renew) as credentials:
            yield variables | credentials

    def invoke(
        self,
        line: list[str],
        environment: Mapping[str, str],
        directory: Path,
        scratch: Scratch,
        *,
        on_event: Callable[[DbtEvent], None] | None = None,
        instead: bool = False,
    ) -> tuple[int, Invocation]:
        """Run dbt to its end; return its exit code and the invocation. Several threads may, at once.

        :param line: dbt's arguments
        :param directory: where dbt runs
        :param scratch: the attempt's directory, which is not removed while dbt runs
        :param on_event: called with every event that has a message, before the attempt's own
        :param instead: whether the attempt's own is not called at all
        :raises Stopped: :meth:`stop` was called before
        :raises ExecutableError: the executable is not dbt, or too old
        """
        invocation = Invocation(
            executable=self._executable,
            arguments=line,
            environment=environment,
            directory=directory,
            inherited=[scratch.lock],
        )
        self._running.append(invocation)
        if self._stopping:
            raise Stopped
        known: tuple[str | None, int] = (None, 0)

        def see(event: DbtEvent) -> None:
            nonlocal known
            log = invocation.log
            if (log.invocation_id, len(log.queries)) != known:
                known = (log.invocation_id, len(log.queries))
                invocation.set_cleanup(input=self._queries_to_stop(invocation))
            if on_event is not None:
                on_event(event)
            if event.message and not instead:
                self._on_event(event)

        ended = False
        try:
            with invocation:
                command = [sys.executable, "-c", queries.PROGRAM]
                invocation.set_cleanup(command=command, environment=self._cleanup_environment)
                threading.Thread(target=self._prepare_stop, name="dbt-stop", daemon=True).start()
                code = invocation.wait(see)
                ended = not invocation.stopping and code in (0, 1, 2)
        finally:
            if not ended:
                self._stop_queries(invocation)
            self._running.remove(invocation)
        return code, invocation

    def _queries_to_stop(self, invocation: Invocation) -> dict[str, Any]:
        log = invocation.log
        return {
            "query_ids": list(log.running),
            "invocation_id": log.invocation_id,
            "work_group": self._work_group,
            "settle": _SETTLE_SECONDS,
        }

    def _renew(self, variables: dict[str, str]) -> None:
        """Take the credentials that the supervisor's cleanup will need once this process has died."""
        self._cleanup_environment = {**_python_path(), **variables}
        for invocation in tuple(self._running):
            invocation.set_cleanup(environment=self._cleanup_environment)

    def _prepare_stop(self) -> None:
        # Made while dbt starts: a kill leaves no time for it, and must not call Airflow.
        try:
            self._athena = self._aws.client("athena")
        except Exception as error:
            self._log(logging.WARNING, f"There is no client of Athena to stop queries with: {error}")

    def _stop_queries(self, invocation: Invocation) -> None:
        """Stop the running Athena queries of an invocation that did not end by itself."""
        if invocation.log.invocation_id is None:
            return
        try:
            if self._athena is None:
                self._prepare_stop()
            arguments = {**self._queries_to_stop(invocation), "within": _SWEEP_SECONDS}
            stopped = queries.stop_running(self._athena, **arguments)
        except Exception as error:
            name = invocation.log.invocation_id
            self._log(logging.WARNING, f"Athena queries of invocation {name} may be running: {error}")
            return
        if stopped:
            self._log(logging.INFO, f"Stopped the Athena queries {', '.join(stopped)}.")


def _python_path() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
