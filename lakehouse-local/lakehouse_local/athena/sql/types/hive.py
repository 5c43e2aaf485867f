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


def _hive(of: Type) -> str:
    if of.name in _TO_HIVE:
        return _TO_HIVE[of.name]
    if of.name == "decimal":
        return f"decimal({of.size},{of.scale})"
    if of.name in ("varchar", "char"):
        return f"{of.name}({of.size})" if of.size is not None and 0 < of.size <= 65535 else "string"
    if of.name == "array":
        return f"array<{_hive(of.element)}>"
    if of.name == "map":
        return f"map<{_hive(of.type_at(0))},{_hive(of.type_at(1))}>"
    if of.name == "row" and all(of.fields):
        return f"struct<{','.join(f'{name}:{_hive(each)}' for name, each in zip(of.fields, of.types, strict=True))}>"
    if of.name == "unknown":
        raise SqlError("COLUMN_TYPE_UNKNOWN", "Column type is unknown: CAST the NULL to the type it should have")
    raise SqlError("NOT_SUPPORTED", f"Unsupported Hive type: {of}")


def hive_type(trino_type: str) -> str:
    """What the Glue Data Catalog calls a type of Trino's; raises SqlError NOT_SUPPORTED where Hive has none."""
    return _hive(parse_type(trino_type))


def trino_type(hive_type: str) -> str:
    """What Trino calls a column whose type in the Glue Data Catalog is `hive_type`; raises ValueError."""
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
            return f"row({', '.join(f'{quoted_field(name.strip())} {trino_type(of)}' for name, of in fields)})"
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
