"""The request of a dbt task, from its operator's arguments and Airflow's context, checked and without a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_lakehouse_provider.dbt.access import AwsAccess
from airflow_lakehouse_provider.dbt.commands import DbtArguments
from airflow_lakehouse_provider.dbt.profile import DEFAULT_THREADS, PROFILE, AthenaProfile, ProfileError
from airflow_lakehouse_provider.dbt.request import DbtRequest
from airflow_lakehouse_provider.dbt.stage import PROFILES_FILE
from airflow_lakehouse_provider.operators.dbt_gate import gate_request
from airflow_lakehouse_provider.operators.task_key import is_first_try, run_key
from airflow_lakehouse_provider.s3_uri import split_s3_uri
from airflow_lakehouse_provider.values import ArgumentError, parse_flag

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context

DEFAULT_DATABASE = "awsdatacatalog"
# The arguments that become dbt's own.
_DBT_ARGUMENTS = ("command", "select", "exclude", "selector", "vars", "full_refresh", "threads", "target", "flags")


@dataclass(frozen=True)
class DbtSettings:
    """The arguments of a DbtAthenaOperator that a request is made of, their templates rendered and not yet checked."""

    command: str
    project: str
    select: str | Sequence[str] | None = None
    exclude: str | Sequence[str] | None = None
    selector: str | None = None
    vars: Mapping[str, Any] | str | None = None
    full_refresh: bool | str = False
    threads: int | str | None = None
    target: str | None = None
    database: str | None = None
    schema: str | None = None
    s3_staging_dir: str | None = None
    s3_data_dir: str | None = None
    work_group: str | None = None
    profile_args: Mapping[str, Any] | None = None
    profiles_dir: str | None = None
    flags: Sequence[str] | None = None
    env: Mapping[str, str] | None = None
    resume: bool | str = True
    allow_empty: bool | str = False
    artifacts_uri: str | None = None
    audit: str | None = None
    fence: str | bool | None = None
    partitions: str | None = None
    direct: str | Sequence[str] | None = None
    empty: bool | str = False
    accept: str | Sequence[str] | None = None
    skip_unchanged_days: float | str | None = None


def make_request(settings: DbtSettings, context: Context, access: AwsAccess) -> DbtRequest:
    """Return the request of a task.

    :raises ArgumentError, ProfileError: naming the argument, its value and what is allowed
    """
    values = {name: getattr(settings, name) for name in _DBT_ARGUMENTS}
    arguments = DbtArguments.parse(**values)
    resume, allow_empty = parse_flag("resume", settings.resume), parse_flag("allow_empty", settings.allow_empty)
    in_dag_run = "ti" in context
    profile: dict[str, Any]
    if settings.profiles_dir:
        profile = {"profiles_dir": str(_profiles_dir(settings.profiles_dir))}
    else:
        profile = {"profiles": _profile(settings, access, arguments).content(arguments.target), "profile": PROFILE}
    gate = gate_request(settings, arguments, context, access.partition)
    return DbtRequest(
        arguments={**values, "vars": dict(arguments.vars), "flags": list(arguments.flags)},
        project=_project(settings.project),
        **profile,
        region=access.region or "",
        work_group=settings.work_group or None,
        environment=_texts(settings.env),
        allow_empty=allow_empty,
        task_uri=task_uri(settings, context),
        run_key=str(run_key(context)) if in_dag_run else None,
        # Under the gate a retry is a new attempt: dbt twice in one audit schema doubles rows.
        resume=resume and in_dag_run and not is_first_try(context) and gate is None,
        gate=gate,
    )


def task_uri(settings: DbtSettings, context: Context) -> str | None:
    """Return the address under which the artifacts of the task instance's tries are kept; None keeps none.

    :raises ProfileError: artifacts_uri or s3_staging_dir is no address in S3
    """
    artifacts, staging = settings.artifacts_uri, settings.s3_staging_dir
    for name, value in (("artifacts_uri", artifacts), ("s3_staging_dir", staging)):
        if value and not str(value).startswith("s3://"):
            raise ProfileError(f"{name} must be s3://bucket/prefix, not {value!r}")
    if "ti" not in context:  # run by hand: kept in artifacts_uri alone
        return str(artifacts).rstrip("/") if artifacts else None
    base = str(artifacts).rstrip("/") if artifacts else beside(str(staging)) if staging else None
    if base is None:
        return None
    ti = context["ti"]
    parts = [ti.dag_id, ti.task_id, ti.run_id]
    if (index := getattr(ti, "map_index", None)) is not None and index >= 0:
        parts.append(str(index))
    # ':' and '+' of a run's id are best not in a key. Two ids that become one have run keys of their own.
    return "/".join([base, *(re.sub(r"[^A-Za-z0-9_.=-]", "-", part) for part in parts)])


def beside(staging: str) -> str:
    """Return an address beside the staging directory: a lifecycle rule that expires query results must not cover it."""
    bucket, key = split_s3_uri(staging)
    prefix = key.strip("/")
    return f"s3://{bucket}/{prefix}-artifacts" if prefix else f"s3://{bucket}/dbt-artifacts"


def _profile(settings: DbtSettings, access: AwsAccess, arguments: DbtArguments) -> AthenaProfile:
    more = settings.profile_args or {}
    if not isinstance(more, Mapping):
        raise ProfileError(f"profile_args must be a mapping of dbt-athena's settings, not {type(more).__name__}")
    return AthenaProfile(
        schema=settings.schema or "",
        region=access.region or "",
        s3_staging_dir=settings.s3_staging_dir or None,
        s3_data_dir=settings.s3_data_dir or None,
        work_group=settings.work_group or None,
        database=settings.database or DEFAULT_DATABASE,
        threads=arguments.threads or DEFAULT_THREADS,
        more=more,
    )


def _project(project: Any) -> str:
    if not isinstance(project, (str, Path)) or not str(project).strip():
        raise ArgumentError(
            f"project must be a directory, a .zip, s3://bucket/prefix or s3://bucket/key.zip, not {project!r}"
        )
    return str(project)


def _profiles_dir(directory: Any) -> Path:
    path = Path(str(directory)).expanduser().absolute()
    if not (path / PROFILES_FILE).is_file():
        raise ProfileError(f"profiles_dir {str(directory)!r} holds no {PROFILES_FILE} on this worker")
    return path


def _texts(env: Mapping[str, str] | None) -> dict[str, str]:
    if env is not None and not isinstance(env, Mapping):
        raise ArgumentError(f"env must be a mapping of variables to texts, not {type(env).__name__}")
    return {str(name): str(value) for name, value in (env or {}).items() if value is not None}
