"""Publishing an attempt, finishing what a killed publisher left, and undoing what cannot be finished."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from airflow_lakehouse_provider.publishing import catalogue, objects
from airflow_lakehouse_provider.publishing.attempt import PASSED, VIEW, AttemptStore, AuditAttempt
from airflow_lakehouse_provider.publishing.catalogue import Catalogue
from airflow_lakehouse_provider.publishing.clone import identity, partition_identity
from airflow_lakehouse_provider.publishing.lease import Lease
from airflow_lakehouse_provider.publishing.moves import Move
from airflow_lakehouse_provider.publishing.names import (
    Moved,
    Places,
    PublishingError,
    TableName,
    check_unit,
    schema_of,
)
from airflow_lakehouse_provider.publishing.plan import Planner
from airflow_lakehouse_provider.publishing.record import (
    ACCEPTED,
    PLANNED,
    PUBLICATION,
    PUBLISHED,
    PUBLISHING,
    ROLLBACK,
    UNDONE,
    UNFINISHED,
    History,
    Publication,
    Step,
    age_days,
)
from airflow_lakehouse_provider.publishing.rollback import Returner
from airflow_lakehouse_provider.publishing.table import make_table

Log = Callable[[str], None]
# Takes the unit, changes to take over, the nodes to build, and of a rollback the generation that comes back; returns
# the address of an attempt that was tested.
Rebuild = Callable[[str, Sequence[Step], Sequence[str], int | None], str]
# By-hand changes alone can move production while the lease is held.
_MOST_TRIES = 3


@dataclass(frozen=True)
class Acceptance:
    """A person's decision to publish in spite of tests that failed.

    :param tests: unique ids or names of the tests
    :raises PublishingError: tests without a reason, or a reason without tests
    """

    tests: tuple[str, ...] = ()
    reason: str = ""
    by: str = ""

    def __post_init__(self) -> None:
        if bool(self.tests) != bool(self.reason.strip()):
            raise PublishingError(
                f"accept is {list(self.tests)!r} and reason is {self.reason!r}: the two go together. Name the tests "
                "that may fail this once, and say why."
            )


class Publisher:
    """The one who changes what is public.

    :param glue: a boto3 client; ``s3`` likewise
    :param conflicts: returns the unique ids of an attempt's nodes that must be built again, given what moved and the
        plan's steps
    :param log: called with a line for the task's log
    """

    def __init__(
        self,
        glue: Any,
        s3: Any,
        places: Places,
        *,
        conflicts: Callable[[AuditAttempt, Sequence[Step]], tuple[Mapping[TableName, Move], list[str]]],
        log: Log,
    ) -> None:
        self._glue = Catalogue(glue)
        self._s3 = s3
        self._places = places
        self._conflicts = conflicts
        self._log = log
        self.history = History(s3, places)
        self.attempts = AttemptStore(s3, places)

    @contextmanager
    def lease(self, purpose: str) -> Iterator[Lease]:
        """Hold the lease; a publication that a killed publisher left is finished first."""
        with Lease(self._s3, self._places, purpose, log=self._log) as lease:
            if lease.unfinished:
                left = self.history.read(lease.unfinished)
                if left.state in UNFINISHED:
                    self._log(f"Finishing {left.kind} {left.label}, which its publisher left.")
                    try:
                        self._carry_out(left, lease)
                    except Moved as error:
                        self._log(f"{left.kind} {left.label} could not be finished: {error}")
                lease.remember(None)
            yield lease

    def publish(
        self,
        uri: str,
        *,
        acceptance: Acceptance | None = None,
        run: str = "",
        rebuild: Rebuild | None = None,
    ) -> Publication:
        """Publish an attempt whose gate has passed, and return the record; what was published already stays.

        :param uri: the address of the attempt's document
        :param run: DAG run or user, for the record
        :param rebuild: builds nodes that have read what another publication replaced, and tests the unit again; the
            lease is held meanwhile, so that nobody replaces more of it
        :raises Moved: production was changed since the attempt read it, and nothing can be built again here
        :raises PublishingError: the gate has not passed, or the attempt cannot be published
        """
        attempt = self.attempts.read(uri)
        with self.lease(f"publication of {attempt.unit}") as lease:
            for _ in range(_MOST_TRIES):
                try:
                    return self._publish(attempt, acceptance or Acceptance(), run, lease)
                except Moved as moved:
                    if rebuild is None or not moved.nodes:
                        raise
                    self._log(f"{moved}. They are built again.")
                    attempt = self.attempts.read(self._rebuilt(attempt, moved, rebuild))
            return self._publish(attempt, acceptance or Acceptance(), run, lease)

    def _rebuilt(self, attempt: AuditAttempt, moved: Moved, rebuild: Rebuild) -> str:
        """Build again what has moved, upon production as it is now and upon what of the attempt is as it should be."""
        steps = Planner(self._glue, self._s3, self._places).steps(attempt, attempt.unit)
        # A view reads when it is queried, and costs nothing to make again.
        again = {*moved.nodes, *(node.unique_id for node in attempt.nodes if node.kind == VIEW)}
        return rebuild(attempt.unit, [step for step in steps if step.node not in again], sorted(again), None)

    def _publish(self, attempt: AuditAttempt, acceptance: Acceptance, run: str, lease: Lease) -> Publication:
        known = self.history.of_attempt(attempt.unit, attempt.audit)
        if known is not None:
            self._log(f"{known.label} is {known.state}: it is carried out to its end.")
            return known if known.state == PUBLISHED else self.carry_out(known, lease)
        same = unchanged(self._glue, self.history, attempt.unit, attempt.code, attempt.unchanged_days)
        if same is not None:
            self._log(f"{same.label} was published meanwhile, of the same project: nothing is to be done.")
            return same
        accepted = check_gate(attempt, acceptance)
        generation = self.history.next_generation(attempt.unit)
        planner = Planner(self._glue, self._s3, self._places)
        steps = planner.steps(attempt, f"{attempt.unit}/{generation}")
        moves, again = self._conflicts(attempt, steps)
        if again:
            names = ", ".join(str(table) for table in sorted(moves))
            raise Moved(
                f"{names} changed since {attempt.audit} was built for {attempt.unit}, and {', '.join(again)} read "
                "that: nothing was published",
                nodes=tuple(again),
            )
        gate = attempt.gate
        assert gate is not None
        make_table(self._glue, schema_of(attempt.audit), self._places)
        record = self.history.add(
            Publication(
                unit=attempt.unit,
                generation=generation,
                kind=ROLLBACK if attempt.restores is not None else PUBLICATION,
                audit=attempt.audit,
                gate=ACCEPTED if accepted else gate.status,
                gate_message=gate.message,
                failed_tests=gate.failed,
                accepted=accepted,
                reason=acceptance.reason if accepted else "",
                accepted_by=acceptance.by if accepted else "",
                run=run or attempt.run,
                restores=attempt.restores,
                code=attempt.code,
                rows=attempt.rows,
                plan=steps,
            )
        )
        return self.carry_out(record, lease)

    def rollback(
        self, unit: str, to: int | None = None, *, run: str = "", rebuild: Rebuild | None = None
    ) -> Publication:
        """Put a former generation of a unit back, and return the record.

        :param to: the generation; 0 is what was there before the first; default: the one before the last
        :param run: DAG run or user, for the record
        :param rebuild: builds tables again that later publications of other units have replaced
        :raises PublishingError: there is no such generation, it cannot come back, or tables were replaced by later
            publications of other units and must be built again; the message says which
        """
        with self.lease(f"rollback of {check_unit(unit)}") as lease:
            generation = self.history.next_generation(unit)
            returner = Returner(self._glue, self._s3, self._places)
            label = f"{unit}/{generation}"
            back = returner.way_back(self.history.published(unit), unit, to, label)
            if back.replaced and rebuild is not None:
                self._log(f"{', '.join(back.replaced)} were replaced since by other units, and are built again.")
                uri = rebuild(unit, back.steps, list(back.replaced), back.generation)
                return self._publish(self.attempts.read(uri), Acceptance(), run, lease)
            if back.replaced:
                raise PublishingError(
                    f"{unit} cannot go back to generation {back.generation} by pointers alone: publications of other "
                    f"units have since replaced the tables of {', '.join(back.replaced)}, which must be built again "
                    "from what comes back. Give the rollback dbt's arguments, or run the month's DAG run again."
                )
            record = self.history.add(
                Publication(
                    unit=unit,
                    generation=generation,
                    kind=ROLLBACK,
                    audit="",
                    run=run,
                    restores=back.generation,
                    plan=back.steps,
                )
            )
            return self.carry_out(record, lease)

    def carry_out(self, record: Publication, lease: Lease) -> Publication:
        """Take the steps of a planned record; return it as published.

        :raises Moved: an entry is neither as before nor as planned; what was done is undone
        """
        lease.remember(self.history.uri(record))
        done = self._carry_out(record, lease)
        lease.remember(None)
        return done

    def _carry_out(self, record: Publication, lease: Lease) -> Publication:
        try:
            for step in record.plan:
                self._check_files(step)
            if record.state == PLANNED:
                for step in record.plan:
                    self._check(step)
                record = self.history.change(record, state=PUBLISHING)
            for step in record.plan:
                lease.check()
                self._take(step, step.old, step.new)
        except Moved as error:
            self._undo(record, lease)
            self.history.change(record, state=UNDONE, reason=f"{record.reason} {error}".strip())
            raise
        tables = len({step.table for step in record.plan})
        self._log(f"Published {record.label}: {len(record.plan)} changes in {tables} tables and views.")
        return self.history.change(record, state=PUBLISHED)

    def _undo(self, record: Publication, lease: Lease) -> None:
        for step in reversed(record.plan):
            lease.check()
            if _same(self._glue.entry(*step.entry), step.new) and not _same(step.old, step.new):
                self._take(step, step.new, step.old)

    def _check(self, step: Step) -> None:
        current = self._glue.entry(*step.entry)
        if not _same(current, step.old) and not _same(current, step.new):
            raise Moved(f"{step} was changed by somebody else: it is {_place(current)}, not {_place(step.old)}")

    def _check_files(self, step: Step) -> None:
        if step.new is None or not step.new_files:
            return
        now = objects.files_at(self._s3, catalogue.location(step.new))
        if lost := sorted(set(step.new_files.items()) - set(now.items())):
            raise Moved(
                f"{step}: the file {lost[0][0]} ({len(lost)} in all) was changed or deleted since it was planned"
            )

    def _take(self, step: Step, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        """Change an entry from old to new, unless it is new already.

        :raises Moved: it is neither
        """
        current = self._glue.entry(*step.entry)
        if _same(current, new):
            return
        if not _same(current, old):
            raise Moved(f"{step} was changed by somebody else: it is {_place(current)}, not {_place(old)}")
        if step.values is not None:
            self._take_partition(step, current, new)
        elif new is None:
            self._glue.delete_table(step.table)
        elif current is None:
            self._glue.create_table(step.table.database, new)
        else:
            self._glue.update_table(step.table.database, new, current.get("VersionId"))

    def _take_partition(self, step: Step, current: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> None:
        assert step.values is not None
        if new is None:
            self._glue.delete_partitions(step.table, [step.values])
        elif current is None:
            self._glue.create_partitions(step.table, [new])
        else:
            self._glue.update_partition(step.table, new)


def is_accepted(unique_id: str, tests: Sequence[str]) -> bool:
    """Return True if a test is among tests: by its unique id, or by its name without dbt's hash."""
    return unique_id in tests or any(part in tests for part in unique_id.split(".")[2:3])


