"""Expressions: DuckDB's text of the tree's nodes, each with the type that Trino gives it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from trino_query_parser.SqlBaseParser import SqlBaseParser as P

from lakehouse_local.athena.sql.compile import literals
from lakehouse_local.athena.sql.compile.context import CompiledQuery, Context
from lakehouse_local.athena.sql.compile.scope import ResolvedName
from lakehouse_local.athena.sql.compile.tree import children, dotted, name_of, position, shown, unwrapped
from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.functions import collections, dates, numbers
from lakehouse_local.athena.sql.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    UNKNOWN,
    VARCHAR,
    Type,
    array,
    common_type,
    duckdb_type,
    parse_type,
)
from lakehouse_local.athena.sql.types.casts import cast, coerced
from lakehouse_local.athena.sql.types.typed import Typed, quoted, string

_ZONED = "timestamp with time zone"


class NotPrunable(Exception):
    """A condition that does not depend on the partition keys alone."""


class Expressions:
    """The compiler of the expressions in one context of a query."""

    def __init__(self, context: Context) -> None:
        self.context = context

    def within(self, **changes: Any) -> Expressions:
        """Return the compiler for a context inside this one."""
        return Expressions(replace(self.context, **changes))

    def compile(self, node: Any) -> Typed:
        """Return the expression's text and type.

        :raises SqlError: where Trino refuses it
        """
        node = unwrapped(node)
        if self.context.groups is not None and (grouped := self.context.groups.find(node)):
            return grouped
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise SqlError("NOT_SUPPORTED", f"{position(node)}{shown(node)} is not supported by the local AWS")
        return handler(self, node)

    def condition(self, node: Any, what: str) -> str:
        """Return the text of an expression that must be a boolean."""
        value = self.compile(node)
        if value.type not in (BOOLEAN, UNKNOWN):
            raise SqlError(
                "TYPE_MISMATCH", f"{position(node)}{what} must evaluate to a boolean: actual type {value.type}"
            )
        return coerced(value, BOOLEAN).sql

    def to(self, node: Any, target: Type, what: str) -> Typed:
        """Return an expression implicitly converted to a type."""
        value = self.compile(node)
        if value.type != UNKNOWN and common_type(value.type, target) != target:
            raise SqlError(
                "TYPE_MISMATCH", f"{position(node)}{what} must be of type {target}: actual type {value.type}"
            )
        return coerced(value, target)

    def alike(self, values: Sequence[Typed], refusal: str) -> list[Typed]:
        """Return values converted to their common type; `refusal` is the error's message when there is none."""
        type = UNKNOWN
        for each in values:
            found = common_type(type, each.type)
            if found is None:
                raise SqlError("TYPE_MISMATCH", refusal.format(type, each.type))
            type = found
        return [coerced(each, type) for each in values]


# -- names -----------------------------------------------------------------------------------------------------------


def _column(self: Expressions, node: Any) -> Typed:
    parts = dotted(node)
    if parts is None:
        return _field_of(self, node)
    lower = [part.lower() for part in parts]
    if lower[0] in self.context.lambdas:
        return row_field(self.context.lambdas[lower[0]], lower[1:], node)
    found = self.context.scope.find(parts, position(node))
    if found is None:
        raise SqlError("COLUMN_NOT_FOUND", f"{position(node)}Column '{'.'.join(parts)}' cannot be resolved")
    return row_field(_reference(self, found, node), found.rest, node)


def _reference(self: Expressions, found: ResolvedName, node: Any) -> Typed:
    field = found.field
    if self.context.pruning is not None:
        if field.origin is None or field.origin[0] is not self.context.pruning:
            raise NotPrunable
        return Typed(quoted(field.origin[1]), field.type)
    if self.context.groups is not None and not found.outer and not field.selected:
        raise SqlError(
            "EXPRESSION_NOT_AGGREGATE",
            f"{position(node)}'{shown(node)}' must be an aggregate expression or appear in GROUP BY clause",
        )
    return Typed(field.sql, field.type)


