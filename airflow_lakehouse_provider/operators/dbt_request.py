"""What a dbt task asks for, of its operator's arguments and of Airflow's context, checked and without a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_lakehouse_provider.dbt.commands import ArgumentError, Arguments
from airflow_lakehouse_provider.dbt.profile import DEFAULT_THREADS, PROFILE, AthenaProfile, AwsAccess, ProfileError
from airflow_lakehouse_provider.dbt.run import PROFILES_FILE, Request
from airflow_lakehouse_provider.operators.task_key import is_first_try, run_key

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context

DEFAULT_DATABASE = "awsdatacatalog"
ASKED = ("command", "select", "exclude", "selector", "vars", "full_refresh", "threads", "target", "flags")


def request(operator: Any, context: Context, access: AwsAccess) -> Request:
    """The request of an operator whose templates are rendered.

    :raises ArgumentError, ProfileError: naming the argument, its value and what is allowed
    """
    asked = {name: getattr(operator, name) for name in ASKED}
    arguments = Arguments.of(**asked)
    resume, allow_empty = _flag("resume", operator.resume), _flag("allow_empty", operator.allow_empty)
    task = "ti" in context
    where: dict[str, Any]
    if operator.profiles_dir:
        where = {"profiles_dir": str(_profiles_dir(operator.profiles_dir))}
    else:
        where = {"profiles": _profile(operator, access, arguments).content(arguments.target), "profile": PROFILE}
    return Request(
        asked={**asked, "vars": dict(arguments.vars), "flags": list(arguments.flags)},
        project=_project(operator.project),
        **where,
        region=access.region or "",
        work_group=operator.work_group or None,
        environment=_texts(operator.env),
        allow_empty=allow_empty,
        home=home(operator, context),
        generation=str(run_key(context)) if task else None,
        resume=resume and task and not is_first_try(context),
    )


def home(operator: Any, context: Context) -> str | None:
    """Where the artifacts of the task's run are kept; None where no place is known."""
    given, staging = operator.artifacts_uri, operator.s3_staging_dir
    for name, value in (("artifacts_uri", given), ("s3_staging_dir", staging)):
        if value and not str(value).startswith("s3://"):
            raise ProfileError(f"{name} must be s3://bucket/prefix, not {value!r}")
    if "ti" not in context:  # run by hand: kept where it is said, and there alone
        return str(given).rstrip("/") if given else None
    base = str(given).rstrip("/") if given else beside(str(staging)) if staging else None
    if base is None:
        return None
    ti = context["ti"]
    parts = [ti.dag_id, ti.task_id, ti.run_id]
    if (index := getattr(ti, "map_index", None)) is not None and index >= 0:
        parts.append(str(index))
    # ':' and '+' of a run's id are best not in a key. Two ids that become one have generations of their own.
    return "/".join([base, *(re.sub(r"[^A-Za-z0-9_.=-]", "-", part) for part in parts)])


def beside(staging: str) -> str:
    """Beside the staging directory: inside, a rule that expires what queries answer would take it too."""
    bucket, _, prefix = staging.removeprefix("s3://").strip("/").partition("/")
    return f"s3://{bucket}/{prefix.rstrip('/')}-artifacts" if prefix else f"s3://{bucket}/dbt-artifacts"


def _profile(operator: Any, access: AwsAccess, arguments: Arguments) -> AthenaProfile:
    more = operator.profile_args or {}
    if not isinstance(more, Mapping):
        raise ProfileError(f"profile_args must be a mapping of dbt-athena's settings, not {type(more).__name__}")
    return AthenaProfile(
        schema=operator.schema or "",
        region=access.region or "",
        s3_staging_dir=operator.s3_staging_dir or None,
        s3_data_dir=operator.s3_data_dir or None,
        work_group=operator.work_group or None,
        database=operator.database or DEFAULT_DATABASE,
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


def _flag(name: str, value: Any) -> bool:
    found = {"true": True, "false": False}.get(str(value).strip().lower())
    if found is None:
        raise ArgumentError(f"{name} must be true or false, not {value!r}")
    return found