def unchanged(glue: Catalogue, history: History, unit: str, code: str, days: float | None) -> Publication | None:
    """Return the publication of a unit, if it is of this project, is young, and its tables are as it left them.

    :param code: digest of the project
    :param days: the most days since then; None: it is to be published again in any case
    """
    if days is None:
        return None
    published = history.published(unit)
    last = published[-1] if published else None
    if last is None or last.kind != PUBLICATION or last.code != code or age_days(last) > days:
        return None
    same = all(_same(glue.entry(*step.entry), step.new) for step in last.plan if not step.is_root)
    return last if same else None


def check_gate(attempt: AuditAttempt, acceptance: Acceptance) -> tuple[str, ...]:
    """Return the failed tests that were accepted, if the gate lets an attempt pass.

    :raises PublishingError: it was not tested, or a test failed that nobody accepted
    """
    gate = attempt.gate
    if gate is None:
        raise PublishingError(f"attempt {attempt.audit} of {attempt.unit} was not tested: run dbt test on it first")
    if gate.status == PASSED:
        return ()
    refused = [test for test in gate.failed if not is_accepted(test, acceptance.tests)]
    if refused or not gate.failed:
        raise PublishingError(
            f"the gate of {attempt.unit} failed: {gate.message}. Production is unchanged. A person may publish it all "
            "the same, naming each test and why: lakehouse publish --accept TEST --reason TEXT"
        )
    return gate.failed


def _same(found: Mapping[str, Any] | None, expected: Mapping[str, Any] | None) -> bool:
    if found is None or expected is None:
        return found is expected
    if "Values" in expected:
        return partition_identity(found) == partition_identity(expected)
    # Of a table with partitions its own location says whether a plan was carried out.
    place = catalogue.location(found) == catalogue.location(expected)
    return place and identity(found) == identity(expected)


def _place(entry: Mapping[str, Any] | None) -> str:
    return f"at {catalogue.location(entry) or 'no location'}" if entry is not None else "not there"
