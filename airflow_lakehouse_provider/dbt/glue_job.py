"""dbt in a Glue job: the request is read from S3, and the verdict left beside it for the operator.

Runs in Glue, without Airflow: ``glue_scripts/run_dbt.py`` calls :func:`main`, and this package's own modules travel as
``--extra-py-files`` (:func:`library`), dbt itself as ``--additional-python-modules``.

``<folder>/request-N.json`` is what is asked for; ``<folder>/<job run>.running.json`` says which invocation of dbt it
is, for whoever has to stop its queries; ``<folder>/<job run>.json`` is the verdict.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.dbt import queries
from airflow_lakehouse_provider.dbt.events import Event
from airflow_lakehouse_provider.dbt.run import Aws, Request, Run
from airflow_lakehouse_provider.dbt.verdict import SUCCESS, Verdict
from airflow_lakehouse_provider.starter import zipped

PYTHON_SHELL = (
    "A Python shell job runs Python 3.9, which is too old for dbt-core 1.11: make it a Spark job (glueetl) of Glue "
    "5.1, G.1X with 2 workers."
)
REQUEST_ARGUMENT, TASK_ARGUMENT = "--request_uri", "--task_uri"


def main(argv: Sequence[str]) -> None:
    """Run what a request asks for; ends the job as failed unless dbt succeeded."""
    import boto3

    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument(REQUEST_ARGUMENT, required=True, help="s3:// address of the operator's request")
    parser.add_argument("--JOB_RUN_ID", required=True, help="given by Glue")
    given, _ = parser.parse_known_args(argv)
    s3 = boto3.client("s3")
    request = Request(**json.loads(read(s3, given.request_uri) or b"{}"))
    place = f"{given.request_uri.rpartition('/')[0]}/{given.JOB_RUN_ID}"
    told = False

    def heard(event: Event) -> None:
        nonlocal told
        if not told and event.invocation_id:
            told = True
            running = {"invocation_id": event.invocation_id, "work_group": request.work_group}
            write(s3, f"{place}.running.json", running)
        if event.level > logging.DEBUG:
            print(f"{logging.getLevelName(event.level):<7} {event.message}", flush=True)

    def say(level: int, message: str) -> None:
        print(f"{logging.getLevelName(level):<7} {message}", flush=True)

    # dbt was installed for this very Python, and nowhere on PATH.
    variables = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    if request.region:
        variables |= {"AWS_REGION": request.region, "AWS_DEFAULT_REGION": request.region}
    aws = Aws(lambda service: boto3.client(service, region_name=request.region or None), variables)
    run = Run(request, executable=[sys.executable, "-m", "dbt.cli.main"], aws=aws, heard=heard, say=say)
    signal.signal(signal.SIGTERM, lambda *_: run.stop())
    verdict = run()
    write(s3, f"{place}.json", verdict.as_dict())
    if verdict.kind != SUCCESS:
        print(verdict.message, file=sys.stderr)
        sys.exit(verdict.message.splitlines()[0])


def verdict_of(s3: Any, folder: str, run_id: str) -> Verdict | None:
    """What a job run came to; None where it did not come to say."""
    found = read(s3, f"{folder}/{run_id}.json")
    return Verdict(**json.loads(found)) if found else None


def stop_queries(s3: Any, athena: Any, folder: str, run_id: str, within: float) -> list[str]:
    """Stop the Athena queries of a job run that was stopped: their ids."""
    found = read(s3, f"{folder}/{run_id}.running.json")
    return queries.stop_running(athena, **json.loads(found), within=within) if found else []


def library() -> bytes:
    """The zip for --extra-py-files: this package's dbt part, the same for the same files."""
    home = Path(__file__).parent
    files = (home.parent / "__init__.py", home.parent / "starter.py", *sorted(home.glob("*.py")))
    return zipped({file.relative_to(home.parent.parent).as_posix(): file.read_bytes() for file in files})


def read(s3: Any, uri: str) -> bytes | None:
    """An object's content; None where there is none."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    return content


def write(s3: Any, uri: str, content: Any) -> None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    s3.put_object(Bucket=bucket, Key=key, Body=json.dumps(content).encode(), ContentType="application/json")
