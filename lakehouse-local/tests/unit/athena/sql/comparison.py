"""The comparison of an answer with the recorded one: the types of the columns, and the values as Athena writes them."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence

Row = Sequence["str | None"]
Answer = tuple[Sequence[str], Sequence[Row]]  # the types of the columns, the rows

_TOLERANCES = {"double": 1e-9, "real": 1e-6}
_TOKENS = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|[()]|\w+|\s+|.", re.DOTALL)
_TIME = re.compile(r"(?P<seconds>\d\d:\d\d:\d\d)(?:\.(?P<fraction>\d+))?(?P<zone>[+-]\d\d:\d\d)?")


def difference(sql: str, expected: Answer, got: Answer) -> str:
    """Return how an answer differs from the expected one, or an empty text where they agree.

    Of a type its name counts, and a decimal's precision and scale.
    Rows are compared in their order only if the query ends with ORDER BY.
    """
    types, given = [_comparable_type(each) for each in expected[0]], [_comparable_type(each) for each in got[0]]
    if types != given:
        return f"the types are {given}, not {types}"
    wanted, rows = list(expected[1]), list(got[1])
    if len(wanted) != len(rows):
        return f"{len(rows)} rows, not {len(wanted)}"
    if not ends_with_order_by(sql):
        wanted, rows = sorted(wanted, key=_sort_key), sorted(rows, key=_sort_key)
    for ours, theirs in zip(rows, wanted, strict=True):
        if not all(map(same_value, ours, theirs, types)):
            return f"the row {list(ours)}, not {list(theirs)}"
    return ""


def same_value(ours: str | None, theirs: str | None, type: str) -> bool:
    """Return True if both texts stand for the same value of a type (`double`, `time(3)`, ...)."""
    if ours == theirs or ours is None or theirs is None:
        return ours == theirs
    if type in _TOLERANCES:
        try:
            a, b = (float(text.replace("Infinity", "inf")) for text in (ours, theirs))
        except ValueError:
            return False
        return math.isclose(a, b, rel_tol=_TOLERANCES[type]) or (math.isnan(a) and math.isnan(b))
    if type == "time":  # it is not known whether Athena pads the fraction of a TIME
        return _unpadded(ours) == _unpadded(theirs)
    return False


def ends_with_order_by(sql: str) -> bool:
    """Return True if a query has an ORDER BY outside of all parentheses."""
    depth, outside = 0, []
    for token in _TOKENS.findall(sql):
        depth += {"(": 1, ")": -1}.get(token, 0)
        if depth == 0 and not token.isspace():
            outside.append(token.upper())
    return ("ORDER", "BY") in itertools.pairwise(outside)


def _comparable_type(type: str) -> str:
    """Return a type's name; for a decimal with its precision and scale."""
    lowered = type.lower().replace(", ", ",")
    if lowered.startswith("decimal"):
        return lowered
    zoned = lowered.startswith("time") and lowered.endswith("with time zone")
    name = lowered.partition("(")[0].removesuffix(" with time zone")
    return f"{name} with time zone" if zoned else name


def _sort_key(row: Row) -> list[tuple[bool, str]]:
    return [(value is None, value or "") for value in row]


def _unpadded(time: str) -> tuple[str, str, str] | str:
    match = _TIME.fullmatch(time)
    return (match["seconds"], (match["fraction"] or "").rstrip("0"), match["zone"] or "") if match else time
