"""The layout of the package, and of what it stores."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import lakehouse_local.athena
from lakehouse_local.s3.store import SCRATCH, STATE


def test_no_two_modules_have_one_name():
    modules = Path(lakehouse_local.athena.__file__).parent.rglob("*.py")
    names = Counter(path.stem for path in modules if path.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_what_is_stored_lies_below_the_versioned_state(athena):
    """The root's layout version covers executions, results, prepared statements and named queries."""
    root = athena.store.root
    before = set(root.iterdir())
    athena.run("prepare p from select 1")
    athena.call("CreateNamedQuery", Name="n", Database="default", QueryString="select 1")
    athena.run("execute p")
    assert set(root.iterdir()) == before
    assert list((root / SCRATCH).iterdir()) in ([], [root / SCRATCH / "duckdb"])  # files on their way, none for long
    assert {"athena", "athena.sqlite"} <= {path.name for path in (root / STATE).iterdir()}
    assert len(list((root / STATE / "athena").iterdir())) == 2
