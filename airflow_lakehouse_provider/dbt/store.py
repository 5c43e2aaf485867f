"""The artifacts of a task's tries, kept in S3 so that the next try finds them even on another worker.

``<task_uri>/<invocation id>/run_results.json ...``, and beside those folders ``last.json``, which is written last and
names the latest folder and what it was run from.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.dbt import documents
from airflow_lakehouse_provider.dbt.artifacts import ArtifactError
from airflow_lakehouse_provider.s3_uri import split_s3_uri

LAST = "last.json"
RESULTS = "run_results.json"
ARTIFACTS = (RESULTS, "sources.json", "manifest.json", "catalog.json", "index.html")
_CONTENT_TYPES = {".json": "application/json", ".html": "text/html"}
_OTHER_VERSION = "another version of the provider kept it"


@dataclass(frozen=True)
class LastTry:
    """The part of a try that the next one needs.

    :param run_key: of the task instance: automatic retries keep it
    :param fingerprint: of project, variables, selection and where dbt built
    :param folder: the address of its artifacts
    :param resumable: whether dbt ended by itself, with a result for every node
    :param queries: the Athena query of each node
    """

    run_key: str | None
    fingerprint: str
    folder: str
    resumable: bool
    queries: dict[str, str] = field(default_factory=dict)


class Store:
    """The artifacts of one task instance.

    :param s3: a client of S3
    :param task_uri: ``s3://bucket/prefix`` of the task instance
    """

    def __init__(self, s3: Any, task_uri: str) -> None:
        self._s3 = s3
        self._task_uri = task_uri.rstrip("/")

    def save(self, target: Path, name: str) -> tuple[str, dict[str, str]]:
        """Put an invocation's artifacts into S3; return their folder, and the address of each by its name.

        :param name: of the folder
        """
        folder = f"{self._task_uri}/{name}"
        found = [file for file in (target / artifact for artifact in ARTIFACTS) if file.is_file()]
        with ThreadPoolExecutor(max_workers=4) as pool:
            list(pool.map(lambda file: self._put(f"{folder}/{file.name}", file.read_bytes()), found))
        return folder, {file.name: f"{folder}/{file.name}" for file in found}

    def remember(self, last: LastTry) -> None:
        """Make a try the one that the next may continue."""
        self._put(f"{self._task_uri}/{LAST}", documents.dump(asdict(last)))

    def last(self) -> LastTry | None:
        """Return the latest try that was remembered; None where there is none.

        :raises ArtifactError: it cannot be read
        :raises VersionError: another version of the provider wrote it
        """
        uri = f"{self._task_uri}/{LAST}"
        content = _get(self._s3, uri)
        try:
            return LastTry(**documents.load(content, uri, _OTHER_VERSION)) if content is not None else None
        except (ValueError, TypeError) as error:
            raise ArtifactError(f"{uri} cannot be read: {error}") from error

    def fetch(self, folder: str, to: Path) -> bool:
        """Copy an invocation's artifacts; return False where there are none."""
        return fetch(self._s3, folder, to)

    def _put(self, uri: str, content: bytes) -> None:
        bucket, key = split_s3_uri(uri)
        content_type = _CONTENT_TYPES.get(Path(key).suffix, "application/octet-stream")
        self._s3.put_object(Bucket=bucket, Key=key, Body=content, ContentType=content_type)


def fetch(s3: Any, folder: str, to: Path) -> bool:
    """Copy the artifacts of a folder in S3 into a new directory; return False where there are none."""
    to.mkdir(parents=True)
    for name in (RESULTS, "manifest.json", "sources.json"):
        content = _get(s3, f"{folder.rstrip('/')}/{name}")
        if content is not None:
            (to / name).write_bytes(content)
    return any(to.iterdir())


def _get(s3: Any, uri: str) -> bytes | None:
    bucket, key = split_s3_uri(uri)
    try:
        content: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except Exception as error:
        code = ((getattr(error, "response", None) or {}).get("Error") or {}).get("Code")
        # Without s3:ListBucket, S3 answers that a missing object is forbidden.
        if code in ("NoSuchKey", "404", "403", "AccessDenied"):
            return None
        raise
    return content
