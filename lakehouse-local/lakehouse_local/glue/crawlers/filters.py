"""The filters of ListCrawls."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

from lakehouse_local.http.wire import AwsError

Doc = dict[str, Any]

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "GT": operator.gt,
    "GE": operator.ge,
    "LT": operator.lt,
    "LE": operator.le,
    "EQ": operator.eq,
    "NE": operator.ne,
}


def _milliseconds(text: str) -> float:
    return int(text) / 1000


# Field -> member of a crawl, parser of its value, True if it can be compared by order
_FIELDS: dict[str, tuple[str, Callable[[str], Any], bool]] = {
    "CRAWL_ID": ("CrawlId", str, False),
    "STATE": ("State", str, False),
    "START_TIME": ("StartTime", _milliseconds, True),
    "END_TIME": ("EndTime", _milliseconds, True),
    "DPU_HOUR": ("DPUHour", float, True),
}


def compiled(filters: Sequence[Doc]) -> Callable[[Doc], bool]:
    """Return a test that is True for a crawl that passes every filter; times are epoch milliseconds.

    :raises AwsError: InvalidInputException
    """
    tests = [_test(each) for each in filters]
    return lambda crawl: all(test(crawl) for test in tests)


def _test(given: Doc) -> Callable[[Doc], bool]:
    name, operator_, text = given.get("FieldName", ""), given.get("FilterOperator", "EQ"), given.get("FieldValue", "")
    if name not in _FIELDS or operator_ not in _OPERATORS:
        raise _invalid(
            f"A filter must have a FieldName of {', '.join(_FIELDS)} and a FilterOperator of {', '.join(_OPERATORS)}, "
            f"not {given}."
        )
    member, parse, ordered = _FIELDS[name]
    if not ordered and operator_ not in ("EQ", "NE"):
        raise _invalid(f"{name} can be compared with EQ and NE only, not {operator_}.")
    try:
        value = parse(text)
    except ValueError:
        raise _invalid(f"FieldValue of {name} must be a number (epoch milliseconds for times), not {text!r}.") from None
    return lambda crawl: member in crawl and _OPERATORS[operator_](crawl[member], value)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidInputException", message)
