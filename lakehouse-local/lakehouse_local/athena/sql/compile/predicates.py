"""Logic, comparisons and the other predicates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from trino_query_parser.SqlBaseParser import SqlBaseParser as P

from lakehouse_local.athena.sql.compile.expressions import Expressions, handles, one_column
from lakehouse_local.athena.sql.compile.tree import position
from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.types import BOOLEAN, UNKNOWN, VARCHAR, common_type
from lakehouse_local.athena.sql.types.casts import coerced
from lakehouse_local.athena.sql.types.typed import Typed, string

_ZONED = "timestamp with time zone"
_OPERATORS = {"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


def _logical(operator: str) -> Callable[[Expressions, Any], Typed]:
    def compile(self: Expressions, node: Any) -> Typed:
        sides = [self.condition(each, "Logical expression term") for each in node.booleanExpression()]
        return Typed(f"({f' {operator} '.join(sides)})", BOOLEAN)

    return compile


@handles(P.LogicalNotContext)
def _not(self: Expressions, node: Any) -> Typed:
    return Typed(f"(NOT {self.condition(node.booleanExpression(), 'Value of logical NOT expression')})", BOOLEAN)


@handles(P.PredicatedContext)
def _predicated(self: Expressions, node: Any) -> Typed:
    return _PREDICATES[type(node.predicate())](self, node.valueExpression(), node.predicate())


def comparable(value: Typed) -> str:
    """Return the text that DuckDB compares; for a timestamp with a zone this is the instant."""
    return f"struct_extract({value.sql}, 'utc')" if value.type.name == _ZONED else value.sql


def compared(self: Expressions, a: Typed, operator: str, b: Typed, node: Any) -> str:
    """Return `a operator b`, both converted to their common type."""
    common = common_type(a.type, b.type)
    if common is None or (
        common.name in ("map", "json") and operator not in ("=", "<>", "IS DISTINCT FROM", "IS NOT DISTINCT FROM")
    ):
        raise SqlError("TYPE_MISMATCH", f"{position(node)}Cannot apply operator: {a.type} {operator} {b.type}")
    if common == UNKNOWN:
        common = BOOLEAN
    if common.name == "row" and operator in ("=", "<>"):
        return _compared_rows(self, coerced(a, common), operator, coerced(b, common), node)
    x, y = comparable(coerced(a, common)), comparable(coerced(b, common))
    if common.name in ("double", "real") and "nan" in f"{x}{y}" and operator in _OPERATORS:
        # DuckDB sorts NaN last and equal to itself; in Trino NaN equals nothing and is less or greater than nothing.
        unequal = "true" if operator == "<>" else "false"
        return f"(CASE WHEN isnan({x}) OR isnan({y}) THEN {unequal} ELSE {x} {operator} {y} END)"
    return f"({x} {operator} {y})"


def _compared_rows(self: Expressions, a: Typed, operator: str, b: Typed, node: Any) -> str:
    """Compare rows field by field: if nothing differs, a NULL makes the result NULL; DuckDB would compare it."""
    pairs = []
    for at, type in enumerate(a.type.types):
        field = string(a.type.field_name(at))
        x, y = (Typed(f"struct_extract({each.sql}, {field})", type) for each in (a, b))
        pairs.append(compared(self, x, operator, y, node))
    return f"({(' AND ' if operator == '=' else ' OR ').join(pairs)})"


def _comparison(self: Expressions, left: Any, node: Any) -> Typed:
    operator = _OPERATORS[node.comparisonOperator().getText()]
    sql = compared(self, self.compile(left), operator, self.compile(node.right), node)
    return Typed(sql, BOOLEAN)


def _distinct_from(self: Expressions, left: Any, node: Any) -> Typed:
    operator = "IS NOT DISTINCT FROM" if node.NOT() else "IS DISTINCT FROM"
    return Typed(compared(self, self.compile(left), operator, self.compile(node.right), node), BOOLEAN)


def _null(self: Expressions, left: Any, node: Any) -> Typed:
    return Typed(f"({self.compile(left).sql} IS {'NOT ' if node.NOT() else ''}NULL)", BOOLEAN)


def _negation(node: Any) -> str:
    return "NOT " if node.NOT() else ""


def _between(self: Expressions, left: Any, node: Any) -> Typed:
    values = [self.compile(each) for each in (left, node.lower, node.upper)]
    refusal = f"{position(node)}Cannot check if {values[0].type} is BETWEEN {values[1].type} and {values[2].type}"
    values = self.alike(values, refusal)
    if values[0].type == UNKNOWN:
        return Typed("CAST(NULL AS BOOLEAN)", BOOLEAN)
    value, low, high = map(comparable, values)
    return Typed(f"({value} {_negation(node)}BETWEEN {low} AND {high})", BOOLEAN)


def _in_list(self: Expressions, left: Any, node: Any) -> Typed:
    values = [self.compile(each) for each in (left, *node.expression())]
    refusal = f"{position(node)}IN value and list items must be the same type: {{0}} and {{1}}"
    values = self.alike(values, refusal)
    if values[0].type == UNKNOWN:
        return Typed("CAST(NULL AS BOOLEAN)", BOOLEAN)
    first, *rest = map(comparable, values)
    return Typed(f"({first} {_negation(node)}IN ({', '.join(rest)}))", BOOLEAN)


def _in_subquery(self: Expressions, left: Any, node: Any) -> Typed:
    value = self.compile(left)
    query = one_column(self, node.query())
    common = common_type(value.type, query.outputs[0].type)
    if common is None:
        raise SqlError(
            "TYPE_MISMATCH",
            f"{position(node)}Value expression and result of subquery must be of the same type: {value.type} vs "
            f"{query.outputs[0].type}",
        )
    sql = query.coerced([common], self.context.compiler.fresh())
    return Typed(f"({coerced(value, common).sql} {_negation(node)}IN ({sql}))", BOOLEAN)


def _quantified(self: Expressions, left: Any, node: Any) -> Typed:
    value = self.compile(left)
    query = one_column(self, node.query())
    common = common_type(value.type, query.outputs[0].type)
    operator = _OPERATORS[node.comparisonOperator().getText()]
    if common is None:
        raise SqlError(
            "TYPE_MISMATCH", f"{position(node)}Cannot apply operator: {value.type} {operator} {query.outputs[0].type}"
        )
    quantifier = "ALL" if node.comparisonQuantifier().ALL() else "ANY"
    sql = query.coerced([common], self.context.compiler.fresh())
    return Typed(f"({coerced(value, common).sql} {operator} {quantifier} ({sql}))", BOOLEAN)


def _like(self: Expressions, left: Any, node: Any) -> Typed:
    values = [self.compile(each) for each in (left, node.pattern, *([node.escape] if node.escape else []))]
    for value, what in zip(values, ("Left side", "Pattern for", "Escape for"), strict=False):
        if value.type.name not in ("varchar", "char", "unknown"):
            raise SqlError("TYPE_MISMATCH", f"{position(node)}{what} LIKE expression must evaluate to a varchar")
    texts = [coerced(each, VARCHAR).sql if each.type == UNKNOWN else each.sql for each in values]
    # Neither Trino's LIKE nor DuckDB's has an escape character unless the query names one.
    escape = f" ESCAPE {texts[2]}" if len(texts) > 2 else ""
    if escape and len(str(values[2].constant or " ")) != 1:
        raise SqlError("INVALID_FUNCTION_ARGUMENT", f"{position(node)}Escape string must be a single character")
    return Typed(f"({texts[0]} {_negation(node)}LIKE {texts[1]}{escape})", BOOLEAN)


@handles(P.SimpleCaseContext, P.SearchedCaseContext)
def _case(self: Expressions, node: Any) -> Typed:
    operand = self.compile(node.operand) if isinstance(node, P.SimpleCaseContext) else None
    conditions = []
    for when in node.whenClause():
        if operand is None:
            conditions.append(self.condition(when.condition, "CASE WHEN clause"))
        else:
            conditions.append(compared(self, operand, "=", self.compile(when.condition), when))
    results = [self.compile(when.result) for when in node.whenClause()]
    if node.elseExpression:
        results.append(self.compile(node.elseExpression))
    refusal = (
        f"{position(node)}All CASE results must be the same type or coercible to a common type. Cannot find common "
        "type between {0} and {1}"
    )
    values = self.alike(results, refusal)
    pairs = " ".join(f"WHEN {c} THEN {value.sql}" for c, value in zip(conditions, values, strict=False))
    otherwise = f" ELSE {values[-1].sql}" if node.elseExpression else ""
    return Typed(f"CASE {pairs}{otherwise} END", values[0].type)


handles(P.AndContext)(_logical("AND"))
handles(P.OrContext)(_logical("OR"))

_PREDICATES: dict[type, Callable[[Expressions, Any, Any], Typed]] = {
    P.ComparisonContext: _comparison,
    P.QuantifiedComparisonContext: _quantified,
    P.BetweenContext: _between,
    P.InListContext: _in_list,
    P.InSubqueryContext: _in_subquery,
    P.LikeContext: _like,
    P.NullPredicateContext: _null,
    P.DistinctFromContext: _distinct_from,
}
