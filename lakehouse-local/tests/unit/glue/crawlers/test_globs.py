"""Exclusions of a crawler's target."""

from __future__ import annotations

import pytest

from lakehouse_local.glue.crawlers.globs import glob


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*.csv", "a.csv", True),
        ("*.csv", "x/a.csv", False),
        ("**.csv", "x/a.csv", True),
        ("tmp/**", "tmp/x/a", True),
        ("?.{csv,json}", "a.json", True),
        ("[!a]*", "abc", False),
        ("[a-c].x", "b.x", True),
        (r"\*", "*", True),
        ("a,b", "a,b", True),
    ],
)
def test_globs(pattern, path, matches):
    assert bool(glob(pattern).fullmatch(path)) is matches
