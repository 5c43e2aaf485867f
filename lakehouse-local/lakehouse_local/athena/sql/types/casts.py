"""CAST: the pairs of types that Trino converts, and their conversions in DuckDB."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from lakehouse_local.athena.sql.types import INTEGERS, VARCHAR, Type, duckdb_type
from lakehouse_local.athena.sql.types.typed import Typed, quoted, string

Rule = Callable[[str, Type, Type], str | None]
_names = count()


def cast(value: Typed, target: Type) -> str | None:
    """Return DuckDB's text of CAST(value AS target); None if Trino refuses the two types."""
    return convert(value.sql, value.type, target)


def convert(sql: str, source: Type, target: Type) -> str | None:
    """Return what `cast` returns, for DuckDB's text of a value of type `source`."""
    if source == target:
        return sql
    if source.name == "unknown":
        return f"CAST(NULL AS {duckdb_type(target)})"
    rule = _RULES.get((_kind(source), _kind(target)))
    return rule(sql, source, target) if rule else None


def coerced(value: Typed, target: Type) -> Typed:
    """Return a value implicitly converted to `target`."""
    if value.type == target:
        return value
    if value.type.name == target.name == "varchar":
        return Typed(value.sql, target, value.constant)
    if value.type.name == "row" and value.type.types == target.types and not any(value.type.fields):
        sql: str | None = _row(value.sql, value.type, target)
    else:
        sql = convert(value.sql, value.type, target)
    assert sql is not None, f"{value.type} is not turned into {target}"
    return Typed(sql, target, value.constant)


def _kind(type: Type) -> str:
    return "integer" if type.name in INTEGERS else "float" if type.name in ("real", "double") else type.name


def _plain(sql: str, source: Type, target: Type) -> str:
    return f"CAST({sql} AS {duckdb_type(target)})"


def _java_name(type: Type) -> str:
    return {"integer": "INT", "decimal": f"DECIMAL({type.size}, {type.scale})" if type.name == "decimal" else ""}.get(
        type.name, type.name.upper()
    )


def _limited(sql: str, source: Type, target: Type) -> str:
    """Return text cut to the target's length."""
    if target.size is None or (source.size is not None and source.size <= target.size and source.name == target.name):
        return sql
    return f"left({sql}, {target.size})"


def _to_text(write: Callable[[str, Type], str]) -> Rule:
    return lambda sql, source, target: _limited(write(sql, source), VARCHAR, target)


def _to_char(sql: str, source: Type, target: Type) -> str:
    return f"rpad({sql}, {target.size}, ' ')"


def _float_to_integer(sql: str, source: Type, target: Type) -> str:
    return f"CAST(trino_whole({sql}, {string(_java_name(target))}) AS {duckdb_type(target)})"


def _number_to_decimal(sql: str, source: Type, target: Type) -> str:
    if source.name == "decimal" and (source.size or 0) - source.scale <= (target.size or 0) - target.scale:
        return _plain(sql, source, target)
    if source.name in INTEGERS and INTEGERS[source.name] <= (target.size or 0) - target.scale:
        return _plain(sql, source, target)
    to = duckdb_type(target)
    what = f"{string(_java_name(source) + ' ')} || chr(39) || {sql} || chr(39) || {string(f' to {_java_name(target)}')}"
    return f"CAST(trino_fitting({sql}, TRY_CAST({sql} AS {to}), {what}) AS {to})"


def _text_to_decimal(sql: str, source: Type, target: Type) -> str:
    to = duckdb_type(target)
    checked = f"trino_checked_decimal({sql}, TRY_CAST(trim({sql}) AS {to}), {string(_java_name(target))})"
    return f"CAST({checked} AS {to})"


def _text_to_integer(sql: str, source: Type, target: Type) -> str:
    return f"CAST(trino_text_to_integer({sql}, {string(_java_name(target))}) AS {duckdb_type(target)})"


def _text_to_float(sql: str, source: Type, target: Type) -> str:
    parsed = f"trino_text_to_float({sql}, {string(target.name.upper())})"
    return parsed if target.name == "double" else f"CAST({parsed} AS FLOAT)"


def _text_to(function: str) -> Rule:
    def rule(sql: str, source: Type, target: Type) -> str:
        return _rounded(f"{function}({sql})", 9, target) if target.name == "timestamp" else f"{function}({sql})"

    return rule


def _rounded(sql: str, precision: int, target: Type) -> str:
    """Round a timestamp to the target's precision."""
    wanted = target.size or 0
    if wanted > 6:
        return f"CAST({sql} AS TIMESTAMP_NS)"
    return sql if wanted >= min(precision, 6) else f"trino_round_timestamp({sql}, {10 ** (6 - wanted)})"


