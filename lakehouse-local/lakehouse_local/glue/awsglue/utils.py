"""awsglue.utils: a script's arguments, by AWS's rules.

Every named option is required; names are case-sensitive; any unambiguous prefix of a name is accepted (argparse's
rule: ``--YEAR`` satisfies ``YEAR_FROM``); the last of several values is used; a value that begins with a dash is
refused; names of bookmarks, run ids and encryption are reserved.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

from awsglue.job import Job

_global_args: dict[str, Any] = {}
_TEMPORARY = ("RedshiftTempDir", "TempDir")


class GlueArgumentError(Exception):
    """An argument that is missing or not allowed."""


class GlueArgumentParser(argparse.ArgumentParser):
    """A parser that raises instead of ending the process."""

    def error(self, message: str) -> NoReturn:
        raise GlueArgumentError(message)


def getResolvedOptions(args: Sequence[str], options: Sequence[str]) -> dict[str, Any]:
    """Return the values of the named options, by name without dashes.

    :param args: ``sys.argv``
    :raises GlueArgumentError: an option is missing or has no value
    :raises RuntimeError: an option's name is reserved
    """
    parser = GlueArgumentParser()
    choices = (Job.continuation_options(), Job.job_bookmark_options(), Job.encryption_type_options())
    reserved = [*(each[0] for each in choices), *Job.job_bookmark_range_options(), *Job.id_params()[1:]]
    for option in reserved:
        if option.removeprefix("--") in options:
            raise RuntimeError(f"Using reserved arguments {option}")
    for name, *values in choices:
        parser.add_argument(name, choices=values)
    for option in (*Job.job_bookmark_range_options(), *Job.id_params()[1:], *(f"--{name}" for name in _TEMPORARY)):
        parser.add_argument(option)
    for option in dict.fromkeys(options):
        if option not in _TEMPORARY:
            parser.add_argument(f"--{option}", required=True)
    values = vars(parser.parse_known_args(list(args[1:]))[0])
    temporary = values["TempDir"] or values["RedshiftTempDir"]
    if temporary is not None:
        values.update(dict.fromkeys(_TEMPORARY, temporary))
    values["job_bookmark_option"] = _bookmark(values)
    _global_args.update(values)
    return values


def _bookmark(values: dict[str, Any]) -> str:
    """Return the bookmark option that applies; the older continuation options mean the same."""
    option: str | None = values["job_bookmark_option"]
    older = values.pop("continuation_option")
    if option is None:
        position = Job.continuation_options().index(older) if older else 3
        option = Job.job_bookmark_options()[position]
    absent = [name for name in Job.job_bookmark_range_options() if values[name[2:].replace("-", "_")] is None]
    if option == "job-bookmark-pause" and len(absent) == 1:
        raise RuntimeError(f"Missing option or value for {absent[0]}")
    if option != "job-bookmark-pause" and not absent:
        raise RuntimeError(f"Invalid option(s) {' '.join(Job.job_bookmark_range_options())}")
    return option
