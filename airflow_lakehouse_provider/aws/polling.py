"""Looking again and again at what AWS does: what passes by itself is survived, each change is said once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from airflow_lakehouse_provider.aws.errors import code, passes_by_itself

T = TypeVar("T")


class Look(Generic[T]):
    """One wait's looks at one thing.

    :param look: asks AWS
    :param state: what of the answer is worth a log line when it changes
    :param say: writes a log line
    """

    def __init__(self, look: Callable[[], T], state: Callable[[T], str], say: Callable[[str], object]) -> None:
        self._look = look
        self._state = state
        self._say = say
        self._last = ""
        self._trouble = ""

    def __call__(self) -> T | None:
        """AWS's answer, or None when it could not be had just now.

        :raises Exception: what does not pass by itself
        """
        try:
            found = self._look()
        except Exception as error:
            if not passes_by_itself(error):
                raise
            if code(error) != self._trouble:
                self._trouble = code(error)
                self._say(f"AWS does not answer just now, the wait goes on: {error}")
            return None
        if self._trouble:
            self._trouble = ""
            self._say("AWS answers again.")
        state = self._state(found)
        if state != self._last:
            self._last = state
            self._say(state)
        return found
