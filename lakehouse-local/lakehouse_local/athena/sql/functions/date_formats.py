"""Date formats of MySQL, Joda and Teradata, translated to those of DuckDB's strftime and strptime."""

from __future__ import annotations

import re

from lakehouse_local.athena.sql.errors import SqlError

_MYSQL = {
    "Y": "%Y", "y": "%y", "m": "%m", "c": "%-m", "d": "%d", "e": "%-d", "H": "%H", "k": "%-H", "h": "%I", "I": "%I",
    "l": "%-I", "i": "%M", "s": "%S", "S": "%S", "f": "%f", "p": "%p", "j": "%j", "M": "%B", "b": "%b", "W": "%A",
    "a": "%a", "T": "%H:%M:%S", "r": "%I:%M:%S %p", "v": "%V", "x": "%G", "%": "%%",
}  # fmt: skip
_JODA = {
    "yyyy": "%Y", "y": "%Y", "yy": "%y", "YYYY": "%Y", "xxxx": "%G", "MMMM": "%B", "MMM": "%b", "MM": "%m", "M": "%-m",
    "dd": "%d", "d": "%-d", "HH": "%H", "H": "%-H", "hh": "%I", "h": "%-I", "mm": "%M", "m": "%-M", "ss": "%S",
    "s": "%-S", "SSS": "%g", "SSSSSS": "%f", "EEEE": "%A", "EEE": "%a", "EE": "%a", "E": "%a", "a": "%p", "aa": "%p",
    "DDD": "%j", "D": "%-j", "e": "%u", "ww": "%V",
}  # fmt: skip
_JODA_PARTS = re.compile(r"(([A-Za-z])\2*)|'((?:[^']|'')*)'|([^A-Za-z'])")
_TERADATA = {"yyyy": "%Y", "yy": "%y", "mm": "%m", "dd": "%d", "hh24": "%H", "hh": "%I", "mi": "%M", "ss": "%S"}


def mysql(pattern: str) -> str:
    """Translate a format of date_format and date_parse."""

    def directive(match: re.Match[str]) -> str:
        letter = match[1]
        if letter in _MYSQL:
            return _MYSQL[letter]
        if letter in "DUuVwX":
            raise SqlError("INVALID_FUNCTION_ARGUMENT", f"%{letter} not currently supported in date format string")
        return letter

    return re.sub(r"%(.)", directive, pattern)


def joda(pattern: str) -> str:
    """Translate a format of format_datetime and parse_datetime."""
    found = []
    for match in _JODA_PARTS.finditer(pattern):
        letters, quoted, other = match[1], match[3], match[4]
        if letters:
            if letters not in _JODA:
                raise SqlError(
                    "NOT_SUPPORTED", f"The letters {letters} of a date format are not supported by the local AWS"
                )
            found.append(_JODA[letters])
        elif other:
            found.append(other.replace("%", "%%"))
        else:
            found.append((quoted or "'").replace("''", "'").replace("%", "%%"))
    return "".join(found)


def teradata(pattern: str) -> str:
    """Translate a format of to_char, to_date and to_timestamp."""
    return re.sub(
        "|".join(sorted(_TERADATA, key=len, reverse=True)),
        lambda match: _TERADATA[match[0].lower()],
        pattern.replace("%", "%%"),
        flags=re.IGNORECASE,
    )
