"""The gate's arguments of a dbt task, checked: audit, fence, partitions, direct."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_lakehouse_provider.dbt.access import CREDENTIAL_VARIABLES, OTHER_CREDENTIALS
from airflow_lakehouse_provider.dbt.commands import DbtArguments
from airflow_lakehouse_provider.dbt.gate.fence import PROFILE_CREDENTIALS
from airflow_lakehouse_provider.dbt.gate.request import BUILDS, REFUSED_FLAGS, TESTS, GateRequest
from airflow_lakehouse_provider.operators.task_key import run_name
from airflow_lakehouse_provider.publishing.names import PublishingError, check_unit
from airflow_lakehouse_provider.values import ArgumentError, parse_flag

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context
    from airflow_lakehouse_provider.operators.dbt_request import DbtSettings

_ROLE = re.compile(r"arn:(aws[a-z-]*):iam::\d{12}:role/\S+")
# Texts that a template without a value becomes.
_NOTHING = ("", "None", "none", "null")


def gate_request(
    settings: DbtSettings, arguments: DbtArguments, context: Context, partition: str
) -> dict[str, Any] | None:
    """Return the gate's part of a request; None where the task has no audit.

    :raises ArgumentError: naming the argument, its value and what is allowed
    """
    audit, command = settings.audit, arguments.command
    if audit is None:
        for name in ("partitions", "direct", "empty", "accept", "skip_unchanged_days"):
            if getattr(settings, name):
                raise ArgumentError(f"{name} goes with audit, and audit is not given")
        return None
    if not isinstance(audit, str) or audit.strip() in _NOTHING:
        raise ArgumentError(
            f"audit is {audit!r}: its template gave nothing. With a build it is the unit, such as '{{{{ month() }}}}'; "
            "with test the XCom 'attempt' of the task that built"
        )
    audit = audit.strip()
    if command not in (*BUILDS, TESTS):
        raise ArgumentError(f"audit goes with {', '.join(BUILDS)} and {TESTS}; command is {command!r}")
    tests = command == TESTS
    if settings.profiles_dir:
        raise ArgumentError("audit needs a profile of the arguments; profiles_dir is a profile of yours")
    if not settings.s3_data_dir:
        raise ArgumentError(
            "audit needs s3_data_dir, s3://bucket/prefix: attempts and publications lie beside the tables"
        )
    if not settings.schema:
        raise ArgumentError("audit needs schema, production's Glue database")
    if tests and not audit.startswith("s3://"):
        raise ArgumentError(
            f"audit is {audit!r}; with test it is the address of an attempt, the XCom 'attempt' of the task that built"
        )
    if not tests:
        try:
            check_unit(audit)
        except PublishingError as error:
            raise ArgumentError(f"audit: {error}") from error
    _check_flags(arguments)
    role, compare = _fence(settings.fence, partition, needed=not tests)
    _check_credentials(settings, role)
    if tests and (settings.partitions or settings.direct):
        raise ArgumentError("partitions and direct go with a build; command is 'test'")
    direct = _direct(settings.direct)
    if direct and arguments.selector:
        raise ArgumentError("direct goes with select and exclude: dbt ignores exclude beside a selector")
    return GateRequest(
        schema=str(settings.schema).lower(),
        data=str(settings.s3_data_dir).rstrip("/"),
        unit=None if tests else audit,
        attempt=audit if tests else None,
        staging=settings.s3_staging_dir or None,
        fence=role,
        compare=compare,
        scope=_scope(settings.partitions),
        direct=direct,
        empty=_empty(settings, tests),
        unchanged_days=_days(settings.skip_unchanged_days, tests),
        run=run_name(context),
        session=_session(context),
        partition=partition,
    ).as_mapping()


def _check_flags(arguments: DbtArguments) -> None:
    for flag in arguments.flags:
        name = flag.partition("=")[0]
        if name in REFUSED_FLAGS:
            raise ArgumentError(f"flags holds {name}, which does not go with audit: {REFUSED_FLAGS[name]}")
    if arguments.full_refresh:
        raise ArgumentError(
            "full_refresh does not go with audit: it would build every partition anew. Run it by hand, without audit"
        )


def _fence(fence: Any, partition: str, *, needed: bool) -> tuple[str | None, bool]:
    """Return the role, and whether production is compared instead."""
    if isinstance(fence, str) and fence.strip() in ("False", "false"):
        fence = False
    if fence is False:
        return None, needed
    if fence is None or (isinstance(fence, str) and fence.strip() in _NOTHING):
        if not needed and fence is None:
            return None, False
        raise ArgumentError(
            f"fence is {fence!r}; a build under audit needs it. The partitions of an audit schema are pointers at the "
            "files of production: with the ARN of an IAM role dbt gets a session of it that can write nowhere else; "
            "with fence=False production's files are only compared before and after, and what a hook or macro has "
            "deleted is not brought back"
        )
    found = _ROLE.fullmatch(fence) if isinstance(fence, str) else None
    if found is None:
        raise ArgumentError(
            f"fence is {fence!r}; it must be the ARN of an IAM role, arn:{partition}:iam::…:role/…, or False"
        )
    return found[0], False


def _check_credentials(settings: DbtSettings, role: str | None) -> None:
    more = settings.profile_args or {}
    if role and (found := sorted(set(PROFILE_CREDENTIALS) & set(more))):
        raise ArgumentError(f"profile_args holds {found[0]}, and with a fence dbt's credentials are those of {role}")
    if role and (found := sorted({*CREDENTIAL_VARIABLES, *OTHER_CREDENTIALS} & set(settings.env or {}))):
        raise ArgumentError(f"env holds {found[0]}, and with a fence dbt's credentials are those of {role}")
    if more.get("lf_tags_database"):
        raise ArgumentError("profile_args holds lf_tags_database, which would tag audit schemas: set tags outside dbt")


def _direct(direct: Any) -> tuple[str, ...]:
    items: Sequence[Any] = [direct] if isinstance(direct, str) else direct or ()
    if not isinstance(items, (list, tuple)) or not all(isinstance(item, str) for item in items):
        raise ArgumentError(f"direct must be text or a list of texts, dbt's selectors, not {direct!r}")
    words = tuple(word for item in items for word in item.split())
    if any(word.startswith("-") for word in words):
        raise ArgumentError(f"direct holds {direct!r}: a selector does not begin with '-'")
    return words


def _empty(settings: DbtSettings, tests: bool) -> bool:
    empty = parse_flag("empty", settings.empty)
    if empty and tests:
        raise ArgumentError("empty goes with a build; command is 'test'")
    if empty and not settings.partitions:
        raise ArgumentError(
            "empty is True, and partitions is not given: name the partitions that the unit owns, so that they can be "
            'removed, such as partitions="year = 2024 and month = 5"'
        )
    return empty


def _days(value: Any, tests: bool) -> float | None:
    if value is None or value == "":
        return None
    if tests:
        raise ArgumentError("skip_unchanged_days goes with a build; command is 'test'")
    try:
        days = float(value)
    except (TypeError, ValueError):
        days = 0.0
    if isinstance(value, bool) or not 0 < days < 10_000:
        raise ArgumentError(f"skip_unchanged_days must be a number of days above 0, not {value!r}")
    return days


def _scope(partitions: Any) -> str | None:
    if partitions is None:
        return None
    if not isinstance(partitions, str) or partitions.strip() in _NOTHING:
        raise ArgumentError(
            f"partitions is {partitions!r}; it must be an expression of Glue's GetPartitions on the partition keys, "
            "such as year = 2024 and month = 5"
        )
    return partitions.strip()


def _session(context: Context) -> str:
    """Return the name of the role's session: the DAG run, as CloudTrail shows it."""
    name = run_name(context) or "dbt"
    return re.sub(r"[^\w+=,.@-]", "-", name, flags=re.ASCII)[:64]
