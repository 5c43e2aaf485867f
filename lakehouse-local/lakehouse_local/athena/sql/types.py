"""Trino's types: how they are written, what DuckDB and Hive call them, and which of them turn into which unasked."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from lakehouse_local.athena.sql.errors import SqlError

_T = TypeVar("_T")


@dataclass(frozen=True)
class Type:
    """A type by name, its parameters (numbers or types), and for a row the names of its fields (None: unnamed)."""

    name: str
    args: tuple[int | Type, ...] = ()
    fields: tuple[str | None, ...] = ()

    def __str__(self) -> str:
        if self.name == "row":
            pairs = zip(self.fields, self.args, strict=True)
            return f"row({', '.join(f'{_quoted(field)} {of}' if field else str(of) for field, of in pairs)})"
        if self.name in WITH_ZONE:
            return f"{WITH_ZONE[self.name]}{self._arguments()} with time zone"
        return self.name + self._arguments()

    def _arguments(self) -> str:
        return f"({(',' if self.name == 'decimal' else ', ').join(map(str, self.args))})" if self.args else ""

    @property
    def element(self) -> Type:
        """The type of an array's elements."""
        return self.type_at(0)

    def type_at(self, index: int) -> Type:
        """The type that is this type's parameter number `index`."""
        found = self.args[index]
        assert isinstance(found, Type)
        return found

    @property
    def types(self) -> tuple[Type, ...]:
        """The types that this type is made of."""
        return tuple(of for of in self.args if isinstance(of, Type))

    @property
    def size(self) -> int | None:
        """A length (None: unbounded) or a precision."""
        return self.args[0] if self.args and isinstance(self.args[0], int) else None

    @property
    def scale(self) -> int:
        """A decimal's digits after the point."""
        found = self.args[1]
        assert isinstance(found, int)
        return found

    def field_name(self, index: int) -> str:
        """A row's field as DuckDB and Athena's results call it."""
        return self.fields[index] or f"field{index}"


WITH_ZONE = {"timestamp with time zone": "timestamp", "time with time zone": "time"}
UNKNOWN, BOOLEAN, DATE, JSON = Type("unknown"), Type("boolean"), Type("date"), Type("json")
TINYINT, SMALLINT, INTEGER, BIGINT = Type("tinyint"), Type("smallint"), Type("integer"), Type("bigint")
REAL, DOUBLE, VARCHAR, VARBINARY = Type("real"), Type("double"), Type("varchar"), Type("varbinary")
DAY_TO_SECOND, YEAR_TO_MONTH = Type("interval day to second"), Type("interval year to month")
INTEGERS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}  # with the decimal digits that hold them
_WIDENING = ("tinyint", "smallint", "integer", "bigint", "decimal", "real", "double")


def varchar(length: int | None = None) -> Type:
    """varchar(length), unbounded by default."""
    return VARCHAR if length is None else Type("varchar", (length,))


def decimal(precision: int, scale: int) -> Type:
    """decimal(precision, scale), at most 38 digits."""
    return Type("decimal", (min(38, precision), scale))


def array(element: Type) -> Type:
    """array(element)."""
    return Type("array", (element,))


def map_of(key: Type, value: Type) -> Type:
    """map(key, value)."""
    return Type("map", (key, value))


def row(*fields: tuple[str | None, Type]) -> Type:
    """row(name type, ...)."""
    return Type("row", tuple(of for _, of in fields), tuple(name for name, _ in fields))


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else '"' + name.replace('"', '""') + '"'


# -- reading ---------------------------------------------------------------------------------------------------------

_ALIASES = {"int": "integer", "dec": "decimal", "double precision": "double"}
_PLAIN = {
    "unknown", "boolean", "tinyint", "smallint", "integer", "bigint", "real", "double", "date", "varbinary", "json",
    "uuid", "ipaddress", "hyperloglog", "interval day to second", "interval year to month",
}  # fmt: skip
_DEFAULTS: dict[str, tuple[int, ...]] = {
    "decimal": (38, 0), "char": (1,), "timestamp": (3,), "time": (3,), "varchar": (),
    "timestamp with time zone": (3,), "time with time zone": (3,),
}  # fmt: skip
_TOKENS = re.compile(r'\s*("(?:[^"]|"")*"|\w+|[(),<>:])')


