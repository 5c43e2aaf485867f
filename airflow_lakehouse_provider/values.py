"""Values of arguments as Airflow's templates leave them: text in place of what it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_lakehouse_provider.errors import LakehouseError


class ArgumentError(LakehouseError, ValueError):
    """An argument that cannot be used; the message names it, its value and what is allowed."""


def parse_flag(name: str, value: Any, *, blank: bool | None = None) -> bool:
    """Return a flag that may be ``True``, ``False`` or the text of either.

    :param name: of the argument, for the error
    :param blank: the value of an empty text and of None; without one they are errors
    :raises ArgumentError: naming the argument, its value and what is allowed
    """
    text = str(value).strip().lower()
    if text in ("true", "false"):
        return text == "true"
    if blank is not None and text in ("", "none"):
        return blank
    raise ArgumentError(f"{name} must be true or false, not {value!r}")


def parse_names(name: str, value: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the names of an argument: a list, or text with spaces or commas between.

    :raises ArgumentError: naming the argument and its value
    """
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(value.replace(",", " ").split())
    if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
        raise ArgumentError(f"{name} must be a list of names, or text with spaces between, not {value!r}")
    return tuple(value)
