"""A comparison of production's files and pointers before and after a build that no fence keeps from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_lakehouse_provider.publishing import catalogue, objects
from airflow_lakehouse_provider.publishing.attempt import AuditAttempt
from airflow_lakehouse_provider.publishing.catalogue import Catalogue
from airflow_lakehouse_provider.publishing.names import TableName

_THREADS = 8
# The most changes that an error names.
_NAMED = 5


class ProductionFiles:
    """The files of the production tables that an attempt builds or reads, as they are when it is made.

    :param glue: a boto3 client; ``s3`` likewise
    """

    def __init__(self, glue: Any, s3: Any, attempt: AuditAttempt) -> None:
        self._glue = Catalogue(glue)
        self._s3 = s3
        self._tables = sorted({node.production for node in attempt.nodes} | set(attempt.parents.values()))
        with ThreadPoolExecutor(_THREADS) as pool:
            found = list(pool.map(self._entries, self._tables))
        self._before = dict(zip(self._tables, found, strict=True))
        places = {place: name for name, entries in self._before.items() for place, _ in entries.values() if place}
        self._owners = places
        self._files = self._listed()

    def changes(self) -> str | None:
        """Return what has changed since, in a sentence; None where nothing has.

        A pointer that a publication has moved meanwhile has a newer generation and is no such change.
        """
        found = [*self._changed_files(), *self._changed_entries()]
        if not found:
            return None
        more = f", and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        return f"production was changed while dbt built: {', '.join(found[:_NAMED])}{more}"

    def _changed_files(self) -> Iterator[str]:
        after = self._listed()
        for place, name in sorted(self._owners.items()):
            before, now = self._files[place], after[place]
            for key in sorted(before.keys() | now.keys()):
                if before.get(key) != now.get(key):
                    verb = "is gone" if key not in now else "is new" if key not in before else "was written anew"
                    yield f"{key} of {name} {verb}"

    def _changed_entries(self) -> Iterator[str]:
        for name in self._tables:
            before, now = self._before[name], self._entries(name)
            for values in sorted(before.keys() | now.keys()):
                old, new = before.get(values), now.get(values)
                published = new is not None and new[1] is not None and new[1] != (old[1] if old else None)
                if old != new and not published:
                    text = f"partition {'/'.join(values)} of {name}" if values else str(name)
                    yield f"{text} {'was dropped' if new is None else 'was made' if old is None else 'was changed'}"

    def _entries(self, name: TableName) -> Mapping[tuple[str, ...], tuple[str, str | None]]:
        """Return location and generation of a table, under (), and of its partitions."""
        table = self._glue.table(name)
        if table is None:
            return {}
        if not table.get("PartitionKeys"):
            return {(): (catalogue.location(table), catalogue.generation(table))}
        partitions = self._glue.partitions(name)
        return {values: (catalogue.location(each), catalogue.generation(each)) for values, each in partitions.items()}

    def _listed(self) -> dict[str, dict[str, str]]:
        places = list(self._owners)
        with ThreadPoolExecutor(_THREADS) as pool:
            return dict(zip(places, pool.map(lambda place: objects.files_at(self._s3, place), places), strict=True))
