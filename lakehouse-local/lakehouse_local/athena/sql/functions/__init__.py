"""Trino's functions, by name."""

from __future__ import annotations

from collections import defaultdict
from functools import cache

from lakehouse_local.athena.sql.functions import aggregates, collections, dates, json, numbers, text
from lakehouse_local.athena.sql.functions.signatures import Overload


@cache
def registry() -> dict[str, list[Overload]]:
    """Return every supported function, with its overloads."""
    found: defaultdict[str, list[Overload]] = defaultdict(list)
    for module in (numbers, text, dates, collections, json, aggregates):
        for each in module.FUNCTIONS:
            found[each.name].append(each)
    for each in aggregates.WINDOWS:
        found[each.name].append(each)
    return dict(found)
