"""The context of an expression: the columns it can use, and the constructs it may contain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

from trino_query_parser.SqlBaseParser import SqlBaseParser as P

from lakehouse_local.athena.sql.compile.scope import Field, Scan, Scope
from lakehouse_local.athena.sql.compile.tree import children, dotted, position, unwrapped
from lakehouse_local.athena.sql.types import Type
from lakehouse_local.athena.sql.types.casts import coerced
from lakehouse_local.athena.sql.types.typed import Typed


@dataclass(frozen=True)
class Output:
    """A column of a compiled query; DuckDB calls them c0, c1, ..."""

    name: str | None
    type: Type
    origin: tuple[Scan, str] | None = None


@dataclass(frozen=True)
class CompiledQuery:
    """DuckDB's text of a query, and its columns."""

    sql: str
    outputs: tuple[Output, ...]

    def fields(self, alias: str, qualifier: tuple[str, ...] = ()) -> list[Field]:
        """Return its columns for a FROM clause that uses it under this alias."""
        return [
            Field(each.name, each.type, f"{alias}.c{at}", qualifier, each.origin)
            for at, each in enumerate(self.outputs)
        ]

    def coerced(self, types: Sequence[Type], fresh: str) -> str:
        """Return its text with the columns implicitly converted to these types."""
        if all(each.type == type for each, type in zip(self.outputs, types, strict=True)):
            return self.sql
        columns = ", ".join(
            f"{coerced(Typed(f'{fresh}.c{at}', each.type), type).sql} AS c{at}"
            for at, (each, type) in enumerate(zip(self.outputs, types, strict=True))
        )
        return f"SELECT {columns} FROM ({self.sql}) AS {fresh}"


class Compiler(Protocol):
    """The services of the enclosing query that expressions use."""

    def subquery(self, node: Any, scope: Scope) -> CompiledQuery:
        """Compile a query inside an expression, which can use the columns of `scope`."""

    def parameter(self, node: Any) -> Any:
        """Return the expression that is the value of a question mark."""

    def window(self, name: str) -> Any:
        """Return the specification of a named window, or None."""

    def fresh(self) -> str:
        """Return a name that this statement does not use yet."""


class Groups:
    """The grouping expressions of an aggregated query, which are allowed outside of aggregates."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._found: dict[tuple[str, ...], Typed] = {}

    def add(self, node: Any, value: Typed) -> None:
        self._found[canonical(node, self._scope)] = value

    def add_field(self, field: Field, value: Typed) -> None:
        self._found[(field.sql,)] = value

    def holds(self, field: Field) -> bool:
        """Return True if a column is itself a grouping expression."""
        return (field.sql,) in self._found

    def find(self, node: Any) -> Typed | None:
        """Return the grouping expression that a node is, in whatever spelling, or None."""
        return self._found.get(canonical(node, self._scope)) if self._found else None


def canonical(node: Any, scope: Scope) -> tuple[str, ...]:
    """Return a key that two spellings of an expression share: columns resolved, keywords and names in one case."""
    if parts := dotted(node):
        found = scope.find(parts, position(node))
        return (found.field.sql, *found.rest) if found else tuple(part.lower() for part in parts)
    node = unwrapped(node)
    if not hasattr(node, "children"):
        text = node.getText()
        exact = node.getSymbol().type in (P.STRING, P.QUOTED_IDENTIFIER, P.BINARY_LITERAL)
        return (text if exact else text.lower(),)
    return tuple(part for child in children(node) for part in canonical(child, scope))


@dataclass(frozen=True)
class Context:
    """The context of an expression.

    :param scope: the columns that it can use
    :param compiler: the compiler of the enclosing query
    :param clause: the clause's name in errors: "WHERE clause"
    :param aggregates: whether aggregates are allowed; `windows` likewise for window functions
    :param groups: the grouping expressions, outside of the aggregates of an aggregated query
    :param inside_aggregate: whether this is an aggregate's argument
    :param lambdas: parameters of the enclosing lambdas
    :param pruning: the scan for whose partition keys alone a condition is compiled
    """

    scope: Scope
    compiler: Compiler
    clause: str = "SELECT"
    aggregates: bool = False
    windows: bool = False
    groups: Groups | None = None
    inside_aggregate: bool = False
    lambdas: Mapping[str, Typed] = field(default_factory=dict)
    pruning: Scan | None = None


class FreshNames:
    """A supply of fresh names."""

    def __init__(self, prefix: str) -> None:
        self._prefix, self._count = prefix, count()

    def __call__(self) -> str:
        return f"{self._prefix}{next(self._count)}"
