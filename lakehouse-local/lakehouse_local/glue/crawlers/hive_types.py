"""Hive's column types: of Arrow's types, and the common type of two."""

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
# Each contains the values of the ones before it.
_INTEGERS = ("tinyint", "smallint", "int", "bigint")
_DIGITS = {"tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)")
_MOST_DIGITS = 38


def schema_columns(schema: pa.Schema) -> Columns:
    """Return the columns of an Arrow schema; of names that differ only in case the first stays."""
    columns: Columns = {}
    for field in schema:
        columns.setdefault(field.name.lower(), hive_type(field.type))
    return columns


def hive_type(type_: pa.DataType) -> str:
    """Return the name of an Arrow type in Hive."""
    if type_ in _SCALARS:
        return _SCALARS[type_]
    types = pa.types
    if types.is_dictionary(type_):
        return hive_type(type_.value_type)
    if types.is_timestamp(type_):
        return "timestamp"
    if types.is_decimal(type_):
        return f"decimal({type_.precision},{type_.scale})"
    if types.is_binary(type_) or types.is_large_binary(type_) or types.is_fixed_size_binary(type_):
        return "binary"
    if types.is_time(type_) or types.is_duration(type_):
        return "bigint"
    if types.is_list(type_) or types.is_large_list(type_) or types.is_fixed_size_list(type_):
        return f"array<{hive_type(type_.value_type)}>"
    if types.is_map(type_):
        return f"map<{hive_type(type_.key_type)},{hive_type(type_.item_type)}>"
    if types.is_struct(type_):
        return f"struct<{','.join(f'{field.name.lower()}:{hive_type(field.type)}' for field in type_)}>"
    return "string"


def merged(left: Columns, right: Columns) -> Columns:
    """Return the columns of both, each with the common type."""
    return {
        name: common(left[name], right[name]) if name in left and name in right else left.get(name) or right[name]
        for name in (*left, *(name for name in right if name not in left))
    }


def common(left: str, right: str) -> str:
    """Return the narrowest type that holds the values of both; string if there is no narrower one."""
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
            return f"struct<{','.join(f'{name}:{type_}' for name, type_ in both.items())}>"
    return "string"


def compatible(left: str, right: str) -> bool:
    """Return True if a type other than string holds the values of both, or both are the same."""
    return left == right or common(left, right) != "string"


def _digits(type_: str) -> tuple[int, int] | None:
    found = _DECIMAL.fullmatch(type_)
    if found:
        return int(found[1]), int(found[2])
    return (_DIGITS[type_], 0) if type_ in _DIGITS else None


def _fields(text: str) -> Columns:
    """Return names and types of ``a:int,b:struct<c:int,d:int>``."""
    fields: Columns = {}
    depth = start = 0
    for position, character in enumerate(text + ","):
        depth += (character in "<(") - (character in ">)")
        if character == "," and not depth:
            name, _, type_ = text[start:position].partition(":")
            fields[name] = type_
            start = position + 1
    return fields
