"""Function calls: the overload that Trino chooses, with its arguments converted to the types that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from trino_query_parser.SqlBaseParser import SqlBaseParser as P

from lakehouse_local.athena.sql.compile import literals, windows
from lakehouse_local.athena.sql.compile.expressions import Expressions, handles, joined_by_bars
from lakehouse_local.athena.sql.compile.predicates import compared
from lakehouse_local.athena.sql.compile.tree import name_of, names_of, position, shown, unwrapped
from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.functions import registry
from lakehouse_local.athena.sql.functions.signatures import ChosenOverload, FunctionCall, Lambda, choose, substitute
from lakehouse_local.athena.sql.functions.text import formatted
from lakehouse_local.athena.sql.functions.unsupported import UNSUPPORTED
from lakehouse_local.athena.sql.types import INTEGER, UNKNOWN, VARCHAR, Type, common_type, duckdb_type
from lakehouse_local.athena.sql.types.casts import coerced
from lakehouse_local.athena.sql.types.typed import Typed, string


class LambdaArgument:
    """A lambda among a call's arguments, compiled once the types of its parameters are known."""

    def __init__(self, expressions: Expressions, node: Any) -> None:
        self._expressions, self._node = expressions, node
        self._names = [name_of(each).lower() for each in node.identifier()]
        self.arity = len(self._names)

    def typed(self, types: Sequence[Type]) -> Type:
        return self._compiled([Typed(f"p{at}", type) for at, type in enumerate(types)]).type

    def body(self, parameters: Sequence[Typed], returns: Type) -> str:
        return coerced(self._compiled(parameters), returns).sql

    def _compiled(self, parameters: Sequence[Typed]) -> Typed:
        known = {**self._expressions.context.lambdas, **dict(zip(self._names, parameters, strict=True))}
        return self._expressions.within(lambdas=known).compile(self._node.expression())


def call(self: Expressions, name: str, args: Sequence[Typed | Lambda], node: Any, aggregate: Any = None) -> Typed:
    """Compile a call of a function by name.

    :param aggregate: makes DuckDB's text of an aggregate with the call's DISTINCT, FILTER and OVER
    """
    where = position(node)
    overloads = registry().get(name)
    if not overloads:
        if name in UNSUPPORTED:
            raise SqlError("NOT_SUPPORTED", f"{where}Function {name} is not supported by the local AWS")
        raise SqlError("FUNCTION_NOT_FOUND", f"{where}Function '{name}' not registered")
    chosen = choose(overloads, args)
    if chosen is None:
        actual = ", ".join(str(each.type) if isinstance(each, Typed) else "function" for each in args)
        expected = ", ".join(each.text for each in overloads)
        raise SqlError(
            "FUNCTION_NOT_FOUND", f"{where}Unexpected parameters ({actual}) for function {name}. Expected: {expected}"
        )
    returns = substitute(chosen.overload.returns, chosen.bindings)
    values = [
        coerced(each, type) for each, type in zip(args, chosen.types, strict=True) if isinstance(each, Typed) and type
    ]
    lambdas = _lambdas(chosen, args)
    compiler = self.context.compiler
    made = FunctionCall(values, chosen.bindings, returns, lambdas, compiler.fresh, aggregate, where)
    build = chosen.overload.build
    built = build(made) if callable(build) else _templated(build, made)
    return built if isinstance(built, Typed) else Typed(built, returns)


def _templated(build: str, made: FunctionCall) -> str:
    if "{" in build or "(" in build:
        return build.format(*made.sql, type=duckdb_type(made.returns))
    return f"{build}({', '.join(made.sql)})"


def _lambdas(chosen: ChosenOverload, args: Sequence[Typed | Lambda]) -> list[Callable[..., str]]:
    found: list[Callable[..., str]] = []
    for pattern, arg in zip(chosen.overload.parameters_for(len(args)) or (), args, strict=True):
        if isinstance(arg, Typed):
            continue
        types = [substitute(each, chosen.bindings) for each in pattern.args[:-1]]
        returns = substitute(pattern.args[-1], chosen.bindings)

        def body(*names: str, arg: Lambda = arg, types: list[Type] = types, returns: Type = returns) -> str:
            return arg.body([Typed(name, type) for name, type in zip(names, types, strict=True)], returns)

        found.append(body)
    return found


def _argument(self: Expressions, node: Any) -> Typed | Lambda:
    inner = unwrapped(node)
    return LambdaArgument(self, inner) if isinstance(inner, P.LambdaContext) else self.compile(node)


