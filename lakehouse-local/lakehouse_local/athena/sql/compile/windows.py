"""Window specifications and sort items: OVER (...) and ORDER BY."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trino_query_parser.SqlBaseParser import SqlBaseParser as P

from lakehouse_local.athena.sql.compile.expressions import Expressions
from lakehouse_local.athena.sql.compile.predicates import comparable
from lakehouse_local.athena.sql.compile.tree import name_of, position, shown
from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.types import INTEGERS

_UNSORTABLE = ("map", "json", "hyperloglog")


def direction(item: Any) -> str:
    """Return ASC or DESC and the place of NULLs, which is last by default."""
    descending = " DESC" if item.ordering is not None and item.ordering.type == P.DESC else ""
    first = item.nullOrdering is not None and item.nullOrdering.type == P.FIRST
    return f"{descending} NULLS {'FIRST' if first else 'LAST'}"


def sort_key(self: Expressions, node: Any) -> str:
    """Return the expression that DuckDB sorts by."""
    value = self.compile(node)
    if value.type.name in _UNSORTABLE:
        raise SqlError(
            "TYPE_MISMATCH",
            f"{position(node)}Type {value.type} is not orderable, and therefore cannot be used in ORDER BY",
        )
    return comparable(value)


def order_by(self: Expressions, items: Sequence[Any]) -> str:
    """Return ` ORDER BY ...` of sort items, or an empty text."""
    if not items:
        return ""
    return " ORDER BY " + ", ".join(f"{sort_key(self, item.expression())}{direction(item)}" for item in items)


def specification(self: Expressions, over: Any) -> str:
    """Return the text inside OVER's parentheses."""
    inner = self.within(windows=False)
    specifications = _resolved(self, over)
    partition: list[Any] = next((each.partition for each in specifications if each.partition), [])
    items: list[Any] = next((each.sortItem() for each in specifications if each.sortItem()), [])
    frame = next((each.windowFrame() for each in specifications if each.windowFrame()), None)
    parts = []
    if partition:
        parts.append(f"PARTITION BY {', '.join(comparable(inner.compile(each)) for each in partition)}")
    if items:
        parts.append(order_by(inner, items).strip())
    if frame is not None:
        parts.append(_frame(inner, frame))
    return " ".join(parts)


def _resolved(self: Expressions, over: Any) -> list[Any]:
    """Return a window's specification and those that it refers to."""
    found = []
    name, specification = over.windowName, over.windowSpecification()
    while True:
        if specification is not None:
            found.append(specification)
            name = specification.existingWindowName
        if name is None:
            return found
        specification = self.context.compiler.window(name_of(name).lower())
        if specification is None:
            raise SqlError("INVALID_WINDOW_REFERENCE", f"{position(name)}Cannot resolve WINDOW name {name_of(name)}")


def _frame(self: Expressions, frame: Any) -> str:
    if frame.PATTERN() or frame.MEASURES():
        raise SqlError("NOT_SUPPORTED", f"{position(frame)}Pattern recognition is not supported by the local AWS")
    extent = frame.frameExtent()
    kind = extent.frameType.text.upper()
    start = _bound(self, extent.start_ if hasattr(extent, "start_") else extent.frameBound(0), kind)
    if len(extent.frameBound()) < 2:
        return f"{kind} BETWEEN {start} AND CURRENT ROW"
    return f"{kind} BETWEEN {start} AND {_bound(self, extent.frameBound(1), kind)}"


def _bound(self: Expressions, bound: Any, kind: str) -> str:
    if isinstance(bound, P.UnboundedFrameContext):
        return f"UNBOUNDED {bound.boundType.text.upper()}"
    if isinstance(bound, P.CurrentRowBoundContext):
        return "CURRENT ROW"
    value = self.compile(bound.expression())
    sql = value.sql
    if kind != "RANGE" and value.type.name not in INTEGERS:
        raise SqlError(
            "TYPE_MISMATCH", f"{position(bound)}Window frame {kind} value {shown(bound)} must be exact numeric"
        )
    if value.type.name == "interval day to second":
        sql = f"to_microseconds({sql} * 1000)"
    elif value.type.name == "interval year to month":
        sql = f"to_months({sql})"
    return f"{sql} {bound.boundType.text.upper()}"
