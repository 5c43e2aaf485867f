"""JSON: kept as Trino's canonical text (no blanks, keys in order)."""

from __future__ import annotations

import re

from lakehouse_local.athena.sql.functions.signatures import FunctionCall, built, table
from lakehouse_local.athena.sql.types import JSON
from lakehouse_local.athena.sql.types.casts import to_json

_SIMPLE_PATH = re.compile(r"\$(?:\.\w+|\[\d+\])*")


def _scalar(call: FunctionCall) -> str:
    """Use DuckDB's own function if the path means the same in both: it is many times faster."""
    path = call.args[1].constant
    own = isinstance(path, str) and _SIMPLE_PATH.fullmatch(path)
    return f"{'trino_json_scalar' if own else 'trino_json_extract_scalar'}({', '.join(call.sql)})"


def _contains(call: FunctionCall) -> str:
    wanted = to_json(call.sql[1], call.args[1].type, JSON)
    return f"trino_json_array_contains({call.sql[0]}, {wanted})"


FUNCTIONS = [
    *table("""
        json_parse(varchar) json = trino_json_parse
        json_format(json) varchar = {0}
        json_extract(json, varchar) json = trino_json_extract
        json_extract(varchar, varchar) json = trino_json_extract
        json_size(json, varchar) bigint = trino_json_size
        json_size(varchar, varchar) bigint = trino_json_size
        json_array_length(json) bigint = trino_json_array_length
        json_array_length(varchar) bigint = trino_json_array_length
        json_array_get(json, bigint) json = trino_json_array_get
        json_array_get(varchar, bigint) json = trino_json_array_get
        is_json_scalar(json) boolean = trino_is_json_scalar
        is_json_scalar(varchar) boolean = trino_is_json_scalar
    """),
    *built({
        "json_extract_scalar(json, varchar) varchar": _scalar,
        "json_extract_scalar(varchar(n), varchar) varchar(n)": _scalar,
        **{f"json_array_contains({json}, {scalar}) boolean": _contains
           for json in ("json", "varchar") for scalar in ("boolean", "bigint", "double", "varchar")},
    }),
]  # fmt: skip
