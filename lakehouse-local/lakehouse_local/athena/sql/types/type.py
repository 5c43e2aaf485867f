"""A type of Trino's: its name, parameters and fields, as Trino writes it."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Type:
    """A type by name, its parameters (numbers or types), and for a row the names of its fields (None: unnamed)."""

    name: str
    args: tuple[int | Type, ...] = ()
    fields: tuple[str | None, ...] = ()

    def __str__(self) -> str:
        if self.name == "row":
            pairs = zip(self.fields, self.args, strict=True)
            return f"row({', '.join(f'{quoted_field(field)} {type}' if field else str(type) for field, type in pairs)})"
        if self.name in WITH_ZONE:
            return f"{WITH_ZONE[self.name]}{self._arguments()} with time zone"
        return self.name + self._arguments()

    def _arguments(self) -> str:
        return f"({(',' if self.name == 'decimal' else ', ').join(map(str, self.args))})" if self.args else ""

    @property
    def element(self) -> Type:
        """Return the type of an array's elements."""
        return self.type_at(0)

    def type_at(self, index: int) -> Type:
        """Return the type that is this type's parameter number `index`."""
        found = self.args[index]
        assert isinstance(found, Type)
        return found

    @property
    def types(self) -> tuple[Type, ...]:
        """Return the types among the parameters."""
        return tuple(type for type in self.args if isinstance(type, Type))

    @property
    def size(self) -> int | None:
        """Return a length (None: unbounded) or a precision."""
        return self.args[0] if self.args and isinstance(self.args[0], int) else None

    @property
    def scale(self) -> int:
        """Return a decimal's number of digits after the point."""
        found = self.args[1]
        assert isinstance(found, int)
        return found

    def field_name(self, index: int) -> str:
        """Return the name of a row's field in DuckDB and in Athena's results."""
        return self.fields[index] or f"field{index}"


WITH_ZONE = {"timestamp with time zone": "timestamp", "time with time zone": "time"}
UNKNOWN, BOOLEAN, DATE, JSON = Type("unknown"), Type("boolean"), Type("date"), Type("json")
TINYINT, SMALLINT, INTEGER, BIGINT = Type("tinyint"), Type("smallint"), Type("integer"), Type("bigint")
REAL, DOUBLE, VARCHAR, VARBINARY = Type("real"), Type("double"), Type("varchar"), Type("varbinary")
DAY_TO_SECOND, YEAR_TO_MONTH = Type("interval day to second"), Type("interval year to month")
INTEGERS = {"tinyint": 3, "smallint": 5, "integer": 10, "bigint": 19}  # with the decimal digits that hold them


def varchar(length: int | None = None) -> Type:
    """Return varchar(length), unbounded by default."""
    return VARCHAR if length is None else Type("varchar", (length,))


def decimal(precision: int, scale: int) -> Type:
    """Return decimal(precision, scale), with at most 38 digits."""
    return Type("decimal", (min(38, precision), scale))


def array(element: Type) -> Type:
    """Return array(element)."""
    return Type("array", (element,))


def map_of(key: Type, value: Type) -> Type:
    """Return map(key, value)."""
    return Type("map", (key, value))


def row(*fields: tuple[str | None, Type]) -> Type:
    """Return row(name type, ...)."""
    return Type("row", tuple(type for _, type in fields), tuple(name for name, _ in fields))


def quoted_field(name: str) -> str:
    """Return the name of a row's field as Trino writes it in a type: quoted only where it must be."""
    return name if re.fullmatch(r"[A-Za-z_]\w*", name) else '"' + name.replace('"', '""') + '"'
