"""Aggregates. A builder's `aggregate(function, args...)` is DuckDB's function with the call's DISTINCT, FILTER, OVER."""

from __future__ import annotations

from collections.abc import Callable

from lakehouse_local.athena.sql.functions.numbers import divided, unscaled
from lakehouse_local.athena.sql.functions.signatures import FunctionCall, Overload, built
from lakehouse_local.athena.sql.types import duckdb_type
from lakehouse_local.athena.sql.types.typed import Typed

Builder = Callable[[FunctionCall], "str | Typed"]


def _plain(function: str) -> Builder:
    """Return a builder with DuckDB's aggregate of this name, cast to Trino's type."""

    def build(call: FunctionCall) -> str:
        assert call.aggregate
        return f"CAST({call.aggregate(function, *call.sql)} AS {duckdb_type(call.returns)})"

    return build


def _same(function: str) -> Builder:
    """Return a builder with DuckDB's aggregate of this name, which already has Trino's type."""

    def build(call: FunctionCall) -> str:
        assert call.aggregate
        return call.aggregate(function, *call.sql)

    return build


def _average_of_decimals(call: FunctionCall) -> Typed:
    assert call.aggregate
    value = call.args[0]
    total = Typed(f"{call.aggregate('sum', value.sql)}", value.type)
    return divided(
        unscaled(total), value.type.scale, f"CAST({call.aggregate('count', value.sql)} AS HUGEINT)", 0, value.type
    )


def _if(function: str, condition: str = "{0}") -> Builder:
    def build(call: FunctionCall) -> str:
        assert call.aggregate
        return call.aggregate(function, condition.format(*call.sql))

    return build


def _any(call: FunctionCall) -> str:
    assert call.aggregate
    return call.aggregate("any_value", call.sql[0])


def _by(function: str) -> Builder:
    """Return a builder of max_by(x, y): DuckDB's arg_max skips a NULL x, Trino does not."""

    def build(call: FunctionCall) -> str:
        assert call.aggregate
        found = call.aggregate(function, f"{{'v': {call.sql[0]}}}", call.sql[1])
        return f"struct_extract({found}, 'v')"

    return build


def _n_by(function: str) -> Builder:
    def build(call: FunctionCall) -> str:
        assert call.aggregate
        return call.aggregate(function, *call.sql)

    return build


def _percentile(call: FunctionCall) -> str:
    assert call.aggregate
    values = call.aggregate("list", call.sql[0], where_not_null=call.sql[0])
    if call.args[-1].type.name != "array":
        return f"trino_percentile({values}, {call.sql[-1]})"
    p = call.fresh()
    return f"list_transform({call.sql[-1]}, lambda {p}: trino_percentile({values}, {p}))"


def _map_of(call: FunctionCall) -> str:
    """Build map_agg, which keeps a key's first value."""
    assert call.aggregate
    e, i = call.fresh(), call.fresh()
    entries = call.aggregate("list", f"{{'key': {call.sql[0]}, 'value': {call.sql[1]}}}", where_not_null=call.sql[0])
    keys = call.aggregate("list", call.sql[0], where_not_null=call.sql[0])
    firsts = f"list_filter({entries}, lambda {e}, {i}: list_position({keys}, struct_extract({e}, 'key')) = {i})"
    return f"map_from_entries({firsts})"


def _multimap_of(call: FunctionCall) -> str:
    assert call.aggregate
    k, e = call.fresh(), call.fresh()
    entries = call.aggregate("list", f"{{'key': {call.sql[0]}, 'value': {call.sql[1]}}}", where_not_null=call.sql[0])
    keys = f"trino_distinct({call.aggregate('list', call.sql[0], where_not_null=call.sql[0])})"
    values = (
        f"list_transform(list_filter({entries}, lambda {e}: struct_extract({e}, 'key') = {k}), "
        f"lambda {e}: struct_extract({e}, 'value'))"
    )
    return f"map_from_entries(list_transform({keys}, lambda {k}: {{'key': {k}, 'value': {values}}}))"


def _map_union(call: FunctionCall) -> str:
    assert call.aggregate
    e, i = call.fresh(), call.fresh()
    entries = f"flatten({call.aggregate('list', f'map_entries({call.sql[0]})', where_not_null=call.sql[0])})"
    keys = f"list_transform({entries}, lambda {e}: struct_extract({e}, 'key'))"
    firsts = f"list_filter({entries}, lambda {e}, {i}: list_position({keys}, struct_extract({e}, 'key')) = {i})"
    return f"map_from_entries({firsts})"


def _reduce(call: FunctionCall) -> str:
    assert call.aggregate
    state, element = call.fresh(), call.fresh()
    values = call.aggregate("list", call.sql[0], where_not_null=call.sql[0])
    return f"list_reduce({values}, lambda {state}, {element}: {call.lambdas[0](state, element)}, {call.sql[1]})"


def _skewness(call: FunctionCall) -> str:
    """Build the skewness of a population; DuckDB's is that of a sample."""
    assert call.aggregate
    n = f"CAST({call.aggregate('count', call.sql[0])} AS DOUBLE)"
    found = call.aggregate("skewness", call.sql[0])
    return f"CASE WHEN {n} > 2 THEN {found} * ({n} - 2) / sqrt({n} * ({n} - 1)) END"


def _listagg(call: FunctionCall) -> str:
    assert call.aggregate
    return call.aggregate("string_agg", call.sql[0], call.sql[1] if len(call.sql) > 1 else "''")


def _geometric_mean(call: FunctionCall) -> str:
    assert call.aggregate
    return f"exp({call.aggregate('avg', f'trino_ln({call.sql[0]})')})"


