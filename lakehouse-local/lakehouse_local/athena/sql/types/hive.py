"""The names of types in Hive, which the Glue Data Catalog uses."""

from __future__ import annotations

import re

from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.types.parsing import parse_type
from lakehouse_local.athena.sql.types.type import Type, quoted_field

_TO_HIVE = {
    "boolean": "boolean", "tinyint": "tinyint", "smallint": "smallint", "integer": "int", "bigint": "bigint",
    "real": "float", "double": "double", "date": "date", "varbinary": "binary", "timestamp": "timestamp",
}  # fmt: skip
_FROM_HIVE = {hive: trino for trino, hive in _TO_HIVE.items()} | {
    "string": "varchar", "integer": "integer", "long": "bigint", "short": "smallint", "byte": "tinyint",
    "timestamp": "timestamp(3)", "decimal": "decimal(10,0)", "char": "char(1)", "varchar": "varchar",
}  # fmt: skip


def _hive(type: Type) -> str:
    if type.name in _TO_HIVE:
        return _TO_HIVE[type.name]
    if type.name == "decimal":
        return f"decimal({type.size},{type.scale})"
    if type.name in ("varchar", "char"):
        return f"{type.name}({type.size})" if type.size is not None and 0 < type.size <= 65535 else "string"
    if type.name == "array":
        return f"array<{_hive(type.element)}>"
    if type.name == "map":
        return f"map<{_hive(type.type_at(0))},{_hive(type.type_at(1))}>"
    if type.name == "row" and all(type.fields):
        fields = (f"{name}:{_hive(each)}" for name, each in zip(type.fields, type.types, strict=True))
        return f"struct<{','.join(fields)}>"
    if type.name == "unknown":
        raise SqlError("COLUMN_TYPE_UNKNOWN", "Column type is unknown: CAST the NULL to the type it should have")
    raise SqlError("NOT_SUPPORTED", f"Unsupported Hive type: {type}")


def hive_type(trino_type: str) -> str:
    """Return the Glue Data Catalog's name of a type of Trino's; raises SqlError NOT_SUPPORTED if Hive has none."""
    return _hive(parse_type(trino_type))


def trino_type(hive_type: str) -> str:
    """Return Trino's name of a type of the Glue Data Catalog's; raises ValueError."""
    text = hive_type.strip().lower()
    if text in _FROM_HIVE:
        return str(parse_type(_FROM_HIVE[text]))
    if (opening := text.find("<")) > 0 and text.endswith(">"):
        kind, parts = text[:opening].strip(), _split(text[opening + 1 : -1])
        if kind == "array" and len(parts) == 1:
            return f"array({trino_type(parts[0])})"
        if kind == "map" and len(parts) == 2:
            return f"map({trino_type(parts[0])}, {trino_type(parts[1])})"
        if kind == "struct" and all(":" in part for part in parts):
            fields = (part.split(":", 1) for part in parts)
            return f"row({', '.join(f'{quoted_field(name.strip())} {trino_type(type)}' for name, type in fields)})"
    elif re.fullmatch(r"(decimal|char|varchar)\s*\([\d\s,]+\)", text):
        return str(parse_type(text))
    raise ValueError(f"'{hive_type}' is not a type of Hive's that Athena reads")


def _split(text: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character in "<(") - (character in ">)")
        if character == "," and not depth:
            parts.append(text[start:at])
            start = at + 1
    return [*parts, text[start:]]
