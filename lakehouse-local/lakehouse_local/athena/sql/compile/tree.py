"""Reading the parse tree: names, positions, and properties of a whole subtree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from trino_query_parser.SqlBaseParser import SqlBaseParser as P

from lakehouse_local.athena.sql.functions import registry

_SUBQUERIES = (P.SubqueryExpressionContext, P.ExistsContext, P.QueryContext)
_AGGREGATES = frozenset(
    name for name, overloads in registry().items() if any(each.kind == "aggregate" for each in overloads)
)


def position(node: Any) -> str:
    """Return `line 1:8: `, the beginning of Trino's messages."""
    token = node if hasattr(node, "line") else node.start
    return f"line {token.line}:{token.column + 1}: "


def name_of(identifier: Any) -> str:
    """Return an identifier's name without quotes."""
    text: str = identifier.getText()
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def names_of(qualified: Any) -> list[str]:
    """Return the parts of a dotted name."""
    return [name_of(each) for each in qualified.identifier()]


def children(node: Any) -> list[Any]:
    return getattr(node, "children", None) or []


def unwrapped(node: Any) -> Any:
    """Return the innermost node of a chain of nodes with one child each, and without parentheses."""
    while True:
        inner = children(node)
        if isinstance(node, P.ParenthesizedExpressionContext):
            node = node.expression()
        elif len(inner) == 1 and hasattr(inner[0], "children") and not isinstance(node, P.ColumnReferenceContext):
            node = inner[0]
        else:
            return node


def dotted(node: Any) -> list[str] | None:
    """Return the parts of `a.b.c` if a node is a name, else None."""
    if isinstance(node, P.QualifiedNameContext):
        return names_of(node)
    node = unwrapped(node)
    if isinstance(node, P.ColumnReferenceContext):
        return [name_of(node.identifier())]
    if isinstance(node, P.DereferenceContext):
        base = dotted(node.base)
        return None if base is None else [*base, name_of(node.fieldName)]
    return None


def within(node: Any) -> Iterator[Any]:
    """Yield a node and all nodes below it, except for subqueries."""
    yield node
    for child in children(node):
        if not isinstance(child, _SUBQUERIES):
            yield from within(child)


def is_aggregate(node: Any) -> bool:
    """Return True if a node is a call of an aggregate function without OVER."""
    if isinstance(node, P.ListaggContext):
        return True
    if not isinstance(node, P.FunctionCallContext) or node.over():
        return False
    return names_of(node.qualifiedName())[-1].lower() in _AGGREGATES


def has_aggregate(node: Any) -> bool:
    return any(is_aggregate(each) or isinstance(each, P.GroupingOperationContext) for each in within(node))


def has_window(node: Any) -> bool:
    return any(isinstance(each, P.FunctionCallContext) and each.over() for each in within(node))


def has_subquery(node: Any) -> bool:
    return any(isinstance(child, _SUBQUERIES) for each in within(node) for child in children(each))


def conjuncts(node: Any) -> Iterator[Any]:
    """Yield the parts of a condition that AND joins."""
    node = unwrapped(node)
    if isinstance(node, P.AndContext):
        for part in node.booleanExpression():
            yield from conjuncts(part)
    else:
        yield node


def integer_literal(node: Any) -> int | None:
    """Return the number if a node is an integer literal without a sign (an ordinal), else None."""
    node = unwrapped(node)
    if isinstance(node, P.IntegerLiteralContext) and not node.MINUS():
        return int(node.getText().replace("_", ""), 0)
    return None


def shown(node: Any) -> str:
    """Return a node's text as the statement has it."""
    stream = node.start.getInputStream()
    text: str = stream.strdata[node.start.start : node.stop.stop + 1]
    return text