def _timestamp_to_timestamp(sql: str, source: Type, target: Type) -> str:
    if (source.size or 0) > 6 >= (target.size or 0):
        sql = f"CAST({sql} AS TIMESTAMP)"
    return _rounded(sql, source.size or 0, target)


def _fraction(sql: str, precision: int) -> str:
    if not precision:
        return ""
    directive = {3: "%g", 6: "%f", 9: "%n"}.get(precision)
    if directive:
        return f" || strftime({sql}, '.{directive}')"
    return f" || left(strftime({sql}, '.%f'), {precision + 1})"


def _timestamp_text(sql: str, source: Type) -> str:
    if (source.size or 0) > 6:
        return f"(strftime({sql}, '%Y-%m-%d %H:%M:%S'){_fraction(sql, 9)})"
    return f"(strftime({sql}, '%Y-%m-%d %H:%M:%S'){_fraction(sql, source.size or 0)})"


def _zoned_text(sql: str, source: Type) -> str:
    return f"({_timestamp_text(f'trino_local({sql})', source)} || ' ' || struct_extract({sql}, 'zone'))"


def _time_text(sql: str, source: Type) -> str:
    moment = f"(DATE '1970-01-01' + {sql})"
    return f"(strftime({moment}, '%H:%M:%S'){_fraction(moment, source.size or 0)})"


def _array(sql: str, source: Type, target: Type) -> str | None:
    name = f"e{next(_names)}"
    element = convert(name, source.element, target.element)
    return sql if element == name else None if element is None else f"list_transform({sql}, lambda {name}: {element})"


def _map(sql: str, source: Type, target: Type) -> str | None:
    name = f"e{next(_names)}"
    key = convert(f"struct_extract({name}, 'key')", source.type_at(0), target.type_at(0))
    value = convert(f"struct_extract({name}, 'value')", source.type_at(1), target.type_at(1))
    if key is None or value is None:
        return None
    entry = f"{{'key': {key}, 'value': {value}}}"
    return f"map_from_entries(list_transform(map_entries({sql}), lambda {name}: {entry}))"


def _row(sql: str, source: Type, target: Type) -> str | None:
    if len(source.types) != len(target.types):
        return None
    parts = []
    for i, (before, after) in enumerate(zip(source.types, target.types, strict=True)):
        part = convert(f"struct_extract({sql}, {string(source.field_name(i))})", before, after)
        if part is None:
            return None
        parts.append(f"{quoted(target.field_name(i))}: {part}")
    return f"CASE WHEN {sql} IS NOT NULL THEN {{{', '.join(parts)}}} END"


# -- json ------------------------------------------------------------------------------------------------------------


def _json_text(sql: str, type: Type, depth: int = 0) -> str | None:
    """Return the JSON text of a value of this type, NULL for NULL; None for types without JSON."""
    name = f"j{depth}"
    if type.name in ("boolean", "decimal") or type.name in INTEGERS:
        return f"CAST({sql} AS VARCHAR)"
    if type.name in ("double", "real"):
        return f"CAST(to_json({sql}) AS VARCHAR)"
    if type.name == "json":
        return sql
    if type.name in ("varchar", "char"):
        return f"CAST(to_json({sql}) AS VARCHAR)"
    if type.name in ("date", "timestamp", "timestamp with time zone", "time"):
        written = convert(sql, type, VARCHAR)
        return f"('\"' || {written} || '\"')"
    if type.name == "unknown":
        return "CAST(NULL AS VARCHAR)"
    if type.name == "array":
        inner = _json_text(name, type.element, depth + 1)
        joined = f"array_to_string(list_transform({sql}, lambda {name}: coalesce({inner}, 'null')), ',')"
        return inner and f"('[' || {joined} || ']')"
    if type.name == "map":
        key = convert(f"struct_extract({name}, 'key')", type.type_at(0), VARCHAR)
        value = _json_text(f"struct_extract({name}, 'value')", type.type_at(1), depth + 1)
        entry = f"CAST(to_json({key}) AS VARCHAR) || ':' || coalesce({value}, 'null')"
        entries = f"list_sort(list_transform(map_entries({sql}), lambda {name}: {entry}))"
        return key and value and f"('{{' || array_to_string({entries}, ',') || '}}')"
    if type.name == "row":
        parts = []
        for i, each in enumerate(type.types):
            inner = _json_text(f"struct_extract({sql}, {string(type.field_name(i))})", each, depth + 1)
            if inner is None:
                return None
            label = string(f'"{type.fields[i] or ""}":')
            parts.append(f"{label} || coalesce({inner}, 'null')")
        joined = " || ',' || ".join(parts)
        return f"CASE WHEN {sql} IS NOT NULL THEN '{{' || {joined} || '}}' END"
    return None


