"""dbt in a Glue job: the request is read from S3, and the verdict left beside it for the operator.

Runs in Glue, without Airflow: ``glue_scripts/run_dbt.py`` calls :func:`main`, and the modules that it imports travel as
``--extra-py-files`` (:mod:`.library`), dbt itself as ``--additional-python-modules``.

``<folder>/request-N.json`` is the request; ``<folder>/<job run>.running.json`` has the id of dbt's invocation, for
those who have to stop its queries; ``<folder>/<job run>.json`` is the verdict.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from typing import Any

from airflow_lakehouse_provider.dbt import documents, queries
from airflow_lakehouse_provider.dbt.attempt import Aws
from airflow_lakehouse_provider.dbt.documents import VersionError
from airflow_lakehouse_provider.dbt.events import DbtEvent
from airflow_lakehouse_provider.dbt.request import DbtRequest
from airflow_lakehouse_provider.dbt.run import DbtRun
from airflow_lakehouse_provider.dbt.verdict import PERMANENT, SUCCESS, DbtVerdict
from airflow_lakehouse_provider.publishing import objects

PYTHON_SHELL = (
    "A Python shell job runs Python 3.9, which is too old for dbt-core 1.11: make it a Spark job (glueetl) of Glue "
    "5.1, G.1X with 2 workers."
)
REQUEST_ARGUMENT, TASK_ARGUMENT = "--request_uri", "--task_uri"
OTHER_VERSION = (
    "the Glue job's script is of another version than the operator. Upload the job's files again from the version that "
    "Airflow has installed: `lakehouse mwaa bundle`, then `lakehouse mwaa sync`"
)


def main(argv: Sequence[str]) -> None:
    """Run dbt as a request demands; the job fails unless dbt succeeds."""
    import boto3

    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(REQUEST_ARGUMENT, required=True, help="s3:// address of the operator's request")
    parser.add_argument("--JOB_RUN_ID", required=True, help="set by Glue")
    arguments, _ = parser.parse_known_args(argv)
    s3 = boto3.client("s3")
    folder = arguments.request_uri.rpartition("/")[0]
    verdict = _verdict(s3, arguments.request_uri, folder, arguments.JOB_RUN_ID)
    objects.write(s3, _verdict_uri(folder, arguments.JOB_RUN_ID), verdict.dump())
    if verdict.status != SUCCESS:
        print(verdict.message, file=sys.stderr)
        sys.exit(verdict.message.splitlines()[0])


def _verdict(s3: Any, request_uri: str, folder: str, run_id: str) -> DbtVerdict:
    """Read the request, run dbt and return the verdict."""
    import boto3

    found = objects.read(s3, request_uri)
    if found is None:
        return DbtVerdict(PERMANENT, f"There is no request at {request_uri}: the job is started by DbtAthenaOperator")
    try:
        request = DbtRequest.load(found[0], request_uri, OTHER_VERSION)
    except VersionError as error:
        return DbtVerdict(PERMANENT, str(error))
    announced = False

    def on_event(event: DbtEvent) -> None:
        nonlocal announced
        if not announced and event.invocation_id:
            announced = True
            running = {"invocation_id": event.invocation_id, "work_group": request.work_group}
            objects.write(s3, _running_uri(folder, run_id), documents.dump(running))
        if event.level > logging.DEBUG:
            log(event.level, event.message)

    def log(level: int, message: str) -> None:
        print(f"{logging.getLevelName(level):<7} {message}", flush=True)

    # dbt was installed for this very Python, and nowhere on PATH.
    variables = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    if request.region:
        variables |= {"AWS_REGION": request.region, "AWS_DEFAULT_REGION": request.region}
    making = threading.Lock()

    def client(service: str) -> Any:
        with making:  # a session is not for several threads at once
            return boto3.client(service, region_name=request.region or None)

    aws = Aws(client, variables)
    run = DbtRun(request, executable=[sys.executable, "-m", "dbt.cli.main"], aws=aws, on_event=on_event, log=log)
    signal.signal(signal.SIGTERM, lambda *_: run.stop())
    return run()


def read_verdict(s3: Any, folder: str, run_id: str) -> DbtVerdict | None:
    """Return the verdict of a job run; None where it left none.

    :raises VersionError: the job's script is of another version
    """
    uri = _verdict_uri(folder, run_id)
    found = objects.read(s3, uri)
    return DbtVerdict.load(found[0], uri, OTHER_VERSION) if found else None


def stop_queries(s3: Any, athena: Any, folder: str, run_id: str, within: float) -> list[str]:
    """Stop the Athena queries of a job run that was stopped; return their ids.

    :param within: seconds after which no further call is made
    :raises VersionError: the job's script is of another version
    """
    uri = _running_uri(folder, run_id)
    found = objects.read(s3, uri)
    if found is None:
        return []
    running = documents.load(found[0], uri, OTHER_VERSION)
    return queries.stop_running(athena, **running, within=within)


def _verdict_uri(folder: str, run_id: str) -> str:
    return f"{folder}/{run_id}.json"


def _running_uri(folder: str, run_id: str) -> str:
    return f"{folder}/{run_id}.running.json"