def row_field(value: Typed, names: Sequence[str], node: Any) -> Typed:
    """Return a row's field, or by several names a field of that field."""
    for name in names:
        if value.type.name != "row":
            raise SqlError("TYPE_MISMATCH", f"{position(node)}Expression {shown(node)} is not of type ROW")
        at = [i for i, field in enumerate(value.type.fields) if field and field.lower() == name.lower()]
        if not at:
            raise SqlError("COLUMN_NOT_FOUND", f"{position(node)}Column '{shown(node)}' cannot be resolved")
        field = string(value.type.field_name(at[0]))
        value = Typed(f"struct_extract({value.sql}, {field})", value.type.type_at(at[0]))
    return value


def _field_of(self: Expressions, node: Any) -> Typed:
    return row_field(self.compile(node.base), [name_of(node.fieldName)], node)


# -- arithmetic ------------------------------------------------------------------------------------------------------


def _binary(self: Expressions, node: Any) -> Typed:
    a, b = self.compile(node.left), self.compile(node.right)
    return calculated(a, node.operator.text, b, node.operator)


def calculated(a: Typed, operator: str, b: Typed, where: Any) -> Typed:
    """Return `a operator b` for numbers, moments and intervals."""
    found = numbers.arithmetic(operator, a, b)
    if found is None and operator in "+-":
        found = (dates.plus if operator == "+" else dates.minus)(a, b)
    if found is None:
        found = dates.scaled(operator, a, b)
    if found is None:
        raise SqlError("TYPE_MISMATCH", f"{position(where)}Cannot apply operator: {a.type} {operator} {b.type}")
    return found


def _unary(self: Expressions, node: Any) -> Typed:
    value = self.compile(node.valueExpression())
    if node.operator.text == "+" and numbers.negated(value) is not None:
        return value
    found = numbers.negated(value)
    if found is None:
        raise SqlError("TYPE_MISMATCH", f"{position(node)}Cannot negate {value.type}")
    constant = -value.constant if isinstance(value.constant, (int, float)) else None
    return replace(found, constant=constant)


def _concatenation(self: Expressions, node: Any) -> Typed:
    return joined_by_bars(self.compile(node.left), self.compile(node.right), node)


def joined_by_bars(a: Typed, b: Typed, node: Any) -> Typed:
    """Return `a || b` for text, bytes and arrays."""
    if UNKNOWN in (a.type, b.type) and a.type != b.type and "array" not in (a.type.name, b.type.name):
        # Trino takes the NULL for an array.
        return Typed(f"CAST(NULL AS {duckdb_type(type := array(b.type if a.type == UNKNOWN else a.type))})", type)
    if joined := collections.concatenated(a, b):
        return joined
    names = {a.type.name, b.type.name} - {"unknown"}
    if not names <= {"varchar", "char"} and names != {"varbinary"}:
        raise SqlError(
            "FUNCTION_NOT_FOUND",
            f"{position(node)}Unexpected parameters ({a.type}, {b.type}) for function concat. Expected: "
            "concat(char(x), char(y)), concat(array(E), E) E, concat(E, array(E)) E, concat(array(E)) E, "
            "concat(varchar), concat(varbinary)",
        )
    type = Type("varbinary") if names == {"varbinary"} else VARCHAR
    if "char" in names and a.type.size is not None and b.type.size is not None:
        type = Type("char", (a.type.size + b.type.size,))
    sides = [f"CAST(NULL AS {duckdb_type(type)})" if each.type == UNKNOWN else each.sql for each in (a, b)]
    return Typed(f"({sides[0]} || {sides[1]})", type)