def _histogram(call: FunctionCall) -> str:
    assert call.aggregate
    return f"CAST({call.aggregate('histogram', call.sql[0])} AS {duckdb_type(call.returns)})"


def _numeric_histogram(call: FunctionCall) -> str:
    assert call.aggregate
    values = call.aggregate("histogram", call.sql[1])
    return f"CAST({values} AS {duckdb_type(call.returns)})"


def _pair(name: str, function: str) -> dict[str, Builder]:
    return {f"{name}(double, double) double": _same(function), f"{name}(real, real) real": _plain(function)}


def _statistics(name: str, function: str) -> dict[str, Builder]:
    return {f"{name}(bigint) double": _plain(function), f"{name}(double) double": _same(function)}


def _of_numbers(name: str, build: Builder) -> dict[str, Builder]:
    return {f"{name}(bigint, double) bigint": build, f"{name}(double, double) double": build,
            f"{name}(real, double) real": build, f"{name}(bigint, array(double)) array(bigint)": build,
            f"{name}(double, array(double)) array(double)": build}  # fmt: skip


FUNCTIONS: list[Overload] = built({
    "count(T) bigint": _same("count"),
    "count() bigint": _same("count"),
    "sum(bigint) bigint": _plain("sum"),
    "sum(double) double": _same("sum"),
    "sum(real) real": _plain("sum"),
    "sum(decimal(p,s)) decimal(38,s)": _plain("sum"),
    "sum(interval day to second) interval day to second": _plain("sum"),
    "sum(interval year to month) interval year to month": _plain("sum"),
    "avg(bigint) double": _same("avg"),
    "avg(double) double": _same("avg"),
    "avg(real) real": _plain("avg"),
    "avg(decimal(p,s)) decimal(p,s)": _average_of_decimals,
    "avg(interval day to second) interval day to second": _plain("avg"),
    "avg(interval year to month) interval year to month": _plain("avg"),
    "min(T) T": _same("min"),
    "max(T) T": _same("max"),
    "min(T, bigint) array(T)": _same("min"),
    "max(T, bigint) array(T)": _same("max"),
    "min_by(V, K) V": _by("arg_min"),
    "max_by(V, K) V": _by("arg_max"),
    "min_by(V, K, bigint) array(V)": _n_by("arg_min"),
    "max_by(V, K, bigint) array(V)": _n_by("arg_max"),
    "arbitrary(T) T": _any,
    "any_value(T) T": _any,
    "array_agg(T) array(T)": _same("list"),
    "bool_and(boolean) boolean": _same("bool_and"),
    "every(boolean) boolean": _same("bool_and"),
    "bool_or(boolean) boolean": _same("bool_or"),
    "count_if(boolean) bigint": _if("count", "CASE WHEN {0} THEN 1 END"),
    "approx_distinct(T) bigint": _same("approx_count_distinct"),
    "approx_distinct(T, double) bigint": _if("approx_count_distinct"),
    "approx_set(T) hyperloglog": _same("approx_count_distinct"),
    "listagg(varchar) varchar": _listagg,
    "listagg(varchar, varchar) varchar": _listagg,
    "geometric_mean(double) double": _geometric_mean,
    "geometric_mean(bigint) double": _geometric_mean,
    "bitwise_and_agg(bigint) bigint": _same("bit_and"),
    "bitwise_or_agg(bigint) bigint": _same("bit_or"),
    "bitwise_xor_agg(bigint) bigint": _same("bit_xor"),
    "histogram(T) map(T,bigint)": _histogram,
    "numeric_histogram(bigint, double) map(double,double)": _numeric_histogram,
    "map_agg(K, V) map(K,V)": _map_of,
    "multimap_agg(K, V) map(K,array(V))": _multimap_of,
    "map_union(map(K,V)) map(K,V)": _map_union,
    "reduce_agg(T, S, function(S,T,S), function(S,S,S)) S": _reduce,
    "skewness(double) double": _skewness,
    "kurtosis(double) double": _same("kurtosis"),
    **_pair("corr", "corr"), **_pair("covar_samp", "covar_samp"), **_pair("covar_pop", "covar_pop"),
    **_pair("regr_slope", "regr_slope"), **_pair("regr_intercept", "regr_intercept"),
    **_statistics("stddev", "stddev_samp"), **_statistics("stddev_samp", "stddev_samp"),
    **_statistics("stddev_pop", "stddev_pop"), **_statistics("variance", "var_samp"),
    **_statistics("var_samp", "var_samp"), **_statistics("var_pop", "var_pop"),
    **_of_numbers("approx_percentile", _percentile),
}, kind="aggregate")  # fmt: skip

WINDOWS: list[Overload] = built(
    {
        "row_number() bigint": _same("row_number"),
        "rank() bigint": _same("rank"),
        "dense_rank() bigint": _same("dense_rank"),
        "percent_rank() double": _same("percent_rank"),
        "cume_dist() double": _same("cume_dist"),
        "ntile(bigint) bigint": _same("ntile"),
        "first_value(T) T": _same("first_value"),
        "last_value(T) T": _same("last_value"),
        "nth_value(T, bigint) T": _same("nth_value"),
        "lag(T) T": _same("lag"),
        "lag(T, bigint) T": _same("lag"),
        "lag(T, bigint, T) T": _same("lag"),
        "lead(T) T": _same("lead"),
        "lead(T, bigint) T": _same("lead"),
        "lead(T, bigint, T) T": _same("lead"),
    },
    kind="window",
)
