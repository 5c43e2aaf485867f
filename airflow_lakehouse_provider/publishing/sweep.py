"""Sweeping: audit schemas that nobody needs, their files, and the files of old generations.

Kept is whatever production points at, whatever an open plan, a kept record or a running attempt needs, and everything
younger than ``keep_hours``. Files are listed again directly before they are deleted; only keys of both lists go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from airflow_lakehouse_provider.publishing import catalogue, objects
from airflow_lakehouse_provider.publishing.attempt import AttemptStore, moment
from airflow_lakehouse_provider.publishing.catalogue import Catalogue
from airflow_lakehouse_provider.publishing.names import AUDIT_MARK, Places, PublishingError, TableName
from airflow_lakehouse_provider.publishing.record import PUBLISHED, UNFINISHED, History, Publication
from airflow_lakehouse_provider.s3_uri import split_s3_uri

KEEP_GENERATIONS, KEEP_HOURS = 2, 24.0
_MOST_KEYS = 1000


@dataclass(frozen=True)
class SweepSettings:
    """The part of a lakehouse that is kept.

    :param schemas: production's schemas: audit schemas and temporary tables of these are swept
    :param keep_generations: the published generation of a unit and those before it, at least so many
    :param keep_hours: everything younger is kept
    :raises PublishingError: naming the argument, its value and what is allowed
    """

    schemas: tuple[str, ...]
    keep_generations: int = KEEP_GENERATIONS
    keep_hours: float = KEEP_HOURS
    dry_run: bool = False

    def __post_init__(self) -> None:
        if not self.schemas or not all(self.schemas):
            raise PublishingError("schemas is empty; name production's Glue databases")
        if not isinstance(self.keep_generations, int) or self.keep_generations < 1:
            raise PublishingError(f"keep_generations is {self.keep_generations!r}; it must be a whole number from 1")
        if not self.keep_hours >= 1:
            raise PublishingError(f"keep_hours is {self.keep_hours!r}; it must be 1 or more hours")


@dataclass
class Swept:
    """The result of a sweep; with ``dry_run`` what it would do."""

    databases: list[str] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    files: int = 0
    bytes: int = 0


class Sweeper:
    """The one who removes what nobody needs.

    :param glue: a boto3 client; ``s3`` likewise
    :param log: called with a line for the task's log
    :param now: the time, for tests
    """

    def __init__(
        self,
        glue: Any,
        s3: Any,
        places: Places,
        settings: SweepSettings,
        *,
        log: Callable[[str], None],
        now: datetime | None = None,
    ) -> None:
        self._glue = Catalogue(glue)
        self._s3 = s3
        self._places = places
        self._settings = settings
        self._log = log
        self._horizon = (now or datetime.now(timezone.utc)) - timedelta(hours=settings.keep_hours)
        self._history = History(s3, places)
        self._attempts = AttemptStore(s3, places)
        self._swept = Swept()

    def sweep(self) -> Swept:
        """Remove what nobody needs; return it."""
        # The order matters: what is listed first is what may go, and only then what is needed is asked for.
        files = self._listed(f"{self._places.data}/generations/") | self._listed(f"{self._places.data}/roots/")
        databases = [name for name in self._glue.databases() if self._is_audit(name)]
        kept_audits = self._kept_audits()
        needed = self._needed()
        gone = [name for name in databases if _audit_of(name) not in kept_audits]
        for name in gone:
            self._drop_database(name)
        self._drop_temporary_tables()
        # Databases that stay point at files too.
        for name in sorted(set(databases) - set(gone)):
            needed |= set(self._locations(name))
        self._delete_files(files, needed, kept_audits)
        return self._swept

    def _is_audit(self, database: str) -> bool:
        return any(database.startswith(f"{schema}{AUDIT_MARK}") for schema in self._settings.schemas)

    def _kept_audits(self) -> set[str]:
        """Return the audit schemas of attempts that may be running or waiting for their publication."""
        kept = {audit for audit, changed in self._attempts.all().items() if changed > self._horizon}
        for unit in self._history.units():
            kept |= {each.audit for each in self._history.of(unit) if each.state in UNFINISHED}
        return kept

    def _needed(self) -> set[str]:
        """Return the locations that production points at, and those that a kept record leads back to."""
        needed: set[str] = set()
        for schema in self._production_schemas():
            needed |= set(self._locations(schema))
        for unit in self._history.units():
            for record in self._kept_records(self._history.of(unit)):
                for step in record.plan:
                    needed |= {catalogue.location(entry) for entry in (step.old, step.new) if entry is not None}
        return needed - {""}

    def _production_schemas(self) -> list[str]:
        return [name for name in self._glue.databases() if not self._is_audit(name)]

    def _kept_records(self, records: Iterable[Publication]) -> list[Publication]:
        published = [each for each in records if each.state == PUBLISHED]
        latest = published[-self._settings.keep_generations + 1 :] if self._settings.keep_generations > 1 else []
        young = [each for each in published if moment(each.recorded_at) > self._horizon]
        unfinished = [each for each in records if each.state in UNFINISHED]
        return [*latest, *young, *unfinished]

    def _locations(self, database: str) -> Iterable[str]:
        bucket, _ = split_s3_uri(self._places.data)
        for table in self._glue.tables(database):
            yield catalogue.location(table)
            # A table in another bucket has no partitions in ours: publishing moves both together.
            if table.get("PartitionKeys") and catalogue.location(table).startswith(f"s3://{bucket}/"):
                name = TableName(database, table["Name"])
                yield from (catalogue.location(each) for each in self._glue.partitions(name).values())

    def _drop_database(self, name: str) -> None:
        self._log(f"{'Would remove' if self._settings.dry_run else 'Removing'} the audit schema {name}")
        self._swept.databases.append(name)
        if not self._settings.dry_run:
            self._glue.delete_database(name)

    def _drop_temporary_tables(self) -> None:
        """Remove the ``__dbt_tmp`` tables that killed runs of dbt left in production's schemas."""
        for schema in self._settings.schemas:
            for table in list(self._glue.tables(schema)):
                made = table.get("CreateTime")
                if "__dbt_tmp" not in table["Name"] or made is None or made > self._horizon:
                    continue
                name = TableName(schema, table["Name"])
                self._log(f"{'Would remove' if self._settings.dry_run else 'Removing'} the temporary table {name}")
                self._swept.tables.append(str(name))
                if not self._settings.dry_run:
                    self._glue.delete_table(name)
                    self._delete(catalogue.location(table), self._listed(f"{catalogue.location(table)}/"))

    def _listed(self, prefix: str) -> dict[str, Any]:
        return {item["Key"]: item for item in objects.keys(self._s3, prefix)}

    def _delete_files(self, files: dict[str, Any], needed: set[str], kept_audits: set[str]) -> None:
        bucket, data = split_s3_uri(self._places.data)
        generations = f"{data}/generations/" if data else "generations/"
        places = {split_s3_uri(place)[1] for place in needed if place.startswith(f"s3://{bucket}/")}
        free: dict[str, dict[str, Any]] = {}
        for key, item in files.items():
            audit = key.removeprefix(generations).partition("/")[0] if key.startswith(generations) else ""
            if audit in kept_audits or item["LastModified"] > self._horizon:
                continue
            if any(folder in places for folder in _folders(key)):
                continue
            free.setdefault(key.rpartition("/")[0], {})[key] = item
        for folder, items in sorted(free.items()):
            self._delete(f"s3://{bucket}/{folder}", items)

    def _delete(self, place: str, items: dict[str, Any]) -> None:
        """Delete files that are still there as they were when they were listed."""
        again = self._listed(f"{place}/")
        same = [key for key, item in items.items() if key in again and again[key]["ETag"] == item["ETag"]]
        if not same:
            return
        self._log(f"{'Would delete' if self._settings.dry_run else 'Deleting'} {len(same)} files at {place}")
        self._swept.prefixes.append(place)
        self._swept.files += len(same)
        self._swept.bytes += sum(items[key]["Size"] for key in same)
        if self._settings.dry_run:
            return
        bucket, _ = split_s3_uri(place)
        for batch in catalogue.batches(same, _MOST_KEYS):
            answer = self._s3.delete_objects(
                Bucket=bucket, Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True}
            )
            if errors := answer.get("Errors"):
                raise PublishingError(
                    f"S3 did not delete {errors[0]['Key']}: {errors[0]['Code']}: {errors[0]['Message']}"
                )


def _audit_of(database: str) -> str:
    """Return the audit schema that a database belongs to: custom schemas append to its name."""
    schema, mark, rest = database.partition(AUDIT_MARK)
    return f"{schema}{mark}{rest[:12]}"


def _folders(key: str) -> Iterator[str]:
    """Yield the folders that a key lies in, at any depth."""
    while "/" in key:
        key = key.rpartition("/")[0]
        yield key
