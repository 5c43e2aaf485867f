"""Errors as Athena names them: Trino's error names, and Trino's messages for DuckDB's errors."""

from __future__ import annotations

import re
from collections.abc import Callable

from lakehouse_local.errors import LocalAwsError


class SqlError(LocalAwsError):
    """An error of a statement: Trino's error name (SYNTAX_ERROR, TYPE_MISMATCH, ...) and message."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


# An error of our macros and functions stands between these in DuckDB's own message.
OPENING, CLOSING = "<<trino:", ":trino>>"
_OURS = re.compile(re.escape(OPENING) + r"(\w+)\|(.*?)" + re.escape(CLOSING), re.DOTALL)


def marked(name: str, message: str) -> str:
    """Return the text by which a function inside DuckDB names an error of Trino's."""
    return f"{OPENING}{name}|{message}{CLOSING}"


class Refusal(ValueError):
    """An argument that Trino refuses; raised by our functions inside DuckDB."""

    def __init__(self, message: str) -> None:
        super().__init__(marked("INVALID_FUNCTION_ARGUMENT", message))


_INTEGERS = {"INT8": "tinyint", "INT16": "smallint", "INT32": "integer", "INT64": "bigint", "INT128": "bigint"}
_CAST_NAMES = {"INT8": "TINYINT", "INT16": "SMALLINT", "INT32": "INT", "INT64": "BIGINT", "BOOL": "BOOLEAN"}


def _overflow(match: re.Match[str]) -> str:
    return f"{_INTEGERS.get(match[2], match[2].lower())} {match[1]} overflow: {match[3]}"


def _cast(match: re.Match[str]) -> str:
    return f"Cannot cast '{match[1]}' to {_CAST_NAMES.get(match[2], match[2])}"


_RULES: tuple[tuple[str, str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"Division by zero", "DIVISION_BY_ZERO", "Division by zero"),
    (r"Overflow in (\w+) of (\w+) \((.*?)\)!", "NUMERIC_VALUE_OUT_OF_RANGE", _overflow),
    (r"Overflow in \w+ of DECIMAL", "NUMERIC_VALUE_OUT_OF_RANGE", "Decimal overflow"),
    (r"Casting value .* to type DECIMAL.* failed", "NUMERIC_VALUE_OUT_OF_RANGE", "Decimal overflow"),
    (
        r"More than one row returned by a subquery",
        "SUBQUERY_MULTIPLE_ROWS",
        "Scalar sub-query has returned multiple rows",
    ),
    (r"Could not convert string '(.*)' to (\w+)", "INVALID_CAST_ARGUMENT", _cast),
    (
        r"value ([-\w.+]+) can't be cast because the value is out of range for the destination type (\w+)",
        "NUMERIC_VALUE_OUT_OF_RANGE",
        lambda m: f"Out of range for {_INTEGERS.get(m[2], m[2].lower())}: {m[1]}",
    ),
    (r"Map keys must be unique", "INVALID_FUNCTION_ARGUMENT", "Duplicate map keys are not allowed"),
    (r"Map keys can not be NULL", "INVALID_FUNCTION_ARGUMENT", "map key cannot be null"),
    (r"Out of Memory Error", "EXCEEDED_LOCAL_MEMORY_LIMIT", "Query exceeded per-node memory limit"),
    (
        r"No magic bytes found|too small to be a Parquet file|Invalid Parquet|corrupt",
        "HIVE_BAD_DATA",
        lambda m: m.string,
    ),
    (r"No files found that match|Cannot open file", "HIVE_CANNOT_OPEN_SPLIT", lambda m: m.string),
    (r"Out of Range Error: (.*)", "NUMERIC_VALUE_OUT_OF_RANGE", lambda m: m[1]),
    (r"Conversion Error: (.*)", "INVALID_CAST_ARGUMENT", lambda m: m[1]),
)
RULES = tuple((re.compile(pattern), name, message) for pattern, name, message in _RULES)


def from_duckdb(error: BaseException) -> SqlError:
    """Return Trino's error for one that DuckDB raised; the caller handles interrupted queries itself."""
    if isinstance(error, SqlError):
        return error
    message = str(error)
    if ours := _OURS.search(message):
        return SqlError(ours[1], ours[2])
    for pattern, name, explanation in RULES:
        if match := pattern.search(message):
            return SqlError(name, explanation if isinstance(explanation, str) else explanation(match))
    return SqlError("GENERIC_INTERNAL_ERROR", message)
