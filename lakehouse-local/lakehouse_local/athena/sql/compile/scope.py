"""Name resolution: the columns that a part of a query can use, and the tables that they come from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.relations import Relation
from lakehouse_local.athena.sql.types import Type


@dataclass(eq=False)
class Scan:
    """A table that is read, and the conditions on its partition keys; its text is made when all of them are known."""

    relation: Relation
    token: str
    conditions: list[str] = field(default_factory=list)

    @property
    def where(self) -> str | None:
        """All conditions; None without any."""
        return " AND ".join(self.conditions) or None

    def text(self) -> str:
        """Return DuckDB's table expression."""
        assert self.relation.source
        return self.relation.source(self.where)


@dataclass(frozen=True)
class Field:
    """A column that a name can refer to.

    :param name: lower case; None for a column without a name
    :param sql: DuckDB's text of it
    :param qualifier: the qualifier of its name: an alias, or the parts of a table's name
    :param origin: the scan and partition key whose values it has unchanged: a condition on it limits what is read
    :param selected: whether it is a name that SELECT gives, for ORDER BY
    """

    name: str | None
    type: Type
    sql: str
    qualifier: tuple[str, ...] = ()
    origin: tuple[Scan, str] | None = None
    selected: bool = False

    def matches(self, qualifier: Sequence[str]) -> bool:
        """Return True if this qualifier may stand before its name."""
        return not qualifier or tuple(qualifier) == self.qualifier[-len(qualifier) :]

    def without_origin(self) -> Field:
        return replace(self, origin=None)


@dataclass(frozen=True)
class ResolvedName:
    """A resolved name: the column, the rest of the name (fields of a row), and whether it is an outer query's."""

    field: Field
    rest: tuple[str, ...]
    outer: bool


class Scope:
    """The columns of a query, then those of the enclosing query."""

    def __init__(self, fields: Iterable[Field], parent: Scope | None = None, *, same_query: bool = False) -> None:
        self.fields = tuple(fields)
        self.parent = parent
        self._same_query = same_query  # the parent's columns are this query's too

    def find(self, parts: Sequence[str], position: str) -> ResolvedName | None:
        """Resolve a dotted name, or return None; raises SqlError AMBIGUOUS_NAME."""
        lower = [part.lower() for part in parts]
        scope: Scope | None = self
        outer = False
        while scope is not None:
            # The reading with the longest qualifier wins: schema.table.column before column.field.field.
            for length in range(len(lower), 0, -1):
                name, qualifier = lower[length - 1], lower[: length - 1]
                found = [each for each in scope.fields if each.name == name and each.matches(qualifier)]
                if len(found) > 1:
                    raise SqlError("AMBIGUOUS_NAME", f"{position}Column '{'.'.join(parts)}' is ambiguous")
                if found:
                    return ResolvedName(found[0], tuple(lower[length:]), outer)
            outer = outer or not scope._same_query
            scope = scope.parent
        return None
