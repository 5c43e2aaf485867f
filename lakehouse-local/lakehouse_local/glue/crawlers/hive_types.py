"""Hive's column types: from Arrow's, and what becomes of two that meet in one column."""

from __future__ import annotations

import re

import pyarrow as pa

Columns = dict[str, str]  # lower-case name -> Hive type, in order

_SCALARS = {
    pa.bool_(): "boolean",
    pa.int8(): "tinyint",
    pa.int16(): "smallint",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.uint8(): "smallint",
    pa.uint16(): "int",
    pa.uint32(): "bigint",
    pa.uint64(): "bigint",
    pa.float16(): "float",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.date32(): "date",
    pa.date64(): "date",
}
# Each contains the ones before it.
_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_MOST_DIGITS = 38


def columns_of(schema: pa.Schema) -> Columns:
    """Columns of an Arrow schema; of names that differ only in case the first stays."""
    columns: Columns = {}
    for field in schema:
        columns.setdefault(field.name.lower(), hive_type(field.type))
    return columns


def hive_type(kind: pa.DataType) -> str:
    """An Arrow type's name in Hive."""
    if kind in _SCALARS:
        return _SCALARS[kind]
    types = pa.types
    if types.is_dictionary(kind):
        return hive_type(kind.value_type)
    if types.is_timestamp(kind):
        return "timestamp"
    if types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return "binary"
    if types.is_time(kind) or types.is_duration(kind):
        return "bigint"
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return f"array<{hive_type(kind.value_type)}>"
    if types.is_map(kind):
        return f"map<{hive_type(kind.key_type)},{hive_type(kind.item_type)}>"
    if types.is_struct(kind):
        return f"struct<{','.join(f'{field.name.lower()}:{hive_type(field.type)}' for field in kind)}>"
    return "string"


def merged(left: Columns, right: Columns) -> Columns:
    """All columns of both, each of a type that holds both."""
    return {
        name: common(left[name], right[name]) if name in left and name in right else left.get(name) or right[name]
        for name in (*left, *(name for name in right if name not in left))
    }


def common(left: str, right: str) -> str:
    """The narrowest type that holds the values of both; string when there is none."""
    if left == right:
        return left
    if left in _INTEGERS and right in _INTEGERS:
        return max(left, right, key=_INTEGERS.index)
    if {left, right} <= {*_INTEGERS, "float", "double"}:
        return "double"
    if {left, right} == {"date", "timestamp"}:
        return "timestamp"
    digits = _digits(left), _digits(right)
    if digits[0] and digits[1]:
        scale = max(digits[0][1], digits[1][1])
        whole = max(digits[0][0] - digits[0][1], digits[1][0] - digits[1][1])
        return f"decimal({min(whole + scale, _MOST_DIGITS)},{scale})"
    if (digits[0] or digits[1]) and {left, right} & {"float", "double"}:
        return "double"
    for outer in ("array", "struct"):
        if left.startswith(f"{outer}<") and right.startswith(f"{outer}<"):
            inner = left[len(outer) + 1 : -1], right[len(outer) + 1 : -1]
            if outer == "array":
                return f"array<{common(*inner)}>"
            both = merged(_fields(inner[0]), _fields(inner[1]))
            return f"struct<{','.join(f'{name}:{kind}' for name, kind in both.items())}>"
    return "string"


def compatible(left: str, right: str) -> bool:
    """Whether one type holds the values of both without becoming text."""
    return left == right or common(left, right) != "string"


def _digits(kind: str) -> tuple[int, int] | None:
    found = _DECIMAL.fullmatch(kind)
    if found:
        return int(found[1]), int(found[2])
    return (_DIGITS[kind], 0) if kind in _DIGITS else None


def _fields(text: str) -> Columns:
    """Names and types of ``a:int,b:struct<c:int,d:int>``."""
    fields: Columns = {}
    depth = start = 0
    for position, character in enumerate(text + ","):
        depth += (character in "<(") - (character in ">)")
        if character == "," and not depth:
            name, _, kind = text[start:position].partition(":")
            fields[name] = kind
            start = position + 1
    return fields