def _at_time_zone(self: Expressions, node: Any) -> Typed:
    value = self.compile(node.valueExpression())
    specifier = node.timeZoneSpecifier()
    if not isinstance(specifier, P.TimeZoneStringContext):
        raise SqlError(
            "NOT_SUPPORTED", f"{position(node)}AT TIME ZONE with an interval is not supported by the local AWS"
        )
    zone = string(literals.text_of(specifier.string()))
    if value.type.name == "timestamp":
        value = coerced(value, Type(_ZONED, value.type.args))
    if value.type.name != _ZONED:
        raise SqlError(
            "TYPE_MISMATCH", f"{position(node)}Type of value must be a time or timestamp with or without time zone"
        )
    return Typed(f"trino_zoned(struct_extract({value.sql}, 'utc'), {zone})", value.type)


# -- values ----------------------------------------------------------------------------------------------------------


def _row(self: Expressions, node: Any) -> Typed:
    return collections.row_of([self.compile(each) for each in node.expression()])


def _array(self: Expressions, node: Any) -> Typed:
    refusal = (
        f"{position(node)}All ARRAY elements must be the same type or coercible to a common type. Cannot find "
        "common type between {0} and {1}"
    )
    values = self.alike([self.compile(each) for each in node.expression()], refusal)
    type = array(values[0].type if values else UNKNOWN)
    return Typed(f"CAST([{', '.join(each.sql for each in values)}] AS {duckdb_type(type)})", type)


def _subscript(self: Expressions, node: Any) -> Typed:
    base, index = self.compile(node.value), self.compile(node.index)
    if base.type.name == "array":
        return Typed(f"trino_subscript({base.sql}, {coerced_index(index, BIGINT, base, node)})", base.type.element)
    if base.type.name == "map":
        key = coerced_index(index, base.type.type_at(0), base, node)
        return Typed(f"trino_map_subscript({base.sql}, {key})", base.type.type_at(1))
    if base.type.name == "row":
        at = index.constant
        if not isinstance(at, int):
            raise SqlError(
                "EXPRESSION_NOT_CONSTANT", f"{position(node)}Subscript expression on ROW requires a constant index"
            )
        if not 1 <= at <= len(base.type.types):
            raise SqlError("INVALID_FUNCTION_ARGUMENT", f"{position(node)}ROW index out of bounds: {at}")
        field = string(base.type.field_name(at - 1))
        return Typed(f"struct_extract({base.sql}, {field})", base.type.type_at(at - 1))
    raise SqlError("TYPE_MISMATCH", f"{position(node)}Cannot apply operator: {base.type}[{index.type}]")


def coerced_index(index: Typed, type: Type, base: Typed, node: Any) -> str:
    """Return a subscript's text, converted to the type that the container takes."""
    if index.type != UNKNOWN and common_type(index.type, type) != type:
        raise SqlError("TYPE_MISMATCH", f"{position(node)}Cannot apply operator: {base.type}[{index.type}]")
    return coerced(index, type).sql


def type_named(node: Any) -> Type:
    """Return the type that a query names."""
    written = " ".join(token for token in _tokens(node))
    try:
        return parse_type(written)
    except ValueError:
        raise SqlError("TYPE_NOT_FOUND", f"{position(node)}Unknown type: {shown(node)}") from None


def _tokens(node: Any) -> list[str]:
    if not hasattr(node, "children"):
        return [node.getText()]
    return [token for child in children(node) for token in _tokens(child)]


def _cast(self: Expressions, node: Any) -> Typed:
    value, type = self.compile(node.expression()), type_named(node.type_())
    sql = cast(value, type)
    if sql is None:
        raise SqlError("TYPE_MISMATCH", f"{position(node)}Cannot cast {value.type} to {type}")
    return Typed(f"TRY({sql})" if node.TRY_CAST() else sql, type)


def _now(self: Expressions, node: Any) -> Typed:
    precision = int(node.precision.text) if node.precision else 3
    name = node.name.text.lower()
    moment = f"trino_round_timestamp(timezone('UTC', now()), {10 ** (6 - min(precision, 6))})"
    if name == "current_date":
        return Typed("CAST(timezone('UTC', now()) AS DATE)", DATE)
    if name == "current_timestamp":
        return Typed(f"trino_zoned({moment}, 'UTC')", Type(_ZONED, (precision,)))
    if name == "localtimestamp":
        return Typed(moment, Type("timestamp", (precision,)))
    if name == "localtime":
        return Typed(f"CAST({moment} AS TIME)", Type("time", (precision,)))
    return Typed(f"CAST({moment} AS TIMETZ)", Type("time with time zone", (precision,)))


