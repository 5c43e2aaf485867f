"""Implicit conversions: the types that Trino converts without a cast, and the type that two types have in common."""

from __future__ import annotations

from lakehouse_local.athena.sql.types.type import INTEGERS, UNKNOWN, Type, decimal

_WIDENING = ("tinyint", "smallint", "integer", "bigint", "decimal", "real", "double")


def common_type(a: Type, b: Type) -> Type | None:
    """Return the type to which both convert without a cast, or None."""
    if a == b:
        return a
    if UNKNOWN in (a, b):
        return b if a == UNKNOWN else a
    if a.name in _WIDENING and b.name in _WIDENING:
        return _common_number(a, b)
    if a.name == b.name:
        return _common_of_a_kind(a, b)
    pair = {a.name, b.name}
    if pair == {"char", "varchar"}:
        return Type("char", (max(a.size or 65536, b.size or 65536),))
    for low, high in (
        ("date", "timestamp"),
        ("date", "timestamp with time zone"),
        ("timestamp", "timestamp with time zone"),
        ("time", "time with time zone"),
    ):
        if pair == {low, high}:
            wide, narrow = (a, b) if a.name == high else (b, a)
            return Type(high, (max(wide.size or 0, narrow.size or 0),))
    return None


def _common_number(a: Type, b: Type) -> Type:
    if a.name != "decimal" and b.name != "decimal":
        return a if _WIDENING.index(a.name) >= _WIDENING.index(b.name) else b
    other = b if a.name == "decimal" else a
    if other.name in ("real", "double"):
        return other
    x, y = as_decimal(a), as_decimal(b)
    scale = max(x.scale, y.scale)
    return decimal(max((x.size or 0) - x.scale, (y.size or 0) - y.scale) + scale, scale)


def as_decimal(type: Type) -> Type:
    """Return the decimal that holds every value of an integer type; a decimal itself as it is."""
    return type if type.name == "decimal" else decimal(INTEGERS[type.name], 0)


def _common_of_a_kind(a: Type, b: Type) -> Type | None:
    if a.name in ("varchar", "char"):
        return Type(a.name) if None in (a.size, b.size) else Type(a.name, (max(a.size or 0, b.size or 0),))
    if a.name in ("timestamp", "time", "timestamp with time zone", "time with time zone"):
        return a if (a.size or 0) >= (b.size or 0) else b
    if a.types and len(a.types) == len(b.types):
        inner = [common_type(x, y) for x, y in zip(a.types, b.types, strict=True)]
        if None in inner:
            return None
        names = tuple(x if x == y else None for x, y in zip(a.fields, b.fields, strict=True))
        return Type(a.name, tuple(type for type in inner if type), names)
    return None


def coerces(source: Type, target: Type) -> bool:
    """Return True if Trino converts `source` to `target` implicitly."""
    if source.name == "row" and target.name == "row" and len(source.types) == len(target.types):
        return all(coerces(x, y) for x, y in zip(source.types, target.types, strict=True))
    return source == target or common_type(source, target) == target
