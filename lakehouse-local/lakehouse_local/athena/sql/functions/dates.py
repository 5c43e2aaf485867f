"""Dates, times, intervals and time zones. An interval is a whole number of milliseconds or of months."""

from __future__ import annotations

from collections.abc import Callable

from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.functions import date_formats as formats
from lakehouse_local.athena.sql.functions.signatures import FunctionCall, built, table
from lakehouse_local.athena.sql.types import DATE, DAY_TO_SECOND, YEAR_TO_MONTH, Type, common_type
from lakehouse_local.athena.sql.types.casts import coerced, convert
from lakehouse_local.athena.sql.types.typed import Typed, string

MILLISECONDS = {"millisecond": 1, "second": 1000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000,
                "week": 604_800_000}  # fmt: skip
MONTHS = {"month": 1, "quarter": 3, "year": 12}
_DATE_UNITS = ("day", "week", *MONTHS)
_TIME_UNITS = ("millisecond", "second", "minute", "hour")
_ZONED = "timestamp with time zone"


# -- operators -------------------------------------------------------------------------------------------------------


def plus(a: Typed, b: Typed) -> Typed | None:
    """Return `a + b` if one of them is an interval, else None."""
    if a.type in (DAY_TO_SECOND, YEAR_TO_MONTH) and b.type not in (DAY_TO_SECOND, YEAR_TO_MONTH):
        a, b = b, a
    if b.type not in (DAY_TO_SECOND, YEAR_TO_MONTH):
        return None
    if a.type == b.type:
        return Typed(f"({a.sql} + {b.sql})", a.type)
    return _shifted(a, b.sql, months=b.type == YEAR_TO_MONTH)


def minus(a: Typed, b: Typed) -> Typed | None:
    """Return `a - b` if b is an interval or both are moments, else None."""
    if b.type in (DAY_TO_SECOND, YEAR_TO_MONTH):
        if a.type == b.type:
            return Typed(f"({a.sql} - {b.sql})", a.type)
        return None if a.type in (DAY_TO_SECOND, YEAR_TO_MONTH) else _shifted(a, f"(-{b.sql})", b.type == YEAR_TO_MONTH)
    type = common_type(a.type, b.type)
    if type is None or type.name not in ("date", "timestamp", _ZONED):
        return None
    x, y = (_instant(coerced(each, type)) for each in (a, b))
    if type == DATE:
        return Typed(f"(CAST({x} - {y} AS BIGINT) * 86400000)", DAY_TO_SECOND)
    return Typed(f"((epoch_us({x}) - epoch_us({y})) // 1000)", DAY_TO_SECOND)


def scaled(operator: str, a: Typed, b: Typed) -> Typed | None:
    """Return an interval multiplied or divided by a number, or None for other types."""
    if operator == "*" and b.type in (DAY_TO_SECOND, YEAR_TO_MONTH):
        a, b = b, a
    if operator not in "*/" or a.type not in (DAY_TO_SECOND, YEAR_TO_MONTH):
        return None
    number = convert(b.sql, b.type, Type("double"))
    if number is None or b.type.name not in ("tinyint", "smallint", "integer", "bigint", "double", "real"):
        return None
    to = "BIGINT" if a.type == DAY_TO_SECOND else "INTEGER"
    return Typed(f"CAST(trunc({a.sql} {operator} {number}) AS {to})", a.type)


def _shifted(moment: Typed, interval: str, months: bool) -> Typed | None:
    sql, type = moment.sql, moment.type
    if type == DATE:
        return Typed(
            f"CAST({sql} + to_months({interval}) AS DATE)" if months else f"trino_date_plus({sql}, {interval})", type
        )
    step = f"to_months({interval})" if months else f"to_microseconds({interval} * 1000)"
    if type.name in ("timestamp", "time"):
        return None if type.name == "time" and months else Typed(f"({sql} + {step})", type)
    if type.name == _ZONED:
        if months:
            return Typed(f"trino_zone_at(trino_local({sql}) + {step}, struct_extract({sql}, 'zone'))", type)
        return Typed(f"trino_zoned(struct_extract({sql}, 'utc') + {step}, struct_extract({sql}, 'zone'))", type)
    return None


def _instant(value: Typed) -> str:
    return f"struct_extract({value.sql}, 'utc')" if value.type.name == _ZONED else value.sql


def _local(value: Typed) -> str:
    return f"trino_local({value.sql})" if value.type.name == _ZONED else value.sql


# -- units -----------------------------------------------------------------------------------------------------------