def to_json(sql: str, source: Type, target: Type) -> str | None:
    """Return the JSON text of a value; None for types without JSON."""
    return _json_text(sql, source)


def _from_json(sql: str, source: Type, target: Type) -> str:
    return f"CAST(CAST(trino_from_json({sql}) AS JSON) AS {duckdb_type(target)})"


def _from_json_text(sql: str, source: Type, target: Type) -> str | None:
    text = f"trino_json_text({sql})"
    return convert(text, VARCHAR, target)


_DIRECT: tuple[tuple[str, str], ...] = (
    ("integer", "integer"), ("integer", "float"), ("integer", "boolean"), ("boolean", "integer"), ("boolean", "float"),
    ("boolean", "decimal"), ("float", "float"), ("float", "boolean"), ("decimal", "integer"), ("decimal", "float"),
    ("decimal", "boolean"), ("date", "timestamp"), ("timestamp", "date"), ("timestamp", "time"), ("time", "time"),
    ("uuid", "varbinary"),
)  # fmt: skip

_RULES: dict[tuple[str, str], Rule] = {
    **dict.fromkeys(_DIRECT, _plain),
    ("float", "integer"): _float_to_integer,
    ("integer", "decimal"): _number_to_decimal,
    ("float", "decimal"): _number_to_decimal,
    ("decimal", "decimal"): _number_to_decimal,
    ("varchar", "varchar"): _limited,
    ("char", "varchar"): _limited,
    ("char", "char"): _to_char,
    ("varchar", "char"): _to_char,
    ("varchar", "integer"): _text_to_integer,
    ("varchar", "float"): _text_to_float,
    ("varchar", "decimal"): _text_to_decimal,
    ("varchar", "boolean"): _text_to("trino_text_to_boolean"),
    ("varchar", "date"): _text_to("trino_text_to_date"),
    ("varchar", "timestamp"): _text_to("trino_text_to_timestamp"),
    ("varchar", "time"): _text_to("trino_text_to_time"),
    ("varchar", "timestamp with time zone"): _text_to("trino_text_to_zoned"),
    ("varchar", "uuid"): _plain,
    ("integer", "varchar"): _to_text(lambda sql, source: f"CAST({sql} AS VARCHAR)"),
    ("decimal", "varchar"): _to_text(lambda sql, source: f"CAST({sql} AS VARCHAR)"),
    ("boolean", "varchar"): _to_text(lambda sql, source: f"CAST({sql} AS VARCHAR)"),
    ("date", "varchar"): _to_text(lambda sql, source: f"CAST({sql} AS VARCHAR)"),
    ("uuid", "varchar"): _to_text(lambda sql, source: f"CAST({sql} AS VARCHAR)"),
    ("ipaddress", "varchar"): _to_text(lambda sql, source: sql),
    ("float", "varchar"): _to_text(lambda sql, source: f"trino_double_text({sql})"),
    ("timestamp", "varchar"): _to_text(_timestamp_text),
    ("timestamp with time zone", "varchar"): _to_text(_zoned_text),
    ("time", "varchar"): _to_text(_time_text),
    ("interval day to second", "varchar"): _to_text(lambda sql, source: f"trino_text_of_days({sql})"),
    ("interval year to month", "varchar"): _to_text(lambda sql, source: f"trino_text_of_months({sql})"),
    ("timestamp", "timestamp"): _timestamp_to_timestamp,
    ("timestamp", "timestamp with time zone"): lambda sql, source, target: f"trino_zoned({sql}, 'UTC')",
    ("date", "timestamp with time zone"): lambda sql, source, target: f"trino_zoned(CAST({sql} AS TIMESTAMP), 'UTC')",
    ("timestamp with time zone", "timestamp with time zone"): lambda sql, source, target: sql,
    ("timestamp with time zone", "timestamp"): lambda sql, source, target: _timestamp_to_timestamp(
        f"trino_local({sql})", source, target
    ),
    ("timestamp with time zone", "date"): lambda sql, source, target: f"CAST(trino_local({sql}) AS DATE)",
    ("timestamp with time zone", "time"): lambda sql, source, target: f"CAST(trino_local({sql}) AS TIME)",
    ("time", "timestamp"): lambda sql, source, target: f"(DATE '1970-01-01' + {sql})",
    ("array", "array"): _array,
    ("map", "map"): _map,
    ("row", "row"): _row,
    **{(kind, "json"): to_json for kind in (
        "integer", "float", "decimal", "boolean", "varchar", "char", "date", "timestamp", "timestamp with time zone",
        "array", "map", "row",
    )},
    **{("json", kind): _from_json for kind in ("array", "map", "row")},
    **{("json", kind): _from_json_text for kind in ("integer", "float", "decimal", "boolean", "varchar")},
}  # fmt: skip
