"""Arrays, maps and rows."""

from __future__ import annotations

from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.functions.signatures import FunctionCall, built, table
from lakehouse_local.athena.sql.types import (
    DATE,
    VARCHAR,
    YEAR_TO_MONTH,
    array,
    common_type,
    map_of,
    row,
)
from lakehouse_local.athena.sql.types.casts import coerced, convert
from lakehouse_local.athena.sql.types.typed import Typed, quoted, string


def _mapped(call: FunctionCall) -> str:
    name = call.fresh()
    return f"list_transform({call.sql[0]}, lambda {name}: {call.lambdas[0](name)})"


def _filtered(call: FunctionCall) -> str:
    name = call.fresh()
    return f"list_filter({call.sql[0]}, lambda {name}: {call.lambdas[0](name)})"


def _matched(macro: str, negated: bool = False):  # type: ignore[no-untyped-def]
    def build(call: FunctionCall) -> str:
        found = f"{macro}({_mapped(call)})"
        return f"(NOT {found})" if negated else found

    return build


def _reduced(call: FunctionCall) -> str:
    state, element = call.fresh(), call.fresh()
    values, initial = call.sql[0], call.sql[1]
    step = call.lambdas[0](state, element)
    total = f"list_reduce({values}, lambda {state}, {element}: {step}, {initial})"
    return call.lambdas[1](total)


def _zipped_with(call: FunctionCall) -> str:
    name = call.fresh()
    a, b = call.sql[:2]
    pair = (f"struct_extract({name}, 1)", f"struct_extract({name}, 2)")
    return f"list_transform(list_zip({a}, {b}), lambda {name}: {call.lambdas[0](*pair)})"


def _entries(call: FunctionCall, key: str | None, value: str | None, keep: str | None = None) -> str:
    name = call.fresh()
    k, v = f"struct_extract({name}, 'key')", f"struct_extract({name}, 'value')"
    entries = f"map_entries({call.sql[0]})"
    if keep is not None:
        return f"map_from_entries(list_filter({entries}, lambda {name}: {call.lambdas[0](k, v)}))"
    changed = call.lambdas[0](k, v)
    entry = f"{{'key': {k if key is None else changed}, 'value': {v if value is None else changed}}}"
    return f"map_from_entries(list_transform({entries}, lambda {name}: {entry}))"


def _compared(call: FunctionCall) -> str:
    """Build array_sort by a comparator: an element's place is the number of elements before it."""
    e, i, o, j, r = (call.fresh() for _ in range(5))
    values = call.sql[0]
    before = f"{call.lambdas[0](o, e)} < 0 OR ({call.lambdas[0](o, e)} = 0 AND {j} < {i})"
    rank = f"len(list_filter({values}, lambda {o}, {j}: {before}))"
    ranked = f"list_sort(list_transform({values}, lambda {e}, {i}: {{'r': {rank}, 'v': {e}}}))"
    return f"list_transform({ranked}, lambda {r}: struct_extract({r}, 'v'))"


def _zipped(call: FunctionCall) -> Typed:
    name = call.fresh()
    types = [arg.type.element for arg in call.args]
    fields = ", ".join(f"'field{i}': struct_extract({name}, {i + 1})" for i in range(len(types)))
    sql = f"list_transform(list_zip({', '.join(call.sql)}), lambda {name}: {{{fields}}})"
    return Typed(sql, array(row(*((None, type) for type in types))))


def _map_entries(call: FunctionCall) -> Typed:
    name = call.fresh()
    type = call.args[0].type
    entry = f"{{'field0': struct_extract({name}, 'key'), 'field1': struct_extract({name}, 'value')}}"
    sql = f"list_transform(map_entries({call.sql[0]}), lambda {name}: {entry})"
    return Typed(sql, array(row((None, type.type_at(0)), (None, type.type_at(1)))))


def _from_entries(call: FunctionCall) -> Typed:
    name = call.fresh()
    type = call.args[0].type.element
    if type.name != "row" or len(type.types) != 2:
        raise SqlError(
            "FUNCTION_NOT_FOUND", f"{call.position}Unexpected parameters (array({type})) for function map_from_entries"
        )
    key, value = (f"struct_extract({name}, {string(type.field_name(i))})" for i in range(2))
    entries = f"list_transform({call.sql[0]}, lambda {name}: {{'key': {key}, 'value': {value}}})"
    return Typed(f"map_from_entries({entries})", map_of(type.types[0], type.types[1]))


