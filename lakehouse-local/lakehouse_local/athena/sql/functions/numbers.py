"""Arithmetic: the typed operators, and the functions on numbers."""

from __future__ import annotations

from lakehouse_local.athena.sql.functions.signatures import FunctionCall, built, table
from lakehouse_local.athena.sql.types import INTEGERS, UNKNOWN, Type, as_decimal, common_type, decimal, duckdb_type
from lakehouse_local.athena.sql.types.casts import coerced
from lakehouse_local.athena.sql.types.typed import Typed

_NUMBERS = {*INTEGERS, "decimal", "real", "double"}


def arithmetic(operator: str, a: Typed, b: Typed) -> Typed | None:
    """Return `a operator b` for numbers, with Trino's result type; None for other types."""
    type = common_type(a.type, b.type)
    if type is None or (type.name not in _NUMBERS and type != UNKNOWN):
        return None
    if type == UNKNOWN:
        return Typed("CAST(NULL AS INTEGER)", Type("integer"))
    if type.name == "decimal":
        return _decimal(operator, _as_decimal(a, type), _as_decimal(b, type))
    x, y = coerced(a, type).sql, coerced(b, type).sql
    if type.name in INTEGERS:
        return Typed(f"({x} {'//' if operator == '/' else operator} {y})", type)
    return Typed(f"({x} {operator} {y})", type)


def _as_decimal(value: Typed, type: Type) -> Typed:
    return coerced(value, type if value.type == UNKNOWN else as_decimal(value.type))


def _decimal(operator: str, a: Typed, b: Typed) -> Typed:
    p1, s1, p2, s2 = a.type.size or 0, a.type.scale, b.type.size or 0, b.type.scale
    scale = max(s1, s2)
    if operator in "+-":
        type = decimal(max(p1 - s1, p2 - s2) + scale + 1, scale)
    elif operator == "*":
        type = decimal(p1 + p2, s1 + s2)
    elif operator == "%":
        type = decimal(min(p1 - s1, p2 - s2) + scale, scale)
    else:
        type = decimal(p1 + s2 + max(0, s2 - s1), scale)
        return divided(unscaled(a), s1, unscaled(b), s2, type)
    return Typed(f"CAST(({a.sql} {operator} {b.sql}) AS {duckdb_type(type)})", type)


def unscaled(value: Typed) -> str:
    """Return a decimal's digits as an integer."""
    scale = value.type.scale if value.type.name == "decimal" else 0
    return f"CAST({value.sql} * {10**scale} AS HUGEINT)" if scale else f"CAST({value.sql} AS HUGEINT)"


def divided(dividend: str, s1: int, divisor: str, s2: int, type: Type) -> Typed:
    """Return the quotient of two numbers given by their digits and scales, rounded half up."""
    shift = type.scale - s1 + s2
    shifted = f"({dividend} * {10**shift})" if shift > 0 else dividend
    quotient = f"CAST(trino_divide({shifted}, {divisor}) AS DECIMAL(38,0))"
    if type.scale:
        quotient = f"({quotient} * CAST('{10**-type.scale:.{type.scale}f}' AS DECIMAL(38,{type.scale})))"
    return Typed(f"CAST({quotient} AS {duckdb_type(type)})", type)


def negated(value: Typed) -> Typed | None:
    """Return `-value` for numbers and intervals, else None."""
    if value.type.name in _NUMBERS or value.type.name.startswith("interval"):
        return Typed(f"(-{value.sql})", value.type)
    return Typed(value.sql, value.type) if value.type == UNKNOWN else None


def _modulus(call: FunctionCall) -> Typed:
    found = arithmetic("%", *call.args)
    assert found is not None
    return found


def _whole_decimal(function: str):  # type: ignore[no-untyped-def]
    def build(call: FunctionCall) -> Typed:
        type = call.args[0].type
        whole = decimal((type.size or 0) - type.scale + min(type.scale, 1), 0)
        return Typed(f"CAST({function}({call.sql[0]}) AS {duckdb_type(whole)})", whole)

    return build


def _rounded_decimal(function: str, wider: int):  # type: ignore[no-untyped-def]
    def build(call: FunctionCall) -> Typed:
        value, digits = call.args
        type = decimal((value.type.size or 0) + wider, value.type.scale)
        if isinstance(digits.constant, int):
            rounded = f"{function}({value.sql}, {min(digits.constant, value.type.scale)})"
        else:
            double = "trino_round" if function == "round" else "trino_truncate"
            rounded = f"{double}(CAST({value.sql} AS DOUBLE), {digits.sql})"
        return Typed(f"CAST({rounded} AS {duckdb_type(type)})", type)

    return build


