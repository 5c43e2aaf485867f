"""Python functions for those of Trino's that DuckDB lacks. They work row by row: correctness comes before speed."""

from __future__ import annotations

import functools
import hashlib
import itertools
import re
import unicodedata
import zlib
from collections.abc import Callable
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any
from urllib.parse import parse_qsl, quote_plus, unquote_plus, urlsplit

from lakehouse_local.athena.sql.errors import Refusal
from lakehouse_local.athena.sql.functions.runtime import json_functions
from lakehouse_local.athena.sql.functions.runtime.xxhash import xxhash64
from lakehouse_local.athena.sql.render import java_double


def double_text(value: float) -> str:
    """Return a double cast to varchar, which is always in scientific notation: 2.5E0."""
    written = java_double(value)
    if "E" in written or written.lstrip("-") in ("NaN", "Infinity"):
        return written
    sign, digits, exponent = Decimal(written).as_tuple()
    assert isinstance(exponent, int)
    significant = "".join(map(str, digits)).lstrip("0")
    if not significant:
        return f"{'-' if sign else ''}0.0E0"
    power = len(significant) + exponent - 1
    significant = significant.rstrip("0") or "0"
    return f"{'-' if sign else ''}{significant[0]}.{significant[1:] or '0'}E{power}"


_CONVERSION = re.compile(r"%(\d+\$)?([-#+ 0,(]*)(\d+)?(?:\.(\d+))?([bBhHsScCdoxXeEfgGtT%n])")


def format_java(pattern: str, args: list[str | None], kinds: str) -> str:
    """Format as java.util.Formatter does.

    :param args: the arguments as text
    :param kinds: one letter for each argument: s(tring), d(ecimal integer), f(loat)
    """
    following = itertools.count()

    def one(match: re.Match[str]) -> str:
        index, flags, width, precision, conversion = match.groups()
        if conversion in "%n":
            return "%" if conversion == "%" else "\n"
        at = int(index[:-1]) - 1 if index else next(following)
        if at >= len(args):
            raise Refusal(f"Format specifier '{match[0]}'")
        return _padded(_converted(args[at], kinds[at], conversion, flags, precision), flags, width)

    return _CONVERSION.sub(one, pattern)


def _converted(value: str | None, kind: str, conversion: str, flags: str, precision: str | None) -> str:
    if value is None:
        return "null"
    lowered = conversion.lower()
    if lowered in "dxo" and kind != "d":
        raise Refusal(f"Invalid format string: {conversion} != {'java.lang.String' if kind == 's' else 'double'}")
    if lowered == "d":
        written = f"{int(value):{',' if ',' in flags else ''}d}"
    elif lowered in "xo":
        written = f"{int(value):{lowered}}"
    elif lowered in "feg":
        if kind == "s":
            raise Refusal(f"Invalid format string: {conversion} != java.lang.String")
        digits = int(precision) if precision is not None else 6
        if lowered == "f":
            rounded = Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP)
            written = f"{rounded:{',' if ',' in flags else ''}f}"
        else:
            written = f"{float(value):.{digits}{lowered}}"
    else:
        written = value[: int(precision)] if precision is not None else value
    if "+" in flags and lowered in "dfeg" and not written.startswith("-"):
        written = "+" + written
    return written.upper() if conversion.isupper() else written


def _padded(written: str, flags: str, width: str | None) -> str:
    size = int(width or 0)
    if "-" in flags:
        return written.ljust(size)
    if "0" in flags:
        sign = written[:1] if written[:1] in "+-" and written[:1] else ""
        return sign + written[len(sign) :].rjust(size - len(sign), "0")
    return written.rjust(size)