@handles(P.FunctionCallContext)
def _function_call(self: Expressions, node: Any) -> Typed:
    name = names_of(node.qualifiedName())[-1].lower()
    if special := _SPECIAL.get(name):
        return special(self, node)
    kinds = {each.kind for each in registry().get(name, ())}
    over = node.over()
    if over is None and "window" in kinds:
        raise SqlError("MISSING_OVER", f"{position(node)}Window function {name} requires an OVER clause")
    if over is None and "aggregate" not in kinds:
        if node.filter_() or (node.setQuantifier() and node.setQuantifier().DISTINCT()):
            raise SqlError("FUNCTION_NOT_AGGREGATE", f"{position(node)}{name} is not an aggregate function")
        return call(self, name, [_argument(self, each) for each in node.expression()], node)
    if over is not None and kinds and not kinds & {"window", "aggregate"}:
        raise SqlError("FUNCTION_NOT_WINDOW", f"{position(node)}Not a window function: {name}")
    inside = _inside(self, node, over)
    args = [_argument(inside, each) for each in node.expression()]
    if node.ASTERISK() and name != "count":
        raise SqlError("FUNCTION_NOT_FOUND", f"{position(node)}Unexpected parameters () for function {name}")
    distinct = bool(node.setQuantifier() and node.setQuantifier().DISTINCT())
    order = windows.order_by(inside, node.sortItem())
    condition = inside.condition(node.filter_().booleanExpression(), "FILTER expression") if node.filter_() else None
    nulls = " IGNORE NULLS" if node.nullTreatment() and node.nullTreatment().IGNORE() else ""
    window = f" OVER ({windows.specification(self, over)})" if over is not None else ""

    def aggregate(function: str, *values: str, where_not_null: str | None = None) -> str:
        listed = ", ".join(values) or ("*" if function == "count" else "")
        conditions = [each for each in (condition, where_not_null and f"{where_not_null} IS NOT NULL") if each]
        text = f"{function}({'DISTINCT ' if distinct else ''}{listed}{order}{nulls})"
        if conditions:
            text += f" FILTER (WHERE {' AND '.join(conditions)})"
        return text + window

    return call(self, name, args, node, aggregate)


def _inside(self: Expressions, node: Any, over: Any) -> Expressions:
    """Return the compiler of an aggregate's arguments; raise SqlError where no aggregate is allowed."""
    context = self.context
    if context.inside_aggregate:
        what = "Window function" if over is not None else "Aggregation"
        raise SqlError("NESTED_AGGREGATION", f"{position(node)}{what} {shown(node)} cannot be nested inside another")
    if not (context.windows if over is not None else context.aggregates):
        raise SqlError(
            "EXPRESSION_NOT_SCALAR",
            f"{position(node)}{context.clause} cannot contain aggregations, window functions or grouping operations: "
            f"[{shown(node)}]",
        )
    if over is not None:
        # A window function works on the groups, not on the rows in them: aggregates are allowed inside.
        return self.within(windows=False)
    return self.within(groups=None, inside_aggregate=True)


@handles(P.ListaggContext)
def _listagg(self: Expressions, node: Any) -> Typed:
    inside = _inside(self, node, None)
    args: list[Typed | Lambda] = [inside.compile(node.expression())]
    if node.string():
        args.append(literals.text(literals.text_of(node.string())))
    order = windows.order_by(inside, node.sortItem())
    distinct = "DISTINCT " if node.setQuantifier() and node.setQuantifier().DISTINCT() else ""

    def aggregate(function: str, *values: str, where_not_null: str | None = None) -> str:
        return f"{function}({distinct}{', '.join(values)}{order})"

    return call(self, "listagg", args, node, aggregate)


@handles(P.GroupingOperationContext)
def _grouping(self: Expressions, node: Any) -> Typed:
    groups = self.context.groups
    columns = []
    for name in node.qualifiedName():
        grouped = groups.find(name) if groups else None
        if grouped is None:
            raise SqlError(
                "INVALID_ARGUMENTS",
                f"{position(name)}The arguments to GROUPING() must be expressions referenced by the GROUP BY",
            )
        columns.append(grouped.sql)
    return Typed(f"CAST(grouping({', '.join(columns)}) AS INTEGER)", INTEGER)


# -- functions without a signature -----------------------------------------------------------------------------------


def _arguments(self: Expressions, node: Any, name: str, least: int, most: int) -> list[Typed]:
    nodes = node.expression()
    if not least <= len(nodes) <= most:
        raise SqlError("INVALID_PARAMETER_USAGE", f"{position(node)}Invalid number of arguments for '{name}'")
    return [self.compile(each) for each in nodes]


def _if(self: Expressions, node: Any) -> Typed:
    nodes = node.expression()
    if not 2 <= len(nodes) <= 3:
        raise SqlError("INVALID_PARAMETER_USAGE", f"{position(node)}Invalid number of arguments for 'if' function")
    condition = self.condition(nodes[0], "IF condition")
    refusal = f"{position(node)}Result types for IF must be the same: {{0}} vs {{1}}"
    values = self.alike([self.compile(each) for each in nodes[1:]], refusal)
    otherwise = f" ELSE {values[1].sql}" if len(values) > 1 else ""
    return Typed(f"CASE WHEN {condition} THEN {values[0].sql}{otherwise} END", values[0].type)


