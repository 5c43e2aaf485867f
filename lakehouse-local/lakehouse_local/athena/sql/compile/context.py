"""Where an expression stands: what it sees, and what it may hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

from trino_query_parser.SqlBaseParser import SqlBaseParser as P

from lakehouse_local.athena.sql.compile.scope import Field, Scan, Scope
from lakehouse_local.athena.sql.compile.tree import children, dotted, position, unwrapped
from lakehouse_local.athena.sql.types import Type
from lakehouse_local.athena.sql.types.typed import Typed


@dataclass(frozen=True)
class Output:
    """A column of a compiled query; DuckDB calls them c0, c1, ..."""

    name: str | None
    type: Type
    origin: tuple[Scan, str] | None = None


@dataclass(frozen=True)
class Compiled:
    """DuckDB's text of a query, and its columns."""

    sql: str
    outputs: tuple[Output, ...]

    def fields(self, alias: str, qualifier: tuple[str, ...] = ()) -> list[Field]:
        """Its columns, where it stands in a FROM clause under this alias."""
        return [
            Field(each.name, each.type, f"{alias}.c{at}", qualifier, each.origin)
            for at, each in enumerate(self.outputs)
        ]

    def coerced(self, types: Sequence[Type], fresh: str) -> str:
        """Its text with the columns turned into these types unasked."""
        from lakehouse_local.athena.sql.types.casts import coerced

        if all(each.type == of for each, of in zip(self.outputs, types, strict=True)):
            return self.sql
        columns = ", ".join(
            f"{coerced(Typed(f'{fresh}.c{at}', each.type), of).sql} AS c{at}"
            for at, (each, of) in enumerate(zip(self.outputs, types, strict=True))
        )
        return f"SELECT {columns} FROM ({self.sql}) AS {fresh}"


class Compiler(Protocol):
    """What expressions need of the query around them."""

    def subquery(self, node: Any, scope: Scope) -> Compiled:
        """A query inside an expression, which sees the columns of `scope`."""

    def parameter(self, node: Any) -> Any:
        """The expression that stands for a question mark."""

    def window(self, name: str) -> Any:
        """The specification of a named window, or None."""

    def fresh(self) -> str:
        """A name that DuckDB has not seen in this statement."""


class Groups:
    """The grouping expressions of an aggregated query: what may stand outside of aggregates."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._found: dict[tuple[str, ...], Typed] = {}

    def add(self, node: Any, value: Typed) -> None:
        self._found[canonical(node, self._scope)] = value

    def add_field(self, field: Field, value: Typed) -> None:
        self._found[(field.sql,)] = value

    def holds(self, field: Field) -> bool:
        """Whether a column is itself a grouping expression."""
        return (field.sql,) in self._found

    def find(self, node: Any) -> Typed | None:
        """The grouping expression that a node is, whatever it is written like."""
        return self._found.get(canonical(node, self._scope)) if self._found else None


def canonical(node: Any, scope: Scope) -> tuple[str, ...]:
    """The same for two ways to write one expression: columns by what they are, keywords and names in one case."""
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
    """Where an expression stands.

    :param clause: what errors call the place: "WHERE clause"
    :param aggregates: whether aggregates may stand here; `windows` likewise
    :param groups: of an aggregated query, outside of its aggregates
    :param inside_aggregate: whether this is an aggregate's argument
    :param lambdas: parameters of the lambdas around
    :param pruning: when a condition is compiled for this scan's partitions alone
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


class Names:
    """A supply of fresh names."""

    def __init__(self, prefix: str) -> None:
        self._prefix, self._count = prefix, count()

    def __call__(self) -> str:
        return f"{self._prefix}{next(self._count)}"