def _unit(call: FunctionCall, type: Type) -> str:
    unit = call.args[0].constant
    if not isinstance(unit, str):
        raise SqlError(
            "NOT_SUPPORTED", f"{call.position}A unit that is not a constant is not supported by the local AWS"
        )
    allowed = {"date": _DATE_UNITS, "time": _TIME_UNITS}.get(type.name, (*_TIME_UNITS, *_DATE_UNITS))
    if unit.lower() not in allowed:
        kind = {"date": "DATE", "time": "TIME"}.get(type.name, "TIMESTAMP")
        raise SqlError("INVALID_FUNCTION_ARGUMENT", f"'{unit}' is not a valid {kind} field")
    return unit.lower()


def _date_add(call: FunctionCall) -> Typed:
    _, number, moment = call.args
    unit = _unit(call, moment.type)
    if moment.type == DATE and unit in ("day", "week"):
        days = number.sql if unit == "day" else f"({number.sql} * 7)"
        return Typed(f"({moment.sql} + CAST({days} AS INTEGER))", DATE)
    months = unit in MONTHS
    size = MONTHS[unit] if months else MILLISECONDS[unit]
    count = f"CAST({number.sql} * {size} AS {'INTEGER' if months else 'BIGINT'})"
    found = _shifted(moment, count, months)
    assert found is not None
    return found


def _date_diff(call: FunctionCall) -> str:
    _, a, b = call.args
    unit = _unit(call, a.type)
    return f"date_sub({string(unit)}, {_local(a) if unit in _DATE_UNITS else _instant(a)}, " + (
        f"{_local(b) if unit in _DATE_UNITS else _instant(b)})"
    )


def _date_trunc(call: FunctionCall) -> str:
    moment = call.args[1]
    unit = _unit(call, moment.type)
    truncated = f"date_trunc({string(unit)}, {_local(moment)})"
    if moment.type == DATE:
        return f"CAST({truncated} AS DATE)"
    if moment.type.name == "time":
        return f"CAST(date_trunc({string(unit)}, TIMESTAMP '1970-01-01' + CAST({moment.sql} AS INTERVAL)) AS TIME)"
    if moment.type.name == _ZONED:
        return f"trino_zone_at({truncated}, struct_extract({moment.sql}, 'zone'))"
    return truncated


# -- formats ---------------------------------------------------------------------------------------------------------


def _format(call: FunctionCall, translate: Callable[[str], str]) -> str:
    pattern = call.args[1].constant
    if not isinstance(pattern, str):
        raise SqlError(
            "NOT_SUPPORTED", f"{call.position}A date format that is not a constant is not supported by the local AWS"
        )
    return string(translate(pattern))


def _written(translate: Callable[[str], str]) -> Callable[[FunctionCall], str]:
    return lambda call: f"strftime({_local(call.args[0])}, {_format(call, translate)})"


def _parsed(translate: Callable[[str], str], wrap: str = "{}") -> Callable[[FunctionCall], str]:
    def build(call: FunctionCall) -> str:
        text = call.sql[0]
        parsed = f"trino_parsed({text}, try_strptime({text}, {_format(call, translate)}))"
        return wrap.format(parsed)

    return build


# -- fields ----------------------------------------------------------------------------------------------------------

_FIELDS = {
    "year": "year", "quarter": "quarter", "month": "month", "week": "week", "week_of_year": "week", "day": "day",
    "day_of_month": "day", "day_of_week": "isodow", "dow": "isodow", "day_of_year": "dayofyear", "doy": "dayofyear",
    "year_of_week": "isoyear", "yow": "isoyear",
}  # fmt: skip
_TIME_FIELDS = {
    "hour": "hour({})",
    "minute": "minute({})",
    "second": "second({})",
    "millisecond": "millisecond({}) % 1000",
}
_OF_DAYS = {"day": (86_400_000, None), "hour": (3_600_000, 24), "minute": (60_000, 60), "second": (1000, 60),
            "millisecond": (1, 1000)}  # fmt: skip


def _fields() -> str:
    lines = []
    for name, function in _FIELDS.items():
        lines.append(f"{name}(date) bigint = {function}({{0}})")
        lines.append(f"{name}(timestamp(p)) bigint = {function}({{0}})")
        lines.append(f"{name}(timestamp(p) with time zone) bigint = {function}(trino_local({{0}}))")
    for name, template in _TIME_FIELDS.items():
        lines.append(f"{name}(timestamp(p)) bigint = {template.format('{0}')}")
        lines.append(f"{name}(time(p)) bigint = {template.format('{0}')}")
        lines.append(f"{name}(timestamp(p) with time zone) bigint = {template.format('trino_local({0})')}")
    for name, (size, modulus) in _OF_DAYS.items():
        lines.append(f"{name}(interval day to second) bigint = ({{0}} // {size}){f' % {modulus}' if modulus else ''}")
    lines.append("year(interval year to month) bigint = CAST({0} // 12 AS BIGINT)")
    lines.append("month(interval year to month) bigint = CAST({0} % 12 AS BIGINT)")
    return "\n".join(lines)