def _extreme(function: str):  # type: ignore[no-untyped-def]
    def build(call: FunctionCall) -> str:
        missing = " OR ".join(f"{sql} IS NULL" for sql in call.sql)
        return f"CASE WHEN {missing} THEN NULL ELSE {function}({', '.join(call.sql)}) END"

    return build


FUNCTIONS = [
    *table("""
        abs(N) N
        sign(I) I = CAST(sign({0}) AS {type})
        sign(double) double = CAST(sign({0}) AS DOUBLE)
        sign(real) real = CAST(sign({0}) AS FLOAT)
        sign(decimal(p,s)) decimal(1,0) = CAST(sign({0}) AS DECIMAL(1,0))
        ceil(I) I = {0}
        ceil(double) double
        ceil(real) real
        ceiling(I) I = {0}
        ceiling(double) double
        ceiling(real) real
        floor(I) I = {0}
        floor(double) double
        floor(real) real
        round(I) I = {0}
        round(double) double = round({0})
        round(real) real = round({0})
        round(I, integer) I = CAST(round({0}, {1}) AS {type})
        round(double, integer) double = trino_round({0}, {1})
        round(real, integer) real = CAST(trino_round({0}, {1}) AS FLOAT)
        truncate(double) double = trunc
        truncate(real) real = trunc
        truncate(double, integer) double = trino_truncate({0}, {1})
        truncate(real, integer) real = CAST(trino_truncate({0}, {1}) AS FLOAT)
        power(double, double) double = pow
        pow(double, double) double = pow
        sqrt(double) double = trino_sqrt
        cbrt(double) double
        exp(double) double
        ln(double) double = trino_ln
        log2(double) double = trino_ln({0}) / ln(2)
        log10(double) double = CASE WHEN {0} > 0 THEN log10({0}) ELSE trino_ln({0}) END
        log(double, double) double = trino_ln({1}) / trino_ln({0})
        sin(double) double
        cos(double) double
        tan(double) double
        asin(double) double
        acos(double) double
        atan(double) double
        atan2(double, double) double
        sinh(double) double
        cosh(double) double
        tanh(double) double
        degrees(double) double
        radians(double) double
        pi() double
        e() double = exp(CAST(1 AS DOUBLE))
        infinity() double = CAST('inf' AS DOUBLE)
        nan() double = CAST('nan' AS DOUBLE)
        is_nan(double) boolean = isnan
        is_nan(real) boolean = isnan
        is_infinite(double) boolean = isinf
        is_finite(double) boolean = isfinite
        random() double
        rand() double = random
        random(integer) integer = CAST(floor(random() * {0}) AS INTEGER)
        random(bigint) bigint = CAST(floor(random() * {0}) AS BIGINT)
        rand(bigint) bigint = CAST(floor(random() * {0}) AS BIGINT)
        random(bigint, bigint) bigint = {0} + CAST(floor(random() * ({1} - {0})) AS BIGINT)
        rand(bigint, bigint) bigint = {0} + CAST(floor(random() * ({1} - {0})) AS BIGINT)
        width_bucket(double, double, double, bigint) bigint = trino_width_bucket
        to_base(bigint, bigint) varchar(64) = trino_to_base
        from_base(varchar, bigint) bigint = trino_from_base
        bitwise_and(bigint, bigint) bigint = ({0} & {1})
        bitwise_or(bigint, bigint) bigint = ({0} | {1})
        bitwise_xor(bigint, bigint) bigint = xor
        bitwise_not(bigint) bigint = (~{0})
        bitwise_left_shift(bigint, bigint) bigint = ({0} << {1})
        bitwise_right_shift(bigint, bigint) bigint = ({0} >> {1})
        bitwise_right_shift_arithmetic(bigint, bigint) bigint = ({0} >> {1})
        bit_count(bigint, bigint) bigint = CAST(bit_count({0}) AS BIGINT)
        format_number(double) varchar = trino_format_number
        uuid() uuid
    """),
    *built(
        {
            "mod(N, N) N": _modulus,
            "mod(decimal(p,s), decimal(q,t)) decimal(p,s)": _modulus,
            "ceil(decimal(p,s)) decimal(p,s)": _whole_decimal("ceil"),
            "ceiling(decimal(p,s)) decimal(p,s)": _whole_decimal("ceil"),
            "floor(decimal(p,s)) decimal(p,s)": _whole_decimal("floor"),
            "round(decimal(p,s)) decimal(p,s)": _whole_decimal("round"),
            "round(decimal(p,s), integer) decimal(p,s)": _rounded_decimal("round", 1),
            "truncate(decimal(p,s)) decimal(p,s)": _whole_decimal("trunc"),
            "truncate(decimal(p,s), integer) decimal(p,s)": _rounded_decimal("trunc", 0),
            "greatest(T...) T": _extreme("greatest"),
            "least(T...) T": _extreme("least"),
        }
    ),
]
