"""Month: the month that a run of the job loads."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Month:
    """A calendar month.

    :param year: four digits
    :param month: 1 to 12
    """

    year: int
    month: int

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

    @property
    def start(self) -> datetime:
        """The month's first instant."""
        return datetime(self.year, self.month, 1)

    @property
    def end(self) -> datetime:
        """The first instant after the month."""
        return datetime(self.year + self.month // 12, self.month % 12 + 1, 1)