def human_readable_seconds(seconds: float) -> str:
    """Return 93784 as `1 day, 2 hours, 3 minutes, 4 seconds`."""
    left = round(seconds)
    parts = []
    for name, size in (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {name}{'s' if count != 1 else ''}")
    return ", ".join(parts) or "0 seconds"


_DURATIONS = {"ns": 1e-6, "us": 1e-3, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_duration(text: str) -> int:
    """Return `1.5m` as milliseconds."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*", text)
    if not match or match[2] not in _DURATIONS:
        raise Refusal(f"duration is not a valid data duration string: {text}")
    return round(float(match[1]) * _DURATIONS[match[2]])


def format_number(value: float) -> str:
    """Return 123456 as 123K."""
    for suffix, size in (("Q", 1e15), ("T", 1e12), ("B", 1e9), ("M", 1e6), ("K", 1e3)):
        if abs(value) >= size:
            unit, scaled = suffix, value / size
            break
    else:
        unit, scaled = "", value
    digits = 2 if abs(scaled) < 10 else 1 if abs(scaled) < 100 else 0
    written = f"{scaled:.{digits}f}"
    return (written.rstrip("0").rstrip(".") if "." in written else written) + unit


_SOUNDEX = {letter: code for letters, code in (("BFPV", "1"), ("CGJKQSXZ", "2"), ("DT", "3"), ("L", "4"), ("MN", "5"),
                                               ("R", "6")) for letter in letters}  # fmt: skip


def soundex(text: str) -> str:
    """Return the English soundex code of a word."""
    letters = [letter for letter in text.upper() if letter.isascii() and letter.isalpha()]
    if not letters:
        return ""
    code, last = letters[0], _SOUNDEX.get(letters[0], "")
    for letter in letters[1:]:
        digit = _SOUNDEX.get(letter, "")
        if digit and digit != last:
            code += digit
        if letter not in "HW":
            last = digit
    return code[:4].ljust(4, "0")


def strpos_nth(text: str, sub: str, instance: int) -> int:
    """Return the position of the nth occurrence (from the end when negative), counted from 1; 0 for none."""
    if instance == 0:
        raise Refusal("'instance' must not be a positive or negative number.")
    at = -1 if instance > 0 else len(text)
    for _ in range(abs(instance)):
        at = text.find(sub, at + 1) if instance > 0 else text.rfind(sub, 0, at + len(sub) - 1 if at else 0)
        if at < 0:
            return 0
    return at + 1


def from_base(text: str, radix: int) -> int:
    """Return the number that `text` is in base `radix`."""
    try:
        return int(text, radix)
    except ValueError:
        raise Refusal(f"Not a valid base-{radix} number: {text}") from None


# -- regular expressions that RE2 lacks ------------------------------------------------------------------------------


def _pattern(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(re.sub(r"\(\?<([A-Za-z]\w*)>", r"(?P<\1>", pattern))
    except re.error as error:
        raise Refusal(str(error)) from None


def re_like(text: str, pattern: str) -> bool:
    """Run regexp_like with lookaround and back references."""
    return _pattern(pattern).search(text) is not None


def re_extract(text: str, pattern: str, group: int) -> str | None:
    """Run regexp_extract with lookaround and back references."""
    found = _pattern(pattern).search(text)
    return found[group] if found else None


def re_replace(text: str, pattern: str, replacement: str) -> str:
    """Run regexp_replace with lookaround and back references."""
    return _pattern(pattern).sub(re.sub(r"\$(\d)", r"\\g<\1>", replacement), text)


def re_extract_all(text: str, pattern: str, group: int) -> list[str]:
    """Run regexp_extract_all with lookaround and back references."""
    return [found[group] for found in _pattern(pattern).finditer(text)]


# -- URLs ------------------------------------------------------------------------------------------------------------


def url_part(url: str, part: str) -> str | None:
    """Return one part of a URL; None if it has none."""
    try:
        parts = urlsplit(url)
        return {
            "protocol": parts.scheme, "host": parts.hostname, "path": parts.path, "query": parts.query,
            "fragment": parts.fragment,
        }[part] or ("" if part in ("path", "query", "fragment", "protocol") else None)  # fmt: skip
    except ValueError:
        return None


def url_port(url: str) -> int | None:
    """Return the port that a URL names, or None."""
    try:
        return urlsplit(url).port
    except ValueError:
        return None


def url_parameter(url: str, name: str) -> str | None:
    """Return the first value of a parameter of a URL's query, or None."""
    return next((value for key, value in parse_qsl(urlsplit(url).query, keep_blank_values=True) if key == name), None)


# -- the rest --------------------------------------------------------------------------------------------------------


def combinations(values: list[Any], n: int) -> list[list[Any]]:
    """Return every choice of n of the values, in order."""
    return [list(each) for each in itertools.combinations(values, n)]


def word_hash(value: bytes) -> bytes:
    """Return the xxhash64 of bytes as eight bytes."""
    return xxhash64(value).to_bytes(8, "big")


def from_utf8(value: bytes) -> str:
    """Return the text of bytes, with the replacement character for invalid UTF-8."""
    return value.decode("utf-8", "replace")


def timestamp_of_iso(text: str) -> datetime:
    """Return the local time of an ISO 8601 timestamp, without its zone."""
    match = re.fullmatch(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?(?:T(\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?)?"
                         r"(Z|[+-]\d\d(?::?\d\d)?)?", text)  # fmt: skip
    if not match:
        raise Refusal(f'Invalid format: "{text}"')
    year, month, day, hour, minute, second, fraction, _ = match.groups()
    try:
        return datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0),
                        int(((fraction or "") + "000000")[:6]))  # fmt: skip
    except ValueError:
        raise Refusal(f'Invalid format: "{text}"') from None


def zone_of_iso(text: str) -> str:
    """Return the zone that an ISO 8601 timestamp names, by default UTC."""
    match = re.search(r"T.*?(Z|[+-]\d\d(?::?\d\d)?)$", text)
    if not match or match[1] == "Z":
        return "UTC"
    digits = match[1][1:].replace(":", "").ljust(4, "0")
    return f"{match[1][0]}{digits[:2]}:{digits[2:]}"


_FUNCTIONS: tuple[tuple[str, Callable[..., Any], tuple[str, ...], str], ...] = (
    ("trino_double_text", double_text, ("DOUBLE",), "VARCHAR"),
    ("trino_format", format_java, ("VARCHAR", "VARCHAR[]", "VARCHAR"), "VARCHAR"),
    ("trino_human_readable_seconds", human_readable_seconds, ("DOUBLE",), "VARCHAR"),
    ("trino_parse_duration", parse_duration, ("VARCHAR",), "BIGINT"),
    ("trino_format_number", format_number, ("DOUBLE",), "VARCHAR"),
    ("trino_soundex", soundex, ("VARCHAR",), "VARCHAR"),
    ("trino_strpos", strpos_nth, ("VARCHAR", "VARCHAR", "BIGINT"), "BIGINT"),
    ("trino_from_base", from_base, ("VARCHAR", "BIGINT"), "BIGINT"),
    ("trino_re_like", re_like, ("VARCHAR", "VARCHAR"), "BOOLEAN"),
    ("trino_re_extract", re_extract, ("VARCHAR", "VARCHAR", "BIGINT"), "VARCHAR"),
    ("trino_re_replace", re_replace, ("VARCHAR", "VARCHAR", "VARCHAR"), "VARCHAR"),
    ("trino_re_extract_all", re_extract_all, ("VARCHAR", "VARCHAR", "BIGINT"), "VARCHAR[]"),
    ("trino_url_part", url_part, ("VARCHAR", "VARCHAR"), "VARCHAR"),
    ("trino_url_port", url_port, ("VARCHAR",), "BIGINT"),
    ("trino_url_parameter", url_parameter, ("VARCHAR", "VARCHAR"), "VARCHAR"),
    ("trino_url_encode", lambda text: quote_plus(text, safe="*").replace("~", "%7E"), ("VARCHAR",), "VARCHAR"),
    ("trino_url_decode", lambda text: unquote_plus(text), ("VARCHAR",), "VARCHAR"),
    ("trino_combinations", combinations, ("VARCHAR[]", "BIGINT"), "VARCHAR[][]"),
    ("trino_xxhash64", word_hash, ("BLOB",), "BLOB"),
    ("trino_crc32", lambda value: zlib.crc32(value), ("BLOB",), "BIGINT"),
    ("trino_sha512", lambda value: hashlib.sha512(value).digest(), ("BLOB",), "BLOB"),
    ("trino_from_utf8", from_utf8, ("BLOB",), "VARCHAR"),
    ("trino_normalize", lambda text, form: unicodedata.normalize(form, text), ("VARCHAR", "VARCHAR"), "VARCHAR"),
    ("trino_iso_timestamp", timestamp_of_iso, ("VARCHAR",), "TIMESTAMP"),
    ("trino_iso_zone", zone_of_iso, ("VARCHAR",), "VARCHAR"),
)  # fmt: skip


def install(connection: Any) -> None:
    """Register the functions with a DuckDB connection; NULL in is NULL out."""
    for name, function, parameters, returns in (*_FUNCTIONS, *json_functions.FUNCTIONS):
        connection.create_function(name, _strict(function), list(parameters), returns, null_handling="special")


def _strict(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def called(*args: Any) -> Any:
        return None if None in args else function(*args)

    return called
