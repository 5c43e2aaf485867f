"""Where the artifacts of a task's tries are kept in S3, so that the next try finds them even on another worker.

``<artifacts of the task's run>/<invocation id>/run_results.json ...``, and ``last.json`` beside those folders, which is
written last: it says which folder is the latest, and of what it is.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.dbt.artifacts import ArtifactError

LAST = "last.json"
RESULTS = "run_results.json"
ARTIFACTS = (RESULTS, "sources.json", "manifest.json", "catalog.json", "index.html")
_TYPES = {".json": "application/json", ".html": "text/html"}


@dataclass(frozen=True)
class LastTry:
    """What the next try needs to know of this one.

    :param generation: the task's run key: automatic retries keep it
    :param fingerprint: of project, variables, selection and where dbt built
    :param folder: of its artifacts
    :param resumable: whether dbt ended by itself, with a result for every node
    :param queries: the Athena query of each node
    """

    generation: str | None
    fingerprint: str
    folder: str
    resumable: bool
    queries: dict[str, str] = field(default_factory=dict)


class Store:
    """The artifacts of one task of a DAG run.

    :param s3: a client of S3
    :param home: ``s3://bucket/prefix`` of the task's run
    """

    def __init__(self, s3: Any, home: str) -> None:
        self._s3 = s3
        self._home = home.rstrip("/")

    def save(self, target: Path, name: str) -> tuple[str, dict[str, str]]:
        """Put an invocation's artifacts there: their folder, and the address of each."""
        folder = f"{self._home}/{name}"
        found = [file for file in (target / artifact for artifact in ARTIFACTS) if file.is_file()]
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda file: self._put(f"{folder}/{file.name}", file.read_bytes()), found))
        return folder, {file.name: f"{folder}/{file.name}" for file in found}

    def remember(self, last: LastTry) -> None:
        self._put(f"{self._home}/{LAST}", json.dumps(asdict(last)).encode())

    def last(self) -> LastTry | None:
        """The latest try that remembered itself; None where there is none."""
        content = self._get(f"{self._home}/{LAST}")
        try:
            return LastTry(**json.loads(content)) if content is not None else None
        except (ValueError, TypeError) as error:
            raise ArtifactError(f"{self._home}/{LAST} cannot be read: {error}") from error

    def fetch(self, folder: str, to: Path) -> bool:
        """Copy an invocation's artifacts; False where its results are not there."""
        return fetch(self._s3, folder, to)

    def _put(self, uri: str, content: bytes) -> None:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        kind = _TYPES.get(Path(key).suffix, "application/octet-stream")
        self._s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=kind)

    def _get(self, uri: str) -> bytes | None:
        return _get(self._s3, uri)


def fetch(s3: Any, folder: str, to: Path) -> bool:
    """Copy the artifacts of a folder in S3 into a new directory; False where there are no results."""
    to.mkdir(parents=True)
    for name in (RESULTS, "manifest.json", "sources.json"):
        content = _get(s3, f"{folder.rstrip('/')}/{name}")
        if content is not None:
            (to / name).write_bytes(content)
    return any(to.iterdir())


def _get(s3: Any, uri: str) -> bytes | None:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except Exception as error:
        code = ((getattr(error, "response", None) or {}).get("Error") or {}).get("Code")
        # Without s3:ListBucket, what is not there is told as forbidden.
        if code in ("NoSuchKey", "404", "403", "AccessDenied"):
            return None
        raise
    return content