class _Reader:
    """Reads a type from text, Trino's way (`row(x integer)`) or Hive's (`struct<x:int>`)."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [found[1] for found in _TOKENS.finditer(text)]
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at].lower() if self.at < len(self.tokens) else ""

    def take(self, *expected: str) -> bool:
        if self.peek() in expected:
            self.at += 1
            return True
        return False

    def word(self) -> str:
        if self.at >= len(self.tokens):
            raise ValueError(f"'{self.text}' is not a type")
        self.at += 1
        return self.tokens[self.at - 1]

    def whole(self) -> Type:
        found = self.type()
        if self.at != len(self.tokens):
            raise ValueError(f"'{self.text}' is not a type")
        return found

    def type(self) -> Type:
        name = self.word().lower()
        name = _ALIASES.get(name, name)
        if name == "double":
            self.take("precision")
        if name == "interval":
            words = " ".join(self.word().lower() for _ in range(3))
            return Type(f"interval {words}")
        if name in ("array", "map", "row"):
            return self.nested(name)
        numbers: tuple[int, ...] = ()
        if self.take("("):
            numbers = tuple(int(number) for number in self.listed(self.word, ")"))
        if name in ("timestamp", "time") and self.take("with"):
            self.word(), self.word()
            name += " with time zone"
        elif name in ("timestamp", "time") and self.take("without"):
            self.word(), self.word()
        if name in _DEFAULTS:
            if name == "decimal" and len(numbers) == 1:
                numbers = (numbers[0], 0)
            return Type(name, numbers or _DEFAULTS[name])
        if name not in _PLAIN or numbers:
            raise ValueError(f"'{self.text}' is not a type")
        return Type(name)

    def nested(self, name: str) -> Type:
        closing = ">" if self.take("<") else ")" if self.take("(") else ""
        if not closing:
            raise ValueError(f"'{self.text}' is not a type")
        if name == "row":
            return row(*self.listed(self.field, closing))
        return Type(name, tuple(self.listed(self.type, closing)))

    def field(self) -> tuple[str | None, Type]:
        before = self.at
        if not self.tokens[before].startswith('"'):
            try:
                found = self.type()
                if self.peek() in (",", ")", ">"):
                    return None, found
            except ValueError:
                pass
        self.at = before
        name = self.word()
        name = name[1:-1].replace('""', '"') if name.startswith('"') else name.lower()
        return name, self.type()

    def listed(self, read: Callable[[], _T], closing: str) -> list[_T]:
        found = [read()]
        while self.take(","):
            found.append(read())
        if not self.take(closing):
            raise ValueError(f"'{self.text}' is not a type")
        return found


@cache
def parse_type(text: str) -> Type:
    """The type that Trino's text names; raises ValueError."""
    return _Reader(text).whole()


# -- what DuckDB calls them ------------------------------------------------------------------------------------------

_DUCKDB = {
    "unknown": "INTEGER", "boolean": "BOOLEAN", "tinyint": "TINYINT", "smallint": "SMALLINT", "integer": "INTEGER",
    "bigint": "BIGINT", "real": "FLOAT", "double": "DOUBLE", "date": "DATE", "varchar": "VARCHAR", "char": "VARCHAR",
    "varbinary": "BLOB", "json": "VARCHAR", "uuid": "UUID", "ipaddress": "VARCHAR", "time": "TIME",
    "interval day to second": "BIGINT",  # milliseconds
    "interval year to month": "INTEGER",  # months
    "timestamp with time zone": "STRUCT(utc TIMESTAMP, zone VARCHAR)",  # DuckDB's own forgets the zone
    "time with time zone": "TIMETZ",
    "hyperloglog": "BIGINT",
}  # fmt: skip


def duckdb_type(of: Type) -> str:
    """What holds a value of this type in DuckDB."""
    if of.name == "decimal":
        return f"DECIMAL({of.size},{of.scale})"
    if of.name == "timestamp":
        return "TIMESTAMP_NS" if (of.size or 0) > 6 else "TIMESTAMP"
    if of.name == "array":
        return duckdb_type(of.element) + "[]"
    if of.name == "map":
        return f"MAP({duckdb_type(of.type_at(0))}, {duckdb_type(of.type_at(1))})"
    if of.name == "row":
        pairs = (f'"{of.field_name(i)}" {duckdb_type(each)}' for i, each in enumerate(of.types))
        return f"STRUCT({', '.join(pairs)})"
    return _DUCKDB[of.name]


# -- what turns into what unasked ------------------------------------------------------------------------------------


def common_type(a: Type, b: Type) -> Type | None:
    """The type that values of both have in common without a cast, or None."""
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


def as_decimal(of: Type) -> Type:
    """The decimal that holds every value of an integer type (a decimal is its own)."""
    return of if of.name == "decimal" else decimal(INTEGERS[of.name], 0)


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
        return Type(a.name, tuple(of for of in inner if of), names)
    return None


def coerces(source: Type, target: Type) -> bool:
    """Whether Trino turns `source` into `target` unasked."""
    if source.name == "row" and target.name == "row" and len(source.types) == len(target.types):
        return all(coerces(x, y) for x, y in zip(source.types, target.types, strict=True))
    return source == target or common_type(source, target) == target


# -- Hive, as the Glue Data Catalog names types ----------------------------------------------------------------------

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
            return f"row({', '.join(f'{_quoted(name.strip())} {trino_type(of)}' for name, of in fields)})"
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
