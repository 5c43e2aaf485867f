"""Athena's classification of failures: AthenaError's category and type for an error's name.

Source: https://docs.aws.amazon.com/athena/latest/ug/error-reference.html
"""

from __future__ import annotations

from typing import Any

PERMISSION_DENIED = "PERMISSION_DENIED"

_SYSTEM, _USER = 1, 2

# Error name -> type; every other error is the user's, type 1000.
_TYPES = {
    "SYNTAX_ERROR": 1006,
    "FAILED": 1003,  # a DDL task
    "HIVE_BAD_DATA": 1001,
    "HIVE_CURSOR_ERROR": 1001,
    "HIVE_CANNOT_OPEN_SPLIT": 1001,
    "HIVE_INVALID_METADATA": 1004,
    "HIVE_PARTITION_SCHEMA_MISMATCH": 1004,
    "INVALID_CAST_ARGUMENT": 1001,
    "NUMERIC_VALUE_OUT_OF_RANGE": 1001,
    "DIVISION_BY_ZERO": 1001,
    "INVALID_TABLE_PROPERTY": 1103,
    "INVALID_FUNCTION_ARGUMENT": 1106,
    "INVALID_VIEW": 1107,
    "HIVE_FILESYSTEM_ERROR": 1109,
    "TABLE_NOT_FOUND": 1110,
    "SCHEMA_NOT_FOUND": 1110,
    "NOT_SUPPORTED": 1200,
    "FUNCTION_NOT_FOUND": 1303,
    "GENERIC_INTERNAL_ERROR": 200,
    "EXCEEDED_LOCAL_MEMORY_LIMIT": 0,
}
_SYSTEM_ERRORS = frozenset({"GENERIC_INTERNAL_ERROR", "EXCEEDED_LOCAL_MEMORY_LIMIT"})


def athena_error(name: str, message: str) -> dict[str, Any]:
    """Return the AthenaError of a failure."""
    return {
        "ErrorCategory": _SYSTEM if name in _SYSTEM_ERRORS else _USER,
        "ErrorType": _TYPES.get(name, 1000),
        "Retryable": False,
        "ErrorMessage": message,
    }
