"""Literals: numbers, text, bytes, intervals, and typed ones such as DATE '2024-01-31'."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trino_query_parser.SqlBaseParser import SqlBaseParser as P

from lakehouse_local.athena.sql.compile.tree import position
from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.types import (
    BIGINT,
    BOOLEAN,
    DATE,
    DAY_TO_SECOND,
    DOUBLE,
    INTEGER,
    JSON,
    UNKNOWN,
    VARBINARY,
    YEAR_TO_MONTH,
    Type,
    decimal,
    parse_type,
    varchar,
)
from lakehouse_local.athena.sql.types.casts import cast
from lakehouse_local.athena.sql.types.typed import Typed, string

NULL = Typed("NULL", UNKNOWN)
_DATE = re.compile(r"\s*([+-]?\d{4,})-(\d{1,2})-(\d{1,2})\s*")
_MOMENT = re.compile(
    r"([+-]?\d{4,}-\d{1,2}-\d{1,2})(?:[ T](\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.(\d{1,12}))?)?))?(?: ?(\S+))?"
)
_TIME = re.compile(r"(\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.(\d{1,12}))?)?)")
_UNITS = {"day": 86_400_000, "hour": 3_600_000, "minute": 60_000, "second": 1000}


def text_of(node: Any) -> str:
    """Return the text that a string literal holds."""
    written: str = node.getText()
    if isinstance(node, P.UnicodeStringLiteralContext):
        escape = node.STRING().getText()[1:-1] if node.STRING() else "\\"
        body = node.UNICODE_STRING().getText()[3:-1].replace("''", "'")
        pattern = re.escape(escape) + r"(?:\+([0-9a-fA-F]{6})|([0-9a-fA-F]{4})|(" + re.escape(escape) + "))"
        return re.sub(pattern, lambda m: m[3] or chr(int(m[1] or m[2], 16)), body)
    return written[1:-1].replace("''", "'")


def text(value: str) -> Typed:
    return Typed(string(value), varchar(len(value)), value)


def number(node: Any) -> Typed:
    """Compile a numeric literal: integer or bigint, decimal, double."""
    written: str = node.getText().replace("_", "")
    if isinstance(node, P.IntegerLiteralContext):
        value = int(written, 0) if re.match(r"-?0[xXoObB]", written) else int(written)
        if -(2**31) <= value < 2**31:
            return Typed(str(value) if value >= 0 else f"({value})", INTEGER, value)
        if -(2**63) <= value < 2**63:
            return Typed(f"CAST({string(str(value))} AS BIGINT)", BIGINT, value)
        raise SqlError("INVALID_LITERAL", f"{position(node)}Invalid numeric literal: {written}")
    if isinstance(node, P.DoubleLiteralContext):
        return Typed(f"CAST({string(written)} AS DOUBLE)", DOUBLE, float(written))
    return decimal_of(written, position(node))


def decimal_of(written: str, where: str) -> Typed:
    """Return a decimal whose precision and scale are those of the text."""
    match = re.fullmatch(r"\s*([+-]?)(\d*)\.?(\d*)\s*", written)
    if not match or not (match[2] or match[3]):
        raise SqlError("INVALID_LITERAL", f"{where}'{written}' is not a valid DECIMAL literal")
    scale = len(match[3])
    precision = max(len(match[2].lstrip("0")) + scale, 1)
    if precision > 38:
        raise SqlError("INVALID_LITERAL", f"{where}Invalid decimal literal: {written}")
    return Typed(
        f"CAST({string(written.strip())} AS DECIMAL({precision},{scale}))", decimal(precision, scale), Decimal(written)
    )


def binary(node: Any) -> Typed:
    """Compile X'6162'."""
    digits = re.sub(r"\s", "", node.getText()[2:-1])
    if len(digits) % 2 or not re.fullmatch(r"[0-9a-fA-F]*", digits):
        raise SqlError("INVALID_LITERAL", f"{position(node)}Binary literal must contain an even number of hex digits")
    return Typed(f"unhex({string(digits)})", VARBINARY)


def boolean(value: bool) -> Typed:
    return Typed("true" if value else "false", BOOLEAN, value)


def typed_text(type_name: str, written: str, where: str) -> Typed:
    """Compile DATE '...', TIMESTAMP '...', DECIMAL '...' and so on."""
    type_name = type_name.lower()
    if type_name == "decimal":
        return decimal_of(written, where)
    if type_name in ("date", "timestamp", "time"):
        found = {"date": _date, "timestamp": _timestamp, "time": _time}[type_name](written)
        if found is None:
            raise SqlError("INVALID_LITERAL", f"{where}'{written}' is not a valid {type_name.upper()} literal")
        return found
    if type_name == "json":
        return Typed(f"trino_json_parse({string(written)})", JSON)
    try:
        target = parse_type(type_name)
    except ValueError:
        raise SqlError("TYPE_NOT_FOUND", f"{where}Unknown type: {type_name}") from None
    sql = cast(text(written), target)
    if sql is None:
        raise SqlError("INVALID_LITERAL", f"{where}'{written}' is not a valid {type_name.upper()} literal")
    return Typed(sql, target)


def _valid_date(year: str, month: str, day: str) -> str | None:
    months = (31, 29 if _leap(int(year)) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    if not 1 <= int(month) <= 12 or not 1 <= int(day) <= months[int(month) - 1]:
        return None
    return f"{year}-{int(month):02d}-{int(day):02d}"


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _date(written: str) -> Typed | None:
    match = _DATE.fullmatch(written)
    day = match and _valid_date(*match.groups())
    return Typed(f"CAST({string(day)} AS DATE)", DATE, day) if day else None


def _valid_time(clock: str) -> str | None:
    parts = clock.split(":")
    second = parts[2] if len(parts) > 2 else "0"
    if int(parts[0]) > 23 or int(parts[1]) > 59 or float(second) >= 60:
        return None
    whole, _, fraction = second.partition(".")
    return f"{int(parts[0]):02d}:{int(parts[1]):02d}:{int(whole):02d}" + (f".{fraction}" if fraction else "")


def _timestamp(written: str) -> Typed | None:
    match = _MOMENT.fullmatch(written.strip())
    if not match:
        return None
    parts = _DATE.fullmatch(match[1])
    day = parts and _valid_date(*parts.groups())
    clock = _valid_time(match[2] or "00:00:00")
    if not day or not clock:
        return None
    precision = len(match[3] or "")
    kind = "TIMESTAMP_NS" if precision > 6 else "TIMESTAMP"
    sql = f"CAST({string(f'{day} {clock}')} AS {kind})"
    if not match[4]:
        return Typed(sql, Type("timestamp", (precision,)))
    zone = match[4]
    if not re.fullmatch(r"[+-]\d{1,2}(:?\d{2})?|[A-Za-z][\w/+-]*", zone):
        return None
    if re.fullmatch(r"[+-].*", zone):
        hours, minutes = re.fullmatch(r"([+-]\d{1,2}):?(\d{2})?", zone).groups()  # type: ignore[union-attr]
        zone = f"{hours[0]}{int(hours[1:]):02d}:{minutes or '00'}"
    elif not _exists(f"{day} {clock.partition('.')[0]}", zone):
        return None
    return Typed(f"trino_zone_at({sql}, {string(zone)})", Type("timestamp with time zone", (precision,)))


def _exists(moment: str, zone: str) -> bool:
    """Return True if a local time exists in a zone, which the hour skipped in spring does not."""
    try:
        there = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone))
    except (ValueError, ZoneInfoNotFoundError):
        return False
    return there.astimezone(timezone.utc).astimezone(there.tzinfo).replace(tzinfo=None) == there.replace(tzinfo=None)


def _time(written: str) -> Typed | None:
    match = _TIME.fullmatch(written.strip())
    clock = match and _valid_time(match[1])
    if not match or not clock:
        return None
    return Typed(f"CAST({string(clock)} AS TIME)", Type("time", (len(match[2] or ""),)))


def interval(node: Any) -> Typed:
    """Compile INTERVAL '1' DAY, INTERVAL '1-2' YEAR TO MONTH, INTERVAL '1 02:03:04' DAY TO SECOND."""
    written = text_of(node.string())
    first = node.from_ if hasattr(node, "from_") else node.intervalField(0)
    begin = first.getText().lower()
    end = node.to.getText().lower() if node.to else begin
    sign = -1 if node.sign is not None and node.sign.text == "-" else 1
    if written.startswith("-"):
        sign, written = -sign, written[1:]
    months = begin in ("year", "month")
    value = _months(written, begin, end) if months else _milliseconds(written, begin, end)
    if value is None:
        raise SqlError("INVALID_LITERAL", f"{position(node)}'{written}' is not a valid INTERVAL literal")
    type = YEAR_TO_MONTH if months else DAY_TO_SECOND
    return Typed(f"CAST({sign * value} AS {'INTEGER' if months else 'BIGINT'})", type, sign * value)


def _months(written: str, begin: str, end: str) -> int | None:
    if begin == end:
        return int(written) * (12 if begin == "year" else 1) if re.fullmatch(r"\d+", written) else None
    match = re.fullmatch(r"(\d+)-(\d+)", written)
    return int(match[1]) * 12 + int(match[2]) if match and (begin, end) == ("year", "month") else None


def _milliseconds(written: str, begin: str, end: str) -> int | None:
    units = list(_UNITS)
    if begin not in units or end not in units:
        return None
    expected = units[units.index(begin) : units.index(end) + 1]
    parts = re.split(r"[ :]", written)
    if len(parts) > len(expected) or not expected:
        return None
    total = 0
    for unit, part in zip(expected, parts, strict=False):
        if not re.fullmatch(r"\d+(\.\d+)?" if unit == "second" else r"\d+", part):
            return None
        total += int(Decimal(part) * _UNITS[unit])
    return total
