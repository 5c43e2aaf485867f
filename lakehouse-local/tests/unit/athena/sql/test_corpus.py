"""The answers of the local Athena beside the recorded ones of a Trino under Athena's rules (`corpus/`).

`misses.txt` lists the statements that are answered otherwise today. A statement that differs and is not listed fails,
and so does a listed one that agrees: take it off the list. To write the list anew, from the root of the checkout:

    WRITE_MISSES=1 pytest lakehouse-local/tests/unit/athena/sql/test_corpus.py
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lakehouse_local.athena.sql import SqlError

from .comparison import difference, ends_with_order_by, same_value

CORPUS = Path(__file__).with_name("corpus")
MISSES = Path(__file__).with_name("misses.txt")
AREAS = sorted(f"{path.parent.name}/{path.stem}" for path in CORPUS.glob("*/*.jsonl"))


@dataclass(frozen=True)
class Case:
    """A statement and its answer: columns and rows, or the name and message of Trino's error."""

    id: str
    sql: str
    expected: tuple[Any, Any]
    doubtful: bool

    @property
    def refused(self) -> bool:
        return isinstance(self.expected[0], str)


def cases(area: str) -> list[Case]:
    lines = (CORPUS / f"{area}.jsonl").read_text(encoding="utf-8").splitlines()
    folder = area.partition("/")[0]
    return [
        Case(f"{folder}/{id}", sql, (first, second), "doubtful" in rest)
        for id, sql, first, second, *rest in map(json.loads, lines)
    ]


def listed() -> list[str]:
    return MISSES.read_text().split()


def miss(case: Case, ask: Any) -> str:
    """Return how the local Athena's answer to a case differs; empty: not at all."""
    try:
        columns, rows = ask(case.sql)
    except SqlError as error:
        return "" if case.refused else f"refused: {error}"
    except Exception as error:
        return f"an error inside the local Athena: {error!r}"
    types = [column.partition(":")[2] for column in columns]
    if case.refused:
        return f"accepted: {types} {rows}"
    return difference(case.sql, ([type for _, type in case.expected[0]], case.expected[1]), (types, rows))


@pytest.mark.parametrize("area", AREAS)
def test_answers_agree_but_for_the_listed_misses(area: str, ask: Any) -> None:
    compared = [case for case in cases(area) if not case.doubtful]
    misses = {case.id: found for case in compared if (found := miss(case, ask))}
    if os.environ.get("WRITE_MISSES"):
        ours = {case.id for case in compared}
        kept = sorted({*(set(listed()) - ours), *misses}, key=_in_order)
        MISSES.write_text("".join(f"{id}\n" for id in kept))
    known = set(listed())
    new = [
        f"{case.id}: {misses[case.id]}\n  SQL:      {case.sql}\n  expected: {case.expected}"
        for case in compared
        if case.id in misses and case.id not in known
    ]
    assert not new, "answered otherwise than by Athena:\n" + "\n".join(new)
    mended = [case.id for case in compared if case.id in known and case.id not in misses]
    assert not mended, f"these agree now and must leave {MISSES.name}: {', '.join(mended)}"


def test_the_list_of_misses_names_compared_statements_once_each() -> None:
    compared = {case.id for area in AREAS for case in cases(area) if not case.doubtful}
    assert set(listed()) <= compared
    assert listed() == sorted(set(listed()), key=_in_order)


def test_the_corpus_is_whole() -> None:
    assert sum(len(cases(area)) for area in AREAS) == 2266


@pytest.mark.parametrize(
    ("ours", "theirs", "type", "same"),
    [
        ("1.0", "1.0000000000001", "double", True),
        ("1.0", "1.0000001", "double", False),
        ("1.0", "1.0000001", "real", True),
        ("NaN", "NaN", "double", True),
        ("Infinity", "-Infinity", "double", False),
        ("10:11:12.500", "10:11:12.5", "time", True),
        ("10:11:12", "10:11:12.1", "time", False),
        ("1.0", "1.00", "varchar", False),
        (None, "", "varchar", False),
        (None, None, "double", True),
    ],
)
def test_values_are_compared_by_type(ours: str | None, theirs: str | None, type: str, same: bool) -> None:
    assert same_value(ours, theirs, type) is same


def test_types_count_but_for_lengths() -> None:
    one = [["1"]]
    assert difference("SELECT 1", (["varchar(4)", "decimal(4, 2)"], one), (["varchar", "decimal(4,2)"], one)) == ""
    assert "types" in difference("SELECT 1", (["decimal(4,2)"], one), (["decimal(5,2)"], one))
    assert "types" in difference("SELECT 1", (["timestamp(3)"], one), (["timestamp(3) with time zone"], one))
    zoned = (["timestamp with time zone"], one)
    assert difference("SELECT 1", zoned, (["timestamp(3) with time zone"], one)) == ""


def test_the_order_of_rows_counts_under_order_by_alone() -> None:
    rows, turned = [["1"], ["2"]], [["2"], ["1"]]
    assert difference("SELECT a FROM t", (["bigint"], rows), (["bigint"], turned)) == ""
    assert difference("SELECT a FROM t ORDER BY a", (["bigint"], rows), (["bigint"], turned)) != ""
    assert "2 rows" in difference("SELECT a FROM t", (["bigint"], [["1"]]), (["bigint"], rows))
    assert not ends_with_order_by("SELECT 'order by' FROM (SELECT a FROM t ORDER BY a)")


def _in_order(id: str) -> tuple[str, int]:
    area, _, number = id.rpartition("-")
    return area, int(number)
