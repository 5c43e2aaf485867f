"""Putting a former generation of a unit back: the plan, from the records alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_lakehouse_provider.publishing import catalogue, objects
from airflow_lakehouse_provider.publishing.catalogue import Catalogue, Values
from airflow_lakehouse_provider.publishing.clone import identity, partition_identity
from airflow_lakehouse_provider.publishing.names import GENERATION, Places, PublishingError, TableName
from airflow_lakehouse_provider.publishing.record import Publication, Step


@dataclass(frozen=True)
class Return:
    """The way back to a generation.

    :ivar generation: the one that is put back
    :ivar steps: the changes that put it back
    :ivar replaced: nodes whose tables a later publication has replaced since: they are built again from the others
    """

    generation: int
    steps: tuple[Step, ...]
    replaced: tuple[str, ...]


@dataclass(frozen=True)
class Returner:
    """A maker of ways back.

    :param s3: a boto3 client
    """

    glue: Catalogue
    s3: Any
    places: Places

    def way_back(self, published: Sequence[Publication], unit: str, to: int | None, label: str) -> Return:
        """Return the way back to a generation.

        :param published: the publications of the unit that were carried out, the first one first
        :param to: the generation; default: the one before the last
        :param label: of the rollback, ``<unit>/<generation>``
        :raises PublishingError: there is no such generation, its files are gone, or somebody else changed the month
            since; the message says which
        """
        if not published:
            raise PublishingError(f"{unit} was never published: there is nothing to roll back")
        numbers = [each.generation or 0 for each in published]
        allowed = [0, *numbers[:-1]]
        if to is None:
            to = before_last(published)
        if to not in allowed:
            state = "is published now" if to == numbers[-1] else "is no generation of it that was published"
            raise PublishingError(
                f"{unit} cannot go back to {to}, which {state}; allowed: {', '.join(map(str, allowed))} "
                "(0 is what was there before the first publication)"
            )
        undone = [each for each in published if (each.generation or 0) > to]
        steps, replaced = [], set()
        for chain in _chains(undone):
            first, last = chain[0], chain[-1]
            current = self.glue.entry(*last.entry)
            ours = _is(current, last.new, last.values)
            if not ours:
                owner = catalogue.generation(current or {})
                if owner is None or owner.rpartition("/")[0] == unit:
                    raise PublishingError(self._not_ours(last, current))
            if not ours or not _continuous(chain):
                replaced.add(last.node)
                continue
            self._check_files(last.new, last.new_files, str(last), "is not as it was published: it was changed by hand")
            self._check_files(first.old, first.old_files, str(first), f"generation {to} cannot come back")
            steps.append(self._step(first, last, current, label))
        return Return(to, tuple(_in_order(steps, undone)), tuple(sorted(replaced)))

    def _step(self, first: Step, last: Step, current: Mapping[str, Any] | None, label: str) -> Step:
        """Return the step from the current entry to the one before the first of a chain."""
        before = _input(current, last.values)
        after = dict(first.old) if first.old is not None else None
        if after is not None:
            after["Parameters"] = {**(after.get("Parameters") or {}), GENERATION: label}
        if last.is_root and before is not None:
            # The table of partitions stays as it is, with columns that were added, and gets a fresh location.
            after = {
                **before,
                "Parameters": {**(before.get("Parameters") or {}), GENERATION: label},
                "StorageDescriptor": {**before["StorageDescriptor"], "Location": self.places.new_root()},
            }
        return Step(last.node, last.table, last.values, before, after, last.new_files, first.old_files)

    def _check_files(
        self, entry: Mapping[str, Any] | None, files: Mapping[str, str], name: str, consequence: str
    ) -> None:
        if entry is None or not files:
            return
        found = objects.files_at(self.s3, catalogue.location(entry))
        if found != dict(files):
            changed = sorted(set(files.items()) ^ set(found.items()))
            raise PublishingError(
                f"{name} {consequence}: {len(changed)} files at {catalogue.location(entry)} were deleted, added or "
                f"changed since, {changed[0][0]} the first. Load the month again in place of the rollback."
            )

    def _not_ours(self, step: Step, current: Mapping[str, Any] | None) -> str:
        place = catalogue.location(current) if current is not None else "no longer there"
        return (
            f"{step} is not ours any more: somebody changed it by hand since it was published, it is {place}. A "
            "rollback would overwrite that. Run the month's DAG run again, which publishes it anew, or undo the change."
        )


def before_last(published: Sequence[Publication]) -> int:
    """Return the generation that the last publication replaced; of a rollback, the one before what it restored."""
    last = published[-1]
    if last.restores is None:
        return (published[-2].generation or 0) if len(published) > 1 else 0
    numbers = [each.generation or 0 for each in published if each.restores is None]
    earlier = [number for number in numbers if number < last.restores]
    if last.restores == 0:
        raise PublishingError(
            f"{last.unit} was rolled back to what was there before its first publication already; name a generation: "
            f"{', '.join(map(str, numbers))}"
        )
    return earlier[-1] if earlier else 0


def _chains(publications: Sequence[Publication]) -> list[list[Step]]:
    """Return the steps by the entry that they change, in the order of the publications."""
    chains: dict[tuple[TableName, Values | None], list[Step]] = {}
    for publication in publications:
        for step in publication.plan:
            chains.setdefault(step.entry, []).append(step)
    return list(chains.values())


def _continuous(chain: Sequence[Step]) -> bool:
    """Return True if no other publication changed the entry between two steps of the unit."""
    return (
        all(_is(chain[at + 1].old, earlier.new, earlier.values) for at, earlier in enumerate(chain[:-1]))
        or chain[-1].is_root
    )


def _is(found: Mapping[str, Any] | None, expected: Mapping[str, Any] | None, values: Values | None) -> bool:
    if found is None or expected is None:
        return found is expected
    if values is not None:
        return partition_identity(found) == partition_identity(expected)
    if expected.get("PartitionKeys"):
        return bool(found.get("PartitionKeys"))
    return identity(found) == identity(expected)


def _input(entry: Mapping[str, Any] | None, values: Values | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return catalogue.table_input(entry) if values is None else catalogue.partition_input(entry)


def _in_order(steps: Sequence[Step], publications: Sequence[Publication]) -> list[Step]:
    """Return the steps in the order of the last publication that has each."""
    order: dict[tuple[TableName, Values | None], int] = {}
    for publication in publications:
        for step in publication.plan:
            order[step.entry] = len(order)
    return sorted(steps, key=lambda step: order[step.entry])