def _constant_text(text: str) -> Callable[[Expressions, Any], Typed]:
    return lambda self, node: Typed(string(text), VARCHAR, text)


# -- subqueries ------------------------------------------------------------------------------------------------------


def _subquery(self: Expressions, node: Any) -> Typed:
    query = _query(self, node.query())
    if len(query.outputs) > 1:
        alias = self.context.compiler.fresh()
        values = [Typed(f"{alias}.c{at}", each.type) for at, each in enumerate(query.outputs)]
        row = collections.row_of(values, [each.name for each in query.outputs])
        return Typed(f"(SELECT {row.sql} FROM ({query.sql}) AS {alias})", row.type)
    return Typed(f"({query.sql})", query.outputs[0].type)


def one_column(self: Expressions, node: Any) -> CompiledQuery:
    """Compile a subquery that is used as a value."""
    query = _query(self, node)
    if len(query.outputs) != 1:
        raise SqlError(
            "NOT_SUPPORTED",
            f"{position(node)}Multiple columns returned by subquery are not yet supported. Found {len(query.outputs)}",
        )
    return query


def _query(self: Expressions, node: Any) -> CompiledQuery:
    if self.context.pruning is not None:
        raise NotPrunable
    return self.context.compiler.subquery(node, self.context.scope)


def _exists(self: Expressions, node: Any) -> Typed:
    return Typed(f"EXISTS ({_query(self, node.query()).sql})", BOOLEAN)


def _parameter(self: Expressions, node: Any) -> Typed:
    return self.compile(self.context.compiler.parameter(node))


_HANDLERS: dict[type, Callable[[Expressions, Any], Typed]] = {
    P.ArithmeticBinaryContext: _binary,
    P.ArithmeticUnaryContext: _unary,
    P.ConcatenationContext: _concatenation,
    P.AtTimeZoneContext: _at_time_zone,
    P.NullLiteralContext: lambda self, node: literals.NULL,
    P.IntervalContext: lambda self, node: literals.interval(node),
    P.TypeConstructorContext: lambda self, node: literals.typed_text(
        "double" if node.DOUBLE() else name_of(node.identifier()), literals.text_of(node.string()), position(node)
    ),
    **dict.fromkeys((P.IntegerLiteralContext, P.DecimalLiteralContext, P.DoubleLiteralContext),
                    lambda self, node: literals.number(node)),
    P.BooleanValueContext: lambda self, node: literals.boolean(node.TRUE() is not None),
    **dict.fromkeys((P.BasicStringLiteralContext, P.UnicodeStringLiteralContext),
                    lambda self, node: literals.text(literals.text_of(node))),
    P.BinaryLiteralContext: lambda self, node: literals.binary(node),
    P.ParameterContext: _parameter,
    P.RowConstructorContext: _row,
    P.ArrayConstructorContext: _array,
    P.SubscriptContext: _subscript,
    P.ColumnReferenceContext: _column,
    P.DereferenceContext: _column,
    P.CastContext: _cast,
    P.SubqueryExpressionContext: _subquery,
    P.ExistsContext: _exists,
    P.SpecialDateTimeFunctionContext: _now,
    P.CurrentUserContext: _constant_text("local"),
    P.CurrentCatalogContext: _constant_text("awsdatacatalog"),
}  # fmt: skip


def handles(*kinds: type) -> Callable[[Callable[[Expressions, Any], Typed]], Callable[[Expressions, Any], Typed]]:
    """Register a function as the compiler of further types of nodes."""

    def register(handler: Callable[[Expressions, Any], Typed]) -> Callable[[Expressions, Any], Typed]:
        for kind in kinds:
            _HANDLERS[kind] = handler
        return handler

    return register
