"""How often the local Athena agrees with a real Trino, where the recorded answers are at hand."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from lakehouse_local.athena.sql import SqlError

CORPUS = Path(__file__).resolve().parents[6] / "shared" / "athena-corpus"
# What was reached: 785 of 792, and no refusal of Trino's accepted.
FLOOR = 0.985


@pytest.mark.skipif(not (CORPUS / "cases.jsonl").is_file(), reason="../shared/athena-corpus is not here")
def test_agreement_with_trino(ask):
    spec = importlib.util.spec_from_file_location("corpus_check", CORPUS / "check.py")
    check = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(check)
    agreed, accepted, total = 0, [], 0
    for line in (CORPUS / "cases.jsonl").read_text().splitlines():
        case = json.loads(line)
        if "failed" in case:
            continue
        try:
            columns, rows = ask(case["sql"])
            got = {"columns": [_column(each) for each in columns], "rows": rows}
        except SqlError as error:
            got = {"error": str(error)}
        if "error" in case and "error" not in got:
            accepted.append(case["sql"])
        total += 1
        agreed += check.agrees(case, got)[0]
    assert accepted == []
    assert agreed / total >= FLOOR


def _column(written):
    name, _, of = written.partition(":")
    if match := re.fullmatch(r"decimal\((\d+),(\d+)\)", of):
        return [name, "decimal", int(match[1]), int(match[2])]
    zoned = of.endswith("with time zone")
    base = re.split(r"[(<]", of)[0].strip()
    return [name, f"{base} with time zone" if zoned else base, None, None]