def _coalesce(self: Expressions, node: Any) -> Typed:
    arguments = _arguments(self, node, "coalesce", 2, 10_000)
    refusal = f"{position(node)}All COALESCE operands must be the same type: {{0}} and {{1}}"
    values = self.alike(arguments, refusal)
    return Typed(f"coalesce({', '.join(each.sql for each in values)})", values[0].type)


def _nullif(self: Expressions, node: Any) -> Typed:
    a, b = _arguments(self, node, "nullif", 2, 2)
    if common_type(a.type, b.type) is None:
        raise SqlError("TYPE_MISMATCH", f"{position(node)}Types are not comparable with NULLIF: {a.type} vs {b.type}")
    return Typed(f"CASE WHEN {compared(self, a, '=', b, node)} THEN NULL ELSE {a.sql} END", a.type)


def _concat(self: Expressions, node: Any) -> Typed:
    values = [_argument(self, each) for each in node.expression()]
    if len(values) == 2 and all(isinstance(each, Typed) for each in values):
        a, b = values
        if isinstance(a, Typed) and isinstance(b, Typed) and UNKNOWN in (a.type, b.type):
            return joined_by_bars(a, b, node)
    return call(self, "concat", values, node)


def _format(self: Expressions, node: Any) -> Typed:
    """Compile format(), which takes arguments of any types and so has no signature."""
    pattern, *values = _arguments(self, node, "format", 1, 10_000)
    if pattern.type.name != "varchar":
        raise SqlError(
            "TYPE_MISMATCH",
            f"{position(node)}Type of first argument to format() must be VARCHAR (actual: {pattern.type})",
        )
    made = FunctionCall([pattern, *values], {}, VARCHAR, [], self.context.compiler.fresh, None, position(node))
    return Typed(formatted(made), VARCHAR)


def _try(self: Expressions, node: Any) -> Typed:
    (value,) = _arguments(self, node, "try", 1, 1)
    return Typed(f"TRY({value.sql})", value.type)


def _typeof(self: Expressions, node: Any) -> Typed:
    (value,) = _arguments(self, node, "typeof", 1, 1)
    return Typed(string(str(value.type)), VARCHAR, str(value.type))


def _now(self: Expressions, node: Any) -> Typed:
    _arguments(self, node, "now", 0, 0)
    moment = "trino_round_timestamp(timezone('UTC', now()), 1000)"
    return Typed(f"trino_zoned({moment}, 'UTC')", Type("timestamp with time zone", (3,)))


_SPECIAL: dict[str, Callable[[Expressions, Any], Typed]] = {
    "if": _if,
    "coalesce": _coalesce,
    "nullif": _nullif,
    "try": _try,
    "typeof": _typeof,
    "concat": _concat,
    "format": _format,
    "now": _now,
    "current_timezone": lambda self, node: Typed("'UTC'", VARCHAR, "UTC"),
}

# EXTRACT's fields -> functions of other names
_EXTRACTED = {"dow": "day_of_week", "doy": "day_of_year", "yow": "year_of_week"}


@handles(P.ExtractContext)
def _extract(self: Expressions, node: Any) -> Typed:
    field = node.identifier().getText().lower()
    value = self.compile(node.valueExpression())
    name = _EXTRACTED.get(field, field)
    if choose(registry()[name], [value]) is None:
        raise SqlError("TYPE_MISMATCH", f"{position(node)}Cannot extract {field} from {value.type}")
    return call(self, name, [value], node)


@handles(P.PositionContext)
def _position(self: Expressions, node: Any) -> Typed:
    return call(self, "position", [self.compile(each) for each in node.valueExpression()], node)


@handles(P.SubstringContext)
def _substring(self: Expressions, node: Any) -> Typed:
    return call(self, "substring", [self.compile(each) for each in node.valueExpression()], node)


@handles(P.TrimContext)
def _trim(self: Expressions, node: Any) -> Typed:
    specification = node.trimsSpecification()
    side = specification.getText().lower() if specification else "both"
    name = {"leading": "ltrim", "trailing": "rtrim", "both": "trim"}[side]
    args: list[Typed | Lambda] = [self.compile(node.trimSource)]
    if node.trimChar:
        args.append(self.compile(node.trimChar))
    return call(self, name, args, node)


@handles(P.NormalizeContext)
def _normalize(self: Expressions, node: Any) -> Typed:
    form = node.normalForm().getText().upper() if node.normalForm() else "NFC"
    return call(self, "normalize", [self.compile(node.valueExpression()), literals.text(form)], node)


@handles(P.LambdaContext)
def _lambda(self: Expressions, node: Any) -> Typed:
    raise SqlError("TYPE_MISMATCH", f"{position(node)}Lambda expression must be a function's argument")