FUNCTIONS = [
    *table(_fields()),
    *table("""
        timezone_hour(timestamp(p) with time zone) bigint = trino_zone_offset({0}) // 3600000000
        timezone_minute(timestamp(p) with time zone) bigint = (trino_zone_offset({0}) // 60000000) % 60
        last_day_of_month(date) date = last_day({0})
        last_day_of_month(timestamp(p)) date = last_day({0})
        last_day_of_month(timestamp(p) with time zone) date = last_day(trino_local({0}))
        date(varchar) date = trino_text_to_date({0})
        date(timestamp(p)) date = CAST({0} AS DATE)
        date(timestamp(p) with time zone) date = CAST(trino_local({0}) AS DATE)
        from_unixtime(double) timestamp(3) with time zone = trino_zoned(make_timestamp(CAST(round({0} * 1000) AS BIGINT) * 1000), 'UTC')
        from_unixtime(double, varchar) timestamp(3) with time zone = trino_zoned(make_timestamp(CAST(round({0} * 1000) AS BIGINT) * 1000), {1})
        from_unixtime_nanos(bigint) timestamp(9) with time zone = trino_zoned(make_timestamp({0} // 1000), 'UTC')
        to_unixtime(timestamp(p)) double = epoch({0})
        to_unixtime(timestamp(p) with time zone) double = epoch(struct_extract({0}, 'utc'))
        from_iso8601_timestamp(varchar) timestamp(3) with time zone = trino_zone_at(trino_iso_timestamp({0}), trino_iso_zone({0}))
        from_iso8601_date(varchar) date = trino_text_to_date({0})
        to_iso8601(date) varchar(16) = CAST({0} AS VARCHAR)
        to_iso8601(timestamp(p)) varchar(26) = strftime({0}, '%Y-%m-%dT%H:%M:%S.%g')
        to_iso8601(timestamp(p) with time zone) varchar(32) = strftime(trino_local({0}), '%Y-%m-%dT%H:%M:%S.%g') || CASE WHEN struct_extract({0}, 'zone') = 'UTC' THEN 'Z' ELSE printf('%+03d:%02d', trino_zone_offset({0}) // 3600000000, abs(trino_zone_offset({0}) // 60000000) % 60) END
        to_milliseconds(interval day to second) bigint = {0}
        at_timezone(timestamp(p) with time zone, varchar) timestamp(p) with time zone = trino_zoned(struct_extract({0}, 'utc'), {1})
        with_timezone(timestamp(p), varchar) timestamp(p) with time zone = trino_zone_at({0}, {1})
        human_readable_seconds(double) varchar = trino_human_readable_seconds
        parse_duration(varchar) interval day to second = trino_parse_duration
    """),
    *built(
        {
            "date_add(varchar, bigint, date) date": _date_add,
            "date_add(varchar, bigint, timestamp(p)) timestamp(p)": _date_add,
            "date_add(varchar, bigint, timestamp(p) with time zone) timestamp(p) with time zone": _date_add,
            "date_add(varchar, bigint, time(p)) time(p)": _date_add,
            "date_diff(varchar, date, date) bigint": _date_diff,
            "date_diff(varchar, timestamp(p), timestamp(p)) bigint": _date_diff,
            "date_diff(varchar, timestamp(p) with time zone, timestamp(p) with time zone) bigint": _date_diff,
            "date_diff(varchar, time(p), time(p)) bigint": _date_diff,
            "date_trunc(varchar, date) date": _date_trunc,
            "date_trunc(varchar, timestamp(p)) timestamp(p)": _date_trunc,
            "date_trunc(varchar, timestamp(p) with time zone) timestamp(p) with time zone": _date_trunc,
            "date_trunc(varchar, time(p)) time(p)": _date_trunc,
            "date_format(timestamp(p), varchar) varchar": _written(formats.mysql),
            "date_format(timestamp(p) with time zone, varchar) varchar": _written(formats.mysql),
            "format_datetime(timestamp(p), varchar) varchar": _written(formats.joda),
            "format_datetime(timestamp(p) with time zone, varchar) varchar": _written(formats.joda),
            "to_char(timestamp(p), varchar) varchar": _written(formats.teradata),
            "date_parse(varchar, varchar) timestamp(3)": _parsed(formats.mysql),
            "parse_datetime(varchar, varchar) timestamp(3) with time zone": _parsed(
                formats.joda, "trino_zoned({}, 'UTC')"
            ),
            "to_date(varchar, varchar) date": _parsed(formats.teradata, "CAST({} AS DATE)"),
            "to_timestamp(varchar, varchar) timestamp(3)": _parsed(formats.teradata),
        }
    ),
]
