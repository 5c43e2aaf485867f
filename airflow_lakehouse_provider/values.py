"""Values of arguments as Airflow's templates leave them: text in place of what it stands for."""

from __future__ import annotations

from typing import Any


class ArgumentError(ValueError):
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
