"""Links from a dbt task to the Athena query of the first failure, the artifacts, and the dbt docs."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow_lakehouse_provider.aws.console import domain, home
from airflow_lakehouse_provider.dbt.verdict import DbtVerdict
from airflow_lakehouse_provider.links.console import ConsoleLink
from airflow_lakehouse_provider.s3_uri import split_s3_uri


class AthenaQueryLink(ConsoleLink):
    """Link to the Athena query of the first failure."""

    name = "Athena query of the first failure"
    key = "athena_query"


class DbtArtifactsLink(ConsoleLink):
    """Link to the folder of dbt's artifacts in S3."""

    name = "dbt artifacts"
    key = "dbt_artifacts"


class DbtDocsLink(ConsoleLink):
    """Link to the documentation that `dbt docs generate` made."""

    name = "dbt docs"
    key = "dbt_docs"


def addresses(verdict: DbtVerdict, region: str, partition: str) -> dict[str, str]:
    """Return the addresses of a dbt task's links, by their keys."""
    found: dict[str, str] = {}
    if verdict.query_id:
        found[AthenaQueryLink.key] = query(region, partition, verdict.query_id)
    if folder := verdict.result.get("artifacts_uri"):
        found[DbtArtifactsLink.key] = s3_folder(region, partition, str(folder))
    if docs := verdict.artifacts.get("index.html"):
        found[DbtDocsLink.key] = s3_object(region, partition, docs)
    return found


def query(region: str, partition: str, query_id: str) -> str:
    """Return the console's address of an Athena query."""
    return f"{home('athena', region, partition)}#/query-editor/history/{quote(query_id, safe='')}"


def s3_folder(region: str, partition: str, uri: str) -> str:
    """Return the console's address of a folder in S3."""
    bucket, key = split_s3_uri(uri)
    return f"{_s3(region, partition)}/buckets/{bucket}?region={region}&prefix={quote(key.rstrip('/'), safe='')}/"


def s3_object(region: str, partition: str, uri: str) -> str:
    """Return the console's address of an object in S3."""
    bucket, key = split_s3_uri(uri)
    return f"{_s3(region, partition)}/object/{bucket}?region={region}&prefix={quote(key, safe='')}"


def _s3(region: str, partition: str) -> str:
    return f"https://{region}.{domain(partition)}/s3"


LINKS: tuple[Any, ...] = (AthenaQueryLink(), DbtArtifactsLink(), DbtDocsLink())
