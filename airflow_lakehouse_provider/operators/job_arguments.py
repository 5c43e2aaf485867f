"""The arguments of a month's job run, checked before anything is started."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from airflow_lakehouse_provider.aws.run_key import ARGUMENT
from airflow_lakehouse_provider.month import Month

Choice = TypeVar("Choice", bound=str)

# The address at which the script is to leave its report, a JSON object
REPORT_URI = "--report_uri"

# Members of StartJobRun that the operator has an argument for, or that would repeat an earlier run
_NOT_OPTIONS = {
    "JobName": "job_name",
    "Arguments": "script_args",
    "JobRunId": "the retry of an earlier run, which only Glue itself makes",
}
_NAME = re.compile(r"--[A-Za-z_][\w.-]*")


def run_arguments(
    month: Month, month_arguments: Sequence[str], script_args: Mapping[str, str] | None
) -> tuple[dict[str, str], tuple[str, str]]:
    """Return the Arguments of StartJobRun, the month's two and the script's others; and the names of the month's two.

    :raises ValueError: naming the argument, its value and what is allowed
    """
    names = _month_names(month_arguments)
    given = script_args if script_args is not None else {}
    if not isinstance(given, Mapping):
        raise ValueError(f"script_args must be a mapping such as {{'--service': 'yellow'}}, not {given!r}")
    for name, value in given.items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"script_args: a name must begin with two hyphens, such as --service, not {name!r}")
        if name in names:
            raise ValueError(f"script_args: {name} is the month's (month_arguments); give year and month instead")
        if name == ARGUMENT:
            raise ValueError(f"script_args: {name} is this operator's own; leave it out")
        if not isinstance(value, str):
            raise ValueError(f"script_args: {name} must be text, as Glue's arguments are, not {value!r}")
    report = given.get(REPORT_URI)
    if report is not None and not re.fullmatch(r"s3://[^/]+/.+", report):
        raise ValueError(f"script_args: {REPORT_URI} must be an address such as s3://bucket/key, not {report!r}")
    return {names[0]: month.year_text, names[1]: month.month_text, **given}, names


def checked_unit(unit_args: Sequence[str], arguments: Mapping[str, str], month: tuple[str, str]) -> tuple[str, ...]:
    """Return the names of the arguments that belong to the unit of work beside the month's.

    :raises ValueError: one of them is not among script_args
    """
    if isinstance(unit_args, str) or not isinstance(unit_args, Sequence):
        raise ValueError(
            f"unit_args must be a list of names among script_args, such as ['--service'], not {unit_args!r}"
        )
    for name in unit_args:
        if name not in arguments or name in month:
            others = ", ".join(sorted(arguments.keys() - set(month))) or "none"
            raise ValueError(f"unit_args: {name!r} is no name among script_args, which are: {others}")
    return tuple(dict.fromkeys(unit_args))


def checked_choice(name: str, value: Any, allowed: Sequence[Choice]) -> Choice:
    """Return a value if it is one of those allowed.

    :raises ValueError: naming the argument
    """
    for choice in allowed:
        if value == choice:
            return choice
    raise ValueError(f"{name} must be one of {', '.join(allowed)}, not {value!r}")


def checked_options(run_job_kwargs: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return further members of StartJobRun.

    :raises ValueError: one of them is not allowed here
    """
    given = run_job_kwargs if run_job_kwargs is not None else {}
    if not isinstance(given, Mapping):
        raise ValueError(f"run_job_kwargs must be a mapping such as {{'WorkerType': 'G.1X'}}, not {given!r}")
    for name, instead in _NOT_OPTIONS.items():
        if name in given:
            raise ValueError(f"run_job_kwargs must not hold {name}; it is for {instead}")
    return dict(given)


def checked_seconds(name: str, value: float | str, *, least: float = 0.01) -> float:
    """Return a number that is given as such or as text.

    :param least: the smallest value allowed

    :raises ValueError: naming the argument
    """
    try:
        number = float(value) if not isinstance(value, bool) else float("nan")
    except (TypeError, ValueError):
        number = float("nan")
    if not least <= number < float("inf"):
        raise ValueError(f"{name} must be a number, {'not negative' if least == 0 else 'above 0'}, not {value!r}")
    return number


def _month_names(month_arguments: Sequence[str]) -> tuple[str, str]:
    names = tuple(month_arguments) if isinstance(month_arguments, (list, tuple)) else ()
    good = [name for name in names if isinstance(name, str) and _NAME.fullmatch(name)]
    if len(names) != 2 or len(good) != 2 or good[0] == good[1]:
        raise ValueError(
            f"month_arguments must be two different names such as ('--YEAR', '--MONTH'), not {month_arguments!r}"
        )
    return good[0], good[1]
