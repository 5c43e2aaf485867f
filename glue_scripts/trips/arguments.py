"""The job's arguments, validated before anything is read."""

from __future__ import annotations

import argparse
import difflib
import math
import re
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from trips.errors import LoadError
from trips.month import Month

SERVICES = ("yellow", "green")
REASONS = (
    "pickup_missing", "dropoff_missing", "pickup_outside_month", "dropoff_before_pickup", "trip_too_long",
    "distance_missing", "distance_negative", "location_unknown", "total_missing", "total_implausible", "uncastable",
    "duplicate",
)  # fmt: skip
MARKS = ("duration_long", "distance_implausible", "clock_change", "time_stuck")


@dataclass(frozen=True)
class Thresholds:
    """The limits of the rules; `off` names the reasons that are not judged."""

    max_hours: float = 24.0
    long_hours: float = 12.0
    max_miles: float = 500.0
    max_total: float = 10_000.0
    min_kept: float = 0.98
    off: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arguments:
    """The arguments of a load: service and month, the raw file, the cleaned zone, and the limits."""

    service: str
    month: Month
    raw_uri: str
    cleaned_uri: str
    report_uri: str | None
    run_id: str
    allow_empty: bool = False
    thresholds: Thresholds = field(default_factory=Thresholds)

    @property
    def partition(self) -> str:
        """The month's folder under a table of the cleaned zone."""
        return f"service={self.service}/year={self.month.year_text}/month={self.month.month_text}"

    @property
    def label(self) -> str:
        return f"{self.service} {self.month}"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise LoadError(f"the job's arguments cannot be used: {message}")


def parse(argv: Sequence[str]) -> Arguments:
    """Parse the command line that Glue gives to the script; Glue's own arguments are ignored.

    :raises LoadError: naming the argument, its value and what is allowed
    """
    default = Thresholds()
    parser = _Parser(prog="clean_trips.py", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--YEAR", required=True, type=_whole(2009, 2099), help="the raw file's year, such as 2024")
    add("--MONTH", required=True, type=_whole(1, 12), help="the raw file's month, 1 to 12")
    add("--service", required=True, choices=SERVICES)
    add("--raw_uri", required=True, type=_s3_uri, help="the raw file, or a prefix ending in / that holds several")
    add("--cleaned_uri", required=True, type=_s3_uri, help="the cleaned zone: s3://bucket or s3://bucket/prefix")
    add("--report_uri", type=_s3_uri, help="where to put a JSON report of the load; default: nowhere")
    add(
        "--min_kept", type=_number(0, 1), default=default.min_kept, help="a smaller share kept is refused [%(default)s]"
    )
    add("--max_hours", type=_number(0), default=default.max_hours, help="longer trips are rejected [%(default)s]")
    add(
        "--long_hours",
        type=_number(0),
        default=default.long_hours,
        help="longer trips are marked as suspect [%(default)s]",
    )
    add("--max_miles", type=_number(0), default=default.max_miles, help="longer distances become NULL [%(default)s]")
    add("--max_total", type=_number(0), default=default.max_total, help="larger totals are rejected [%(default)s]")
    add("--rules_off", type=_reasons, default=(), help=f"reasons not judged, with commas: {', '.join(REASONS)}")
    add("--allow_empty", type=_flag, default=False, help="true: a raw file without rows empties the month")
    add("--JOB_RUN_ID", default=None, help="given by Glue")
    # Both --min_kept and --min-kept, also in the form --min-kept=0.9.
    names = [re.sub(r"^--[^=]+", lambda name: f"--{name[0][2:].replace('-', '_')}", each) for each in argv]
    given, others = parser.parse_known_args(names)
    known = [option for action in parser._actions for option in action.option_strings]
    for other in others:
        if other.startswith("--") and (close := difflib.get_close_matches(other, known, n=1, cutoff=0.85)):
            parser.error(f"{other} is not an argument; did you mean {close[0]}?")
    # It becomes part of file names; Glue's own ids are jr_ and hexadecimal digits.
    run_id = re.sub(r"[^A-Za-z0-9_-]", "_", given.JOB_RUN_ID or f"local_{uuid.uuid4().hex}")
    return Arguments(
        service=given.service,
        month=Month(given.YEAR, given.MONTH),
        raw_uri=given.raw_uri,
        cleaned_uri=given.cleaned_uri.rstrip("/"),
        report_uri=given.report_uri,
        run_id=run_id,
        allow_empty=given.allow_empty,
        thresholds=Thresholds(
            max_hours=given.max_hours,
            long_hours=given.long_hours,
            max_miles=given.max_miles,
            max_total=given.max_total,
            min_kept=given.min_kept,
            off=given.rules_off,
        ),
    )


def _whole(first: int, last: int) -> Callable[[str], int]:
    def check(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,4}", text) or not first <= int(text) <= last:
            raise argparse.ArgumentTypeError(f"it is {text!r}, and must be a whole number from {first} to {last}")
        return int(text)

    return check


def _number(least: float, most: float = math.inf) -> Callable[[str], float]:
    def check(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not (least <= number <= most and math.isfinite(number)):
            allowed = f"a number from {least} to {most}" if most < math.inf else f"a number of at least {least}"
            raise argparse.ArgumentTypeError(f"it is {text!r}, and must be {allowed}")
        return number

    return check


def _s3_uri(text: str) -> str:
    if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?", text):
        raise argparse.ArgumentTypeError(f"it is {text!r}, and must be an S3 URI such as s3://bucket/key")
    return text


def _reasons(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    for name in names:
        if name not in REASONS:
            raise argparse.ArgumentTypeError(f"{name!r} is not a reason; allowed: {', '.join(REASONS)}")
    return names


def _flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise argparse.ArgumentTypeError(f"it is {text!r}, and must be true or false")
    return text.lower() == "true"