def _joined(call: FunctionCall) -> str:
    name = call.fresh()
    values = call.args[0]
    text = convert(name, values.type.element, VARCHAR)
    if text is None:
        raise SqlError("NOT_SUPPORTED", f"Input type {values.type.element} not supported")
    if len(call.args) > 2:
        text = f"coalesce({text}, {call.sql[2]})"
    return f"coalesce(array_to_string(list_transform({values.sql}, lambda {name}: {text}), {call.sql[1]}), '')"


def _joined_or_null(call: FunctionCall) -> str:
    return f"CASE WHEN {call.sql[0]} IS NOT NULL THEN {_joined(call)} END"


def _sequence(call: FunctionCall) -> str:
    step = f", {call.sql[2]}" if len(call.sql) > 2 else ""
    if step:
        return f"generate_series({call.sql[0]}, {call.sql[1]}{step})"
    return f"generate_series({call.sql[0]}, {call.sql[1]}, CASE WHEN {call.sql[0]} <= {call.sql[1]} THEN 1 ELSE -1 END)"


def _sequence_of_moments(call: FunctionCall) -> str:
    start, stop = call.args[:2]
    if len(call.args) == 2:
        step = "INTERVAL 1 DAY"
    elif call.args[2].type == YEAR_TO_MONTH:
        step = f"to_months({call.sql[2]})"
    else:
        step = f"to_microseconds({call.sql[2]} * 1000)"
    moments = f"generate_series(CAST({start.sql} AS TIMESTAMP), CAST({stop.sql} AS TIMESTAMP), {step})"
    return f"CAST({moments} AS DATE[])" if start.type == DATE else moments


def _ngrams(call: FunctionCall) -> str:
    i = call.fresh()
    values, n = call.sql
    return (
        f"CASE WHEN len({values}) <= {n} THEN [{values}] ELSE list_transform(range(1, len({values}) - {n} + 2), "
        f"lambda {i}: list_slice({values}, {i}, {i} + {n} - 1)) END"
    )


def _combinations(call: FunctionCall) -> Typed:
    type = call.args[0].type
    if type.element.name != "varchar":
        raise SqlError(
            "NOT_SUPPORTED", f"{call.position}combinations of {type.element} is not supported by the local AWS"
        )
    return Typed(f"trino_combinations({', '.join(call.sql)})", array(type))


def _split_to_map(call: FunctionCall) -> str:
    entry = call.fresh()
    text, entries, pairs = call.sql
    parts = f"string_split({entry}, {pairs})"
    return (
        f"map_from_entries(list_transform(string_split({text}, {entries}), "
        f"lambda {entry}: {{'key': list_extract({parts}, 1), 'value': list_extract({parts}, 2)}}))"
    )


def concatenated(a: Typed, b: Typed) -> Typed | None:
    """Return `a || b` if one of them is an array, else None."""
    arrays = (a.type.name == "array", b.type.name == "array")
    if arrays == (True, True):
        element = common_type(a.type.element, b.type.element)
    elif arrays == (True, False):
        element = common_type(a.type.element, b.type)
    elif arrays == (False, True):
        element = common_type(a.type, b.type.element)
    else:
        return None
    if element is None:
        return None
    type = array(element)
    x = coerced(a, type).sql if arrays[0] else f"[{coerced(a, element).sql}]"
    y = coerced(b, type).sql if arrays[1] else f"[{coerced(b, element).sql}]"
    return Typed(f"trino_concat_arrays({x}, {y})", type)


def _concat_arrays(call: FunctionCall) -> Typed:
    total = call.args[0]
    for each in call.args[1:]:
        joined = concatenated(total, each)
        assert joined is not None
        total = joined
    return total


def row_of(values: list[Typed], names: list[str | None] | None = None) -> Typed:
    """Return ROW(values)."""
    type = row(*zip(names or [None] * len(values), (each.type for each in values), strict=True))
    fields = ", ".join(f"{quoted(type.field_name(i))}: {each.sql}" for i, each in enumerate(values))
    return Typed(f"{{{fields}}}", type)


