"""JSON in Trino's canonical form, text without blanks and with sorted keys: parsing, paths and elements."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from lakehouse_local.athena.sql.errors import Refusal, marked


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=_number)


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(value)


def _loads(text: str) -> Any:
    def refuse(_: str) -> None:
        raise ValueError

    return json.loads(text, parse_constant=refuse)


def json_parse(text: str) -> str:
    """Return JSON text in Trino's form: no blanks, sorted keys."""
    try:
        return _dumps(_loads(text))
    except ValueError:
        raise Refusal(f"Cannot convert value to JSON: '{text}'") from None


_STEP = re.compile(r"""\s*(?:\.\s*(\w+|\*)|\.\s*"([^"]*)"|\[\s*(\d+|\*)\s*\]|\[\s*"([^"]*)"\s*\]|\['([^']*)'\])""")


def _steps(path: str) -> list[Any]:
    text = re.sub(r"^\s*(lax|strict)\s+", "", path).strip()
    if not text.startswith("$"):
        raise Refusal(f"Invalid JSON path: '{path}'")
    at, steps = 1, []
    while at < len(text):
        match = _STEP.match(text, at)
        if not match:
            raise Refusal(f"Invalid JSON path: '{path}'")
        word, quoted, index, bracket, single = match.groups()
        steps.append(
            int(index)
            if index and index != "*"
            else next(x for x in (word, quoted, index, bracket, single) if x is not None)
        )
        at = match.end()
    return steps


def _walk(value: Any, steps: list[Any]) -> list[Any]:
    found = [value]
    for step in steps:
        following: list[Any] = []
        for each in found:
            if step == "*":
                following += each if isinstance(each, list) else each.values() if isinstance(each, dict) else []
            elif (isinstance(step, int) and isinstance(each, list) and step < len(each)) or (
                isinstance(step, str) and isinstance(each, dict) and step in each
            ):
                following.append(each[step])  # type: ignore[index]
        found = following
    return found


def _at(text: str, path: str) -> list[Any]:
    steps = _steps(path)
    try:
        return _walk(_loads(text), steps)
    except ValueError:
        return []


def json_extract(text: str, path: str) -> str | None:
    """Return the JSON at a path; None if there is none, or if the text is no JSON."""
    found = _at(text, path)
    return _dumps(found[0]) if found else None


def json_scalar(text: str, path: str) -> str | None:
    """Return the scalar at a path, as text."""
    found = _at(text, path)
    if not found or found[0] is None or isinstance(found[0], (list, dict)):
        return None
    return found[0] if isinstance(found[0], str) else _dumps(found[0])


def json_exists(text: str, path: str) -> bool:
    """Return True if there is anything at a path."""
    return bool(_at(text, path))


def json_size(text: str, path: str) -> int | None:
    """Return the number of entries of the array or object at a path; 0 for a scalar."""
    found = _at(text, path)
    return None if not found else len(found[0]) if isinstance(found[0], (list, dict)) else 0


def json_is_scalar(text: str) -> bool | None:
    """Return True if JSON text is a scalar."""
    try:
        return not isinstance(_loads(text), (list, dict))
    except ValueError:
        return None


def _list(text: str) -> list[Any] | None:
    try:
        value = _loads(text)
    except ValueError:
        return None
    return value if isinstance(value, list) else None


def json_array_length(text: str) -> int | None:
    """Return the length of a JSON array."""
    value = _list(text)
    return None if value is None else len(value)


def json_array_get(text: str, index: int) -> str | None:
    """Return the element at an index, counted from the end when negative."""
    value = _list(text)
    return None if value is None or not -len(value) <= index < len(value) else _dumps(value[index])


def json_array_contains(text: str, wanted: str) -> bool | None:
    """Return True if a JSON array has an element that equals this JSON scalar."""
    value = _list(text)
    return None if value is None else any(_dumps(each) == wanted for each in value)


def json_text(text: str) -> str | None:
    """Return JSON cast to varchar."""
    value = _loads(text)
    if isinstance(value, (list, dict)):
        raise ValueError(marked("INVALID_CAST_ARGUMENT", f"Cannot cast JSON to varchar: {text}"))
    return None if value is None else value if isinstance(value, str) else _dumps(value)


def from_json_text(text: str) -> str | None:
    """Return the JSON text to cast; None for JSON null, which is NULL in every type."""
    return None if text == "null" else text


FUNCTIONS: tuple[tuple[str, Callable[..., Any], tuple[str, ...], str], ...] = (
    ("trino_json_parse", json_parse, ("VARCHAR",), "VARCHAR"),
    ("trino_json_extract", json_extract, ("VARCHAR", "VARCHAR"), "VARCHAR"),
    ("trino_json_extract_scalar", json_scalar, ("VARCHAR", "VARCHAR"), "VARCHAR"),
    ("trino_json_exists", json_exists, ("VARCHAR", "VARCHAR"), "BOOLEAN"),
    ("trino_json_size", json_size, ("VARCHAR", "VARCHAR"), "BIGINT"),
    ("trino_is_json_scalar", json_is_scalar, ("VARCHAR",), "BOOLEAN"),
    ("trino_json_array_length", json_array_length, ("VARCHAR",), "BIGINT"),
    ("trino_json_array_get", json_array_get, ("VARCHAR", "BIGINT"), "VARCHAR"),
    ("trino_json_array_contains", json_array_contains, ("VARCHAR", "VARCHAR"), "BOOLEAN"),
    ("trino_json_text", json_text, ("VARCHAR",), "VARCHAR"),
    ("trino_from_json", from_json_text, ("VARCHAR",), "VARCHAR"),
)
