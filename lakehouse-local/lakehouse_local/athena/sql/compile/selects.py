"""SELECT ... FROM ... WHERE ... GROUP BY ... HAVING, and ORDER BY, which can use the selected names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trino_query_parser.SqlBaseParser import SqlBaseParser as P

from lakehouse_local.athena.sql.compile import windows
from lakehouse_local.athena.sql.compile.context import CompiledQuery, Context, Groups, Output, canonical
from lakehouse_local.athena.sql.compile.expressions import Expressions, NotPrunable
from lakehouse_local.athena.sql.compile.from_clause import FromClause
from lakehouse_local.athena.sql.compile.predicates import comparable
from lakehouse_local.athena.sql.compile.scope import Field, Scope
from lakehouse_local.athena.sql.compile.tree import (
    conjuncts,
    dotted,
    has_aggregate,
    has_subquery,
    has_window,
    integer_literal,
    name_of,
    position,
    shown,
    within,
)
from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.types import duckdb_type
from lakehouse_local.athena.sql.types.typed import Typed

if TYPE_CHECKING:
    from lakehouse_local.athena.sql.compile.queries import Queries


@dataclass(frozen=True)
class SelectItem:
    """A select item: an expression, or one column of an asterisk."""

    name: str | None
    node: Any = None
    field: Field | None = None


class Select:
    """The compiler of one query specification.

    :param queries: the compiler of queries in this place
    :param node: the QuerySpecification
    :param parent: the columns of the enclosing query
    """

    def __init__(self, queries: Queries, node: Any, parent: Scope | None) -> None:
        self._queries, self._node, self._parent = queries, node, parent
        relation = FromClause(queries, parent).compile(node.relation()) if node.FROM() else None
        self._from = f" FROM {relation.sql}" if relation else ""
        self._fields: tuple[Field, ...] = relation.fields if relation else ()
        self._scope = Scope(self._fields, parent)
        self._items = [item for each in node.selectItem() for item in self._expanded(each)]

    def _expressions(self, clause: str, **more: Any) -> Expressions:
        return Expressions(Context(self._scope, self._queries, clause, **more))

    def compile(self, tail: Any) -> CompiledQuery:
        """Compile the query; `tail` is the queryNoWith whose ORDER BY and LIMIT belong to it, or None."""
        node = self._node
        sort_items = tail.sortItem() if tail is not None else []
        nodes = [each.node for each in self._items if each.node is not None]
        aggregated = bool(
            node.groupBy()
            or (node.having and True)
            or any(has_aggregate(each) for each in (*nodes, *(item.expression() for item in sort_items)))
        )
        where = self._where()
        groups, group_by = self._group_by() if aggregated else (None, "")
        select = self._expressions("SELECT clause", aggregates=aggregated, windows=True, groups=groups)
        values = [self._value(select, item) for item in self._items]
        having = ""
        if node.having:
            inside = self._expressions("HAVING clause", aggregates=True, groups=groups)
            having = f" HAVING {inside.condition(node.having, 'HAVING clause')}"
        distinct = bool(node.setQuantifier() and node.setQuantifier().DISTINCT())
        outputs = self._outputs(values, grouped=aggregated, tail=tail)
        ordered = (
            ordering(self._queries, tail, self._order_by_expressions(select, values), values, self._items, distinct)
            if tail
            else ""
        )
        columns = ", ".join(f"{_stored(value)} AS c{at}" for at, value in enumerate(values))
        head = f"SELECT {'DISTINCT ' if distinct else ''}{columns}"
        return CompiledQuery(f"{head}{self._from}{where}{group_by}{having}{ordered}", outputs)

    # -- select items ------------------------------------------------------------------------------------------------

    def _expanded(self, node: Any) -> list[SelectItem]:
        if isinstance(node, P.SelectSingleContext):
            if node.identifier():
                return [SelectItem(name_of(node.identifier()).lower(), node.expression())]
            parts = dotted(node.expression())
            return [SelectItem(parts[-1].lower() if parts else None, node.expression())]
        if node.primaryExpression() is None:
            if not self._fields and not self._node.FROM():
                raise SqlError("SYNTAX_ERROR", f"{position(node)}SELECT * not allowed in queries without FROM clause")
            return [SelectItem(field.name, field=field) for field in self._fields]
        return self._all_of(node)

    def _all_of(self, node: Any) -> list[SelectItem]:
        parts = dotted(node.primaryExpression())
        found = [
            field for field in self._fields if parts and field.qualifier and field.matches([p.lower() for p in parts])
        ]
        if found:
            items = [SelectItem(field.name, field=field) for field in found]
        else:
            value = self._expressions("SELECT clause").compile(node.primaryExpression())
            if value.type.name != "row":
                raise SqlError(
                    "TABLE_NOT_FOUND", f"{position(node)}Unable to resolve reference {shown(node.primaryExpression())}"
                )
            items = [
                SelectItem(name, field=Field(name, value.type.type_at(at), f"struct_extract({value.sql}, {at + 1})"))
                for at, name in enumerate(value.type.fields)
            ]
        if node.columnAliases():
            names = [name_of(each).lower() for each in node.columnAliases().identifier()]
            if len(names) != len(items):
                raise SqlError(
                    "MISMATCHED_COLUMN_ALIASES",
                    f"{position(node)}Column alias list has {len(names)} entries but has {len(items)} columns",
                )
            items = [replace(item, name=name) for item, name in zip(items, names, strict=True)]
        return items

    def _value(self, select: Expressions, item: SelectItem) -> Typed:
        if item.field is None:
            return select.compile(item.node)
        groups = select.context.groups
        if groups is not None and not groups.holds(item.field):
            raise SqlError(
                "EXPRESSION_NOT_AGGREGATE",
                f"{position(self._node)}'{item.field.name}' must be an aggregate expression or appear in GROUP BY "
                "clause",
            )
        return Typed(item.field.sql, item.field.type)

    def _outputs(self, values: Sequence[Typed], *, grouped: bool, tail: Any) -> tuple[Output, ...]:
        """Return the columns.

        A column that is a partition key keeps its origin, unless a condition on it would change the result: with LIMIT
        or OFFSET, window functions, or groups that exist without rows."""
        cut = tail is not None and (tail.OFFSET() or tail.LIMIT() or tail.FETCH())
        looked_at = any(has_window(item.node) for item in self._items if item.node is not None)
        every_group = not grouped or (self._node.groupBy() and not _has_grouping_sets(self._node.groupBy()))
        outputs = []
        for item, value in zip(self._items, values, strict=True):
            origin = None
            if not cut and not looked_at and every_group:
                origin = self._origin(item)
            outputs.append(Output(item.name, value.type, origin))
        return tuple(outputs)

    def _origin(self, item: SelectItem) -> Any:
        if item.field is not None:
            return item.field.origin
        parts = dotted(item.node)
        found = self._scope.find(parts, "") if parts else None
        return found.field.origin if found and not found.rest and not found.outer else None

    # -- WHERE -------------------------------------------------------------------------------------------------------

    def _where(self) -> str:
        node = self._node.where
        if node is None:
            return ""
        condition = self._expressions("WHERE clause").condition(node, "WHERE clause")
        for part in conjuncts(node):
            self._prune(part)
        return f" WHERE {condition}"

    def _prune(self, part: Any) -> None:
        """Limit a scan by a condition that depends on its partition keys alone."""
        scans = {id(scan): scan for scan in self._scans_of(part)}
        if len(scans) != 1 or has_subquery(part):
            return
        (scan,) = scans.values()
        try:
            scan.conditions.append(self._expressions("WHERE clause", pruning=scan).compile(part).sql)
        except NotPrunable:
            return

    def _scans_of(self, part: Any) -> Any:
        for node in within(part):
            if isinstance(node, (P.ColumnReferenceContext, P.DereferenceContext)) and (parts := dotted(node)):
                found = self._scope.find(parts, "")
                if found and found.field.origin:
                    yield found.field.origin[0]

    # -- GROUP BY ----------------------------------------------------------------------------------------------------

    def _group_by(self) -> tuple[Groups, str]:
        groups = Groups(self._scope)
        node = self._node.groupBy()
        if node is None:
            return groups, ""
        expressions = self._expressions("GROUP BY clause")
        elements = [self._element(element, groups, expressions) for element in node.groupingElement()]
        if node.setQuantifier() and node.setQuantifier().DISTINCT() and len(elements) > 1:
            raise SqlError("NOT_SUPPORTED", f"{position(node)}GROUP BY DISTINCT is not supported by the local AWS")
        return groups, f" GROUP BY {', '.join(elements)}"

    def _element(self, element: Any, groups: Groups, expressions: Expressions) -> str:
        if isinstance(element, P.SingleGroupingSetContext):
            inner = element.groupingSet()
            keys = [self._key(each, groups, expressions) for each in inner.expression()]
            return ", ".join(keys) if keys else "()"
        sets = [
            f"({', '.join(self._key(each, groups, expressions) for each in inner.expression())})"
            for inner in element.groupingSet()
        ]
        kind = (
            "ROLLUP" if isinstance(element, P.RollupContext)
            else "CUBE" if isinstance(element, P.CubeContext)
            else "GROUPING SETS"
        )  # fmt: skip
        if kind != "GROUPING SETS":
            sets = [each[1:-1] if each.count(",") == 0 else each for each in sets]
        return f"{kind} ({', '.join(sets)})"

    def _key(self, node: Any, groups: Groups, expressions: Expressions) -> str:
        ordinal = integer_literal(node)
        if ordinal is None:
            value = expressions.compile(node)
            groups.add(node, value)
            return value.sql
        if not 1 <= ordinal <= len(self._items):
            raise SqlError(
                "INVALID_COLUMN_REFERENCE", f"{position(node)}GROUP BY position {ordinal} is not in select list"
            )
        item = self._items[ordinal - 1]
        if item.field is not None:
            value = Typed(item.field.sql, item.field.type)
            groups.add_field(item.field, value)
            return value.sql
        if has_aggregate(item.node):
            raise SqlError(
                "EXPRESSION_NOT_SCALAR",
                f"{position(node)}GROUP BY clause cannot contain aggregations, window functions or grouping "
                f"operations: [{shown(item.node)}]",
            )
        value = expressions.compile(item.node)
        groups.add(item.node, value)
        # DuckDB would take a constant alone for an ordinal.
        return (
            f"({value.sql})"
            if integer_literal(item.node) is None
            else f"CAST({value.sql} AS {duckdb_type(value.type)})"
        )

    # -- ORDER BY ----------------------------------------------------------------------------------------------------

    def _order_by_expressions(self, select: Expressions, values: Sequence[Typed]) -> Expressions:
        """Return the compiler of ORDER BY, which can use the names that SELECT gives, then the columns."""
        given = [
            Field(item.name, value.type, value.sql, selected=True)
            for item, value in zip(self._items, values, strict=True)
            if item.name is not None
        ]
        unique = [
            field
            for at, field in enumerate(given)
            if not any(o.name == field.name and o.sql == field.sql for o in given[:at])
        ]
        return select.within(scope=Scope(unique, self._scope, same_query=True), clause="ORDER BY clause")


def _has_grouping_sets(node: Any) -> bool:
    return any(not isinstance(each, P.SingleGroupingSetContext) for each in node.groupingElement())


def _stored(value: Typed) -> str:
    return "CAST(NULL AS INTEGER)" if value.type.name == "unknown" and value.sql == "NULL" else value.sql


def ordering(
    queries: Queries,
    node: Any,
    expressions: Expressions,
    values: Sequence[Typed],
    items: Sequence[SelectItem],
    distinct: bool = False,
) -> str:
    """Compile ORDER BY, OFFSET, LIMIT and FETCH."""
    keys = [_sort_key(item, expressions, values, items, distinct) for item in node.sortItem()]
    text = f" ORDER BY {', '.join(keys)}" if keys else ""
    limit = node.limit.rowCount() if node.limit is not None and node.limit.rowCount() else None
    if node.FETCH():
        limit = node.fetchFirst
        if node.TIES():
            if not keys:
                raise SqlError("MISSING_ORDER_BY", f"{position(node)}FETCH FIRST WITH TIES clause requires ORDER BY")
            wanted = _count(queries, limit) if limit is not None else "1"
            return f" QUALIFY rank() OVER (ORDER BY {', '.join(keys)}) <= {wanted}{text}"
    if limit is not None or node.FETCH():
        text += f" LIMIT {_count(queries, limit) if limit is not None else 1}"
    if node.offset is not None:
        text += f" OFFSET {_count(queries, node.offset)}"
    return text


def _count(queries: Queries, node: Any) -> str:
    if node.QUESTION_MARK():
        node = queries.parameter(node)
    number = node.getText()
    if not number.isdigit():
        raise SqlError("INVALID_LIMIT_CLAUSE", f"{position(node)}Not a number of rows: {number}")
    return str(number)


def _sort_key(
    item: Any, expressions: Expressions, values: Sequence[Typed], items: Sequence[SelectItem], distinct: bool
) -> str:
    node, direction = item.expression(), windows.direction(item)
    ordinal = integer_literal(node)
    if ordinal is not None:
        if not 1 <= ordinal <= len(values):
            raise SqlError(
                "INVALID_COLUMN_REFERENCE", f"{position(node)}ORDER BY position {ordinal} is not in select list"
            )
        value = values[ordinal - 1]
    else:
        windows.sort_key(expressions, node)
        value = _ordered(node, expressions, items, values)
        if distinct and value.sql not in {each.sql for each in values}:
            raise SqlError(
                "EXPRESSION_NOT_IN_DISTINCT",
                f"{position(node)}For SELECT DISTINCT, ORDER BY expressions must appear in select list",
            )
    key = comparable(value)
    at = next((at for at, each in enumerate(values, 1) if each.sql == key), None)
    # A selected expression goes by its number: DuckDB does not always recognise the same text as the same expression.
    return f"{at if at else key}{direction}"


def _ordered(node: Any, expressions: Expressions, items: Sequence[SelectItem], values: Sequence[Typed]) -> Typed:
    scope = expressions.context.scope
    same = canonical(node, scope)
    for item, value in zip(items, values, strict=False):
        if item.node is not None and canonical(item.node, scope.parent or scope) == same:
            return value
    parts = dotted(node)
    if parts and len(parts) == 1 and expressions.context.groups is not None:
        # A name that SELECT gives may be used even where only grouping expressions are allowed.
        for item, value in zip(items, values, strict=False):
            if item.name == parts[0].lower():
                return value
    return expressions.compile(node)
