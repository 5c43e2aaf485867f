"""Values as Athena's GetQueryResults writes them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from lakehouse_local.athena.sql.types import Type, parse_type


def text(value: object, type: str) -> str | None:
    """Return a value of DuckDB's as Athena writes it in this type; None for NULL."""
    return None if value is None else _text(value, parse_type(type))


def _text(value: Any, type: Type) -> str:
    if value is None:
        return "null"
    writer = _WRITERS.get(type.name)
    return writer(value, type) if writer else str(value)


def java_double(value: float) -> str:
    """Return a double as Java's Double.toString writes it: 2.5, 1.0E10, NaN, Infinity."""
    return _java(value, repr(value))


def _real(value: float, type: Type) -> str:
    shortest = next(
        (digits for n in range(1, 10) if _single(float(digits := f"{value:.{n}g}")) == _single(value)), repr(value)
    )
    return _java(value, repr(float(shortest)))


def _single(value: float) -> bytes:
    try:
        return struct.pack("f", value)
    except OverflowError:
        return b""


def _java(value: float, shortest: str) -> str:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "-0.0" if shortest.startswith("-") else "0.0"
    sign, digits, exponent = Decimal(shortest).as_tuple()
    assert isinstance(exponent, int)
    written = "".join(map(str, digits)).rstrip("0") or "0"
    point = len(digits) + exponent  # the number is 0.digits times ten to this
    minus = "-" if sign else ""
    if 1e-3 <= abs(value) < 1e7:
        if point <= 0:
            return f"{minus}0.{'0' * -point}{written}"
        whole = written[:point].ljust(point, "0")
        return f"{minus}{whole}.{written[point:] or '0'}"
    return f"{minus}{written[0]}.{written[1:] or '0'}E{point - 1}"


def _timestamp(value: Any, type: Type) -> str:
    if not isinstance(value, datetime):
        return str(value) if not isinstance(value, date) else f"{value.isoformat()} 00:00:00.000"
    return f"{value.year:04d}-{value:%m-%d %H:%M:%S}.{value.microsecond // 1000:03d}"


def _zoned(value: Any, type: Type) -> str:
    if isinstance(value, dict):
        zone = value["zone"]
        local = value["utc"].replace(tzinfo=ZoneInfo("UTC")).astimezone(zone_info(zone))
    else:
        zone, local = "UTC", value.astimezone(ZoneInfo("UTC"))
    return f"{_timestamp(local, type)} {zone}"


def zone_info(name: str) -> Any:
    """Return a time zone by its name, or by an offset such as +05:30."""
    if name[:1] in "+-" and name[1:].replace(":", "").isdigit():
        hours, _, minutes = name[1:].partition(":")
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        return timezone(-offset if name[0] == "-" else offset)
    return ZoneInfo("UTC" if name in ("Z", "UTC") else name)


def _time(value: time, type: Type) -> str:
    return f"{value:%H:%M:%S}.{value.microsecond // 1000:03d}"


def _time_zoned(value: time, type: Type) -> str:
    offset = value.strftime("%z")
    return f"{_time(value, type)}{offset[:3]}:{offset[3:5]}" if offset else _time(value, type)


def _days(value: int, type: Type) -> str:
    sign, left = ("-", -value) if value < 0 else ("", value)
    seconds, milliseconds = divmod(left, 1000)
    days, seconds = divmod(seconds, 86400)
    return f"{sign}{days} {seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{milliseconds:03d}"


def _months(value: int, type: Type) -> str:
    sign, left = ("-", -value) if value < 0 else ("", value)
    return f"{sign}{left // 12}-{left % 12}"


def _map(value: Any, type: Type) -> str:
    if set(value) == {"key", "value"} and isinstance(value["key"], list):  # DuckDB's form for keys that do not hash
        entries = zip(value["key"], value["value"], strict=True)
    else:
        entries = value.items()
    return "{" + ", ".join(f"{_text(k, type.type_at(0))}={_text(v, type.type_at(1))}" for k, v in entries) + "}"


def _row(value: Any, type: Type) -> str:
    values = list(value.values()) if isinstance(value, dict) else list(value)
    pairs = (f"{type.field_name(i)}={_text(each, type.type_at(i))}" for i, each in enumerate(values))
    return "{" + ", ".join(pairs) + "}"


_WRITERS: dict[str, Callable[[Any, Type], str]] = {
    "boolean": lambda value, type: "true" if value else "false",
    "double": lambda value, type: java_double(value),
    "real": _real,
    "decimal": lambda value, type: format(value, "f"),
    "date": lambda value, type: str(value)[:10] if isinstance(value, datetime) else str(value),
    "timestamp": _timestamp,
    "timestamp with time zone": _zoned,
    "time": _time,
    "time with time zone": _time_zoned,
    "interval day to second": _days,
    "interval year to month": _months,
    "varbinary": lambda value, type: bytes(value).hex(" "),
    "array": lambda value, type: f"[{', '.join(_text(each, type.element) for each in value)}]",
    "map": _map,
    "row": _row,
}
