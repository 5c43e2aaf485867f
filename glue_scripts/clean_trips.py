"""Glue job: one month of one service's raw taxi trips into the cleaned zone.

Plain PySpark for Glue 5.x; the package trips travels beside it as --extra-py-files. `--help` lists the arguments.
"""

from __future__ import annotations

import sys

from trips.arguments import parse
from trips.load import load

if __name__ == "__main__":
    load(parse(sys.argv[1:]))
