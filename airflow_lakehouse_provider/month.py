"""Month: the unit of time of a monthly lakehouse."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pendulum

# TLC records begin in 2009; the bounds only catch slips such as year 24 or 20240.
FIRST_YEAR, LAST_YEAR = 2000, 2099


@dataclass(frozen=True, order=True)
class Month:
    """A calendar month, in UTC.

    :param year: four digits, 2000 to 2099
    :param month: 1 to 12
    :raises ValueError: naming the argument, its value and what is allowed
    """

    year: int
    month: int

    def __post_init__(self) -> None:
        _check("year", self.year, FIRST_YEAR, LAST_YEAR)
        _check("month", self.month, 1, 12)

    @classmethod
    def of(cls, year: int | str, month: int | str) -> Month:
        """Return the month of numbers, or of digits as templates and Glue arguments have them: ``"2024"``, ``"01"``."""
        return cls(_number("year", year), _number("month", month))

    @classmethod
    def parse(cls, text: str) -> Month:
        """Return the month of ``YYYY-MM`` text, such as ``2024-01``."""
        found = re.fullmatch(r"(\d{4})-(\d{1,2})", text.strip()) if isinstance(text, str) else None
        if not found:
            raise ValueError(f"month must be YYYY-MM, such as 2024-01, not {text!r}")
        return cls.of(found[1], found[2])

    @classmethod
    def range(cls, first: Month, last: Month) -> list[Month]:
        """Return every month from ``first`` to ``last``, both included; empty when ``last`` is earlier."""
        return [first.plus(n) for n in range(last._ordinal - first._ordinal + 1)]

    def __str__(self) -> str:
        return f"{self.year_text}-{self.month_text}"

    @property
    def year_text(self) -> str:
        """The year's partition value, ``"2024"``."""
        return f"{self.year:04d}"

    @property
    def month_text(self) -> str:
        """The month's partition value, zero-padded: ``"01"``."""
        return f"{self.month:02d}"

    def plus(self, months: int) -> Month:
        """Return the month so many months later; earlier, if negative."""
        year, month = divmod(self._ordinal + months, 12)
        return Month(year, month + 1)

    def next(self) -> Month:
        return self.plus(1)

    def previous(self) -> Month:
        return self.plus(-1)

    @property
    def start(self) -> pendulum.DateTime:
        """The month's first instant, UTC."""
        import pendulum

        return pendulum.datetime(self.year, self.month, 1)

    @property
    def end(self) -> pendulum.DateTime:
        """The first instant after the month, UTC."""
        return self.start.add(months=1)

    @property
    def _ordinal(self) -> int:
        return self.year * 12 + self.month - 1


def _number(name: str, value: int | str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,4}", value.strip()):
        return int(value)
    raise ValueError(f"{name} must be a whole number, not {value!r}")


def _check(name: str, value: int, first: int, last: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not first <= value <= last:
        raise ValueError(f"{name} must be a whole number from {first} to {last}, not {value!r}")
