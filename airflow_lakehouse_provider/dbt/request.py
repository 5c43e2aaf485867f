"""The request of a dbt run, as the operator hands it to a worker's process or to a Glue job."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from airflow_lakehouse_provider.dbt import documents


@dataclass(frozen=True)
class DbtRequest:
    """A dbt command to run and where, in plain JSON types and without a secret.

    :param arguments: the arguments of :meth:`DbtArguments.parse`
    :param project: a directory, a zip, or either in S3
    :param profiles: the content of profiles.yml; None for ``profiles_dir``
    :param profile: the name of the profile in it; None for the project's own
    :param region: of Athena
    :param work_group: of Athena, where it is known
    :param environment: further variables of dbt's environment
    :param allow_empty: whether a selection that matches nothing is a success
    :param task_uri: ``s3://...`` under which the artifacts of the task instance's tries are kept; None keeps none
    :param run_key: of the task instance; a retry with the same key may continue the last try
    :param resume: whether it does
    :param gate: of a gated build or test: the mapping of :class:`GateRequest`
    """

    arguments: dict[str, Any]
    project: str
    profiles: dict[str, Any] | None = None
    profiles_dir: str | None = None
    profile: str | None = None
    region: str = ""
    work_group: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    allow_empty: bool = False
    task_uri: str | None = None
    run_key: str | None = None
    resume: bool = False
    gate: dict[str, Any] | None = None

    def dump(self) -> bytes:
        """Return the request as a JSON document with its version."""
        return documents.dump(asdict(self))

    @classmethod
    def load(cls, document: bytes, uri: str, remedy: str) -> DbtRequest:
        """Read a request; parameters and errors are those of :func:`documents.load`."""
        return cls(**documents.load(document, uri, remedy))
