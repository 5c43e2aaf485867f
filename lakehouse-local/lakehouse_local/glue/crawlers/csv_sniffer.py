"""Delimiter, header and column types of separated text, by the rules of Glue's built-in CSV classifier."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass

from lakehouse_local.glue.crawlers.hive_types import Columns

DELIMITERS = (",", "|", "\t", ";", "\x01")
_MOST_ROWS = 1000
_LONGEST_HEADER = 150
_BIGINT = re.compile(r"[+-]?\d{1,18}")
_DOUBLE = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NAME = re.compile(r"[^\s,;{}()\n\t=][^,;{}()\n\t=]*")


@dataclass(frozen=True)
class CsvShape:
    """The form of a CSV file: delimiter, header, quotes, columns and number of records."""

    delimiter: str
    header: bool
    quoted: bool
    columns: Columns
    records: int


def sniff(text: str) -> CsvShape | None:
    """Return the shape of a text; None unless it has at least two columns and two rows."""
    best: tuple[str, list[list[str]]] | None = None
    for delimiter in DELIMITERS:
        rows = _rows(text, delimiter)
        width = len(rows[0]) if rows else 0
        if (
            width > 1
            and len(rows) > 1
            and all(len(row) == width for row in rows)
            and (best is None or width > len(best[1][0]))
        ):
            best = delimiter, rows
    if best is None:
        return None
    delimiter, rows = best
    header = _is_header(rows)
    data = rows[1:] if header else rows
    names = [name.strip().lower() for name in rows[0]] if header else [f"col{n}" for n in range(len(rows[0]))]
    columns = {name: _type([row[position] for row in data]) for position, name in enumerate(names)}
    lines = text.count("\n") + (not text.endswith("\n"))
    return CsvShape(delimiter, header, '"' in text[:10_000], columns, max(0, lines - header))


def _rows(text: str, delimiter: str) -> list[list[str]]:
    reader = csv.reader(text.splitlines(), delimiter=delimiter)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row:
                rows.append(row)
            if len(rows) > _MOST_ROWS:
                break
    except csv.Error:
        return []
    return rows


def _is_header(rows: list[list[str]]) -> bool:
    """Return True if the first row names columns: text in every field, distinct, and rows below are not all text."""
    names = [name.strip() for name in rows[0]]
    if len({name.lower() for name in names}) < len(names):
        return False
    if any(_type([name]) != "string" or not _NAME.fullmatch(name) for name in names):
        return False
    if any(len(name) > _LONGEST_HEADER for name in names[:-1]):
        return False
    return any(_type([row[position] for row in rows[1:]]) != "string" for position in range(len(names)))


def _type(values: list[str]) -> str:
    filled = [value.strip() for value in values if value.strip()]
    if filled and all(_BIGINT.fullmatch(value) for value in filled):
        return "bigint"
    if filled and all(_DOUBLE.fullmatch(value) for value in filled):
        return "double"
    return "string"