FUNCTIONS = [
    *table(
        """
        cardinality(array(T)) bigint = CAST(len({0}) AS BIGINT)
        cardinality(map(K,V)) bigint = CAST(cardinality({0}) AS BIGINT)
        cardinality(hyperloglog) bigint = {0}
        element_at(array(E), bigint) E = trino_element_at
        element_at(map(K,V), K) V = map_extract_value
        contains(array(T), T) boolean = trino_contains
        array_position(array(T), T) bigint = CAST(coalesce(list_position({0}, {1}), CASE WHEN {0} IS NOT NULL AND {1} IS NOT NULL THEN 0 END) AS BIGINT)
        slice(array(T), bigint, bigint) array(T) = trino_slice
        trim_array(array(T), bigint) array(T) = list_slice({0}, 1, len({0}) - {1})
        array_sort(array(T)) array(T) = list_sort({0}, 'ASC', 'NULLS LAST')
        array_max(array(T)) T = trino_extreme({0}, list_max({0}))
        array_min(array(T)) T = trino_extreme({0}, list_min({0}))
        array_distinct(array(T)) array(T) = trino_distinct
        array_remove(array(T), T) array(T) = list_filter({0}, lambda e: e <> {1})
        array_intersect(array(T), array(T)) array(T) = trino_distinct(list_filter({0}, lambda e: trino_has({1}, e)))
        array_except(array(T), array(T)) array(T) = trino_distinct(list_filter({0}, lambda e: NOT trino_has({1}, e)))
        array_union(array(T), array(T)) array(T) = trino_distinct(trino_concat_arrays({0}, {1}))
        arrays_overlap(array(T), array(T)) boolean = trino_overlap
        flatten(array(array(T))) array(T) = flatten
        repeat(T, bigint) array(T) = list_transform(range({1}), lambda i: {0})
        shuffle(array(T)) array(T) = {0}
        map_keys(map(K,V)) array(K) = map_keys
        map_values(map(K,V)) array(V) = map_values
        map() map(unknown, unknown) = MAP {}
        map(array(K), array(V)) map(K,V) = map
        map_concat(map(K,V), map(K,V)) map(K,V) = trino_map_merge
    """.replace("MAP {}", "MAP {{}}")
    ),
    *built(
        {
            "transform(array(T), function(T,R)) array(R)": _mapped,
            "filter(array(T), function(T,boolean)) array(T)": _filtered,
            "any_match(array(T), function(T,boolean)) boolean": _matched("trino_any"),
            "all_match(array(T), function(T,boolean)) boolean": _matched("trino_all"),
            "none_match(array(T), function(T,boolean)) boolean": _matched("trino_any", negated=True),
            "reduce(array(T), S, function(S,T,S), function(S,R)) R": _reduced,
            "zip_with(array(T), array(U), function(T,U,R)) array(R)": _zipped_with,
            "array_sort(array(T), function(T,T,bigint)) array(T)": _compared,
            "array_join(array(T), varchar) varchar": _joined_or_null,
            "array_join(array(T), varchar, varchar) varchar": _joined_or_null,
            "map_filter(map(K,V), function(K,V,boolean)) map(K,V)": lambda call: _entries(call, None, None, keep="yes"),
            "transform_values(map(K,V), function(K,V,R)) map(K,R)": lambda call: _entries(call, None, "changed"),
            "transform_keys(map(K,V), function(K,V,R)) map(R,V)": lambda call: _entries(call, "changed", None),
            "zip(array(A), array(B)) array(row(A,B))": _zipped,
            "zip(array(A), array(B), array(C)) array(row(A,B,C))": _zipped,
            "map_entries(map(K,V)) array(row(K,V))": _map_entries,
            "map_from_entries(array(T)) map(T,T)": _from_entries,
            "sequence(bigint, bigint) array(bigint)": _sequence,
            "sequence(bigint, bigint, bigint) array(bigint)": _sequence,
            "sequence(date, date) array(date)": _sequence_of_moments,
            "sequence(date, date, interval day to second) array(date)": _sequence_of_moments,
            "sequence(date, date, interval year to month) array(date)": _sequence_of_moments,
            "sequence(timestamp(p), timestamp(p), interval day to second) array(timestamp(p))": _sequence_of_moments,
            "sequence(timestamp(p), timestamp(p), interval year to month) array(timestamp(p))": _sequence_of_moments,
            "ngrams(array(T), bigint) array(array(T))": _ngrams,
            "combinations(array(T), bigint) array(array(T))": _combinations,
            "split_to_map(varchar, varchar, varchar) map(varchar,varchar)": _split_to_map,
            "concat(array(E), array(E)...) array(E)": _concat_arrays,
        }
    ),
]
