"""The refusal of a project that cannot be built under the gate, by node, with the reason and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from airflow_lakehouse_provider.errors import LakehouseError


@dataclass(frozen=True, order=True)
class Objection:
    """A reason why something cannot be built under the gate.

    :ivar subject: the unique id of a node, or what else the reason is about
    :ivar remedy: what the user can do
    """

    subject: str
    reason: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.reason}. {self.remedy[:1].upper()}{self.remedy[1:]}."


class GateRefused(LakehouseError):
    """The gate does not build this; the message names every node that stands in its way. Nothing was built."""

    @classmethod
    def of(cls, objections: Iterable[Objection]) -> GateRefused:
        """Return the refusal that names each of them."""
        found = sorted(set(objections))
        count = f"{len(found)} {'reason' if len(found) == 1 else 'reasons'}"
        lines = "\n".join(f"- {each}" for each in found)
        return cls(f"dbt cannot build this under the gate, for {count}; nothing was built:\n{lines}")
