"""Reading a type from text, in Trino's notation or Hive's."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import TypeVar

from lakehouse_local.athena.sql.types.type import Type, row

_T = TypeVar("_T")
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
    """A reader of a type's text, in Trino's notation (`row(x integer)`) or Hive's (`struct<x:int>`)."""

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
    """Return the type that a text names; raises ValueError."""
    return _Reader(text).whole()
