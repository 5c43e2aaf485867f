"""The plan of a publication: the steps that make public what an attempt built, in the order in which they are taken."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_lakehouse_provider.publishing import catalogue, objects
from airflow_lakehouse_provider.publishing.attempt import BUILT, PARTITIONED, VIEW, AuditAttempt, Node
from airflow_lakehouse_provider.publishing.catalogue import Catalogue, Values
from airflow_lakehouse_provider.publishing.clone import identity
from airflow_lakehouse_provider.publishing.names import GENERATION, Places, PublishingError
from airflow_lakehouse_provider.publishing.record import Step

_VIEW_BEGIN, _VIEW_END = "/* Presto View: ", " */"


@dataclass(frozen=True)
class Planner:
    """A maker of plans.

    :param s3: a boto3 client
    """

    glue: Catalogue
    s3: Any
    places: Places

    def steps(self, attempt: AuditAttempt, label: str) -> tuple[Step, ...]:
        """Return the steps that make an attempt public.

        :param label: ``<unit>/<generation>``
        :raises PublishingError: the attempt cannot be published; the message names the node, the reason and what to do
        """
        unbuilt = sorted({node.unique_id for node in attempt.nodes} - set(attempt.built))
        if attempt.state != BUILT or unbuilt:
            raise PublishingError(
                f"attempt {attempt.audit} of {attempt.unit} is {attempt.state}"
                f"{f', and not every node was built: {_listed(unbuilt)}' if unbuilt else ''}. Only a run whose every "
                "selected node succeeded is published: build again."
            )
        steps: list[Step] = []
        for node in in_order(attempt.nodes):
            if node.kind == PARTITIONED:
                steps += self._partitioned(attempt, node, label)
            else:
                steps += self._whole(attempt, node, label)
        if not steps:
            raise PublishingError(f"attempt {attempt.audit} of {attempt.unit} changes nothing that is public")
        return tuple(steps)

    def _partitioned(self, attempt: AuditAttempt, node: Node, label: str) -> list[Step]:
        audit, production = self._audit_table(node), self.glue.table(node.production)
        built = self.glue.partitions(node.audit)
        public = self.glue.partitions(node.production) if production else {}
        base = attempt.base_locations(node)
        keys = catalogue.keys(audit)
        changed = {values: each for values, each in built.items() if base.get(values) != catalogue.location(each)}
        gone = [values for values in base if values not in built]
        carried = node.unique_id in attempt.carried
        if gone and not carried and not attempt.empty:
            raise PublishingError(
                f"{node.unique_id} removed partition {catalogue.partition_text(keys, gone[0])} of {node.production} "
                f"({len(gone)} in all) and built none in its place; a hook or macro of the project drops partitions: "
                "leave that to the publication"
            )
        anywhere = carried or not attempt.scope
        allowed = set(changed) if anywhere else set(self.glue.partitions(node.audit, attempt.scope))
        if outside := sorted(set(changed) - allowed):
            raise PublishingError(
                f"{node.unique_id} built the partition {catalogue.partition_text(keys, outside[0])} ({len(outside)} in "
                f"all), which is outside of partitions={attempt.scope!r}: correct the model or the expression"
            )
        removed = sorted(gone)
        if not changed and not removed and not attempt.empty and not carried:
            raise PublishingError(
                f"{node.unique_id} built no partition of {node.production}, and {attempt.unit} has rows: the model "
                "selected none of them. Correct it; a unit that is truly empty is built with empty=True."
            )
        if not changed and not removed:
            return []
        if production is None:
            _refuse_a_view(node, audit)
        table = Step(node.unique_id, node.production, None, *self._root(node, audit, production, label))
        new = {values: self._published(each, label) for values, each in sorted(changed.items())}
        steps = [
            self._partition_step(attempt, node, values, public.get(values), partition, keys)
            for values, partition in new.items()
        ]
        steps += [self._partition_step(attempt, node, values, public.get(values), None, keys) for values in removed]
        return [table, *steps]

    def _whole(self, attempt: AuditAttempt, node: Node, label: str) -> Iterator[Step]:
        audit, production = self._audit_table(node), self.glue.table(node.production)
        keys = catalogue.keys(audit)
        if production is not None and catalogue.keys(production) != keys:
            raise PublishingError(
                f"{node.unique_id} is partitioned by {_names(keys)}, and {node.production} by "
                f"{_names(catalogue.keys(production))}: drop that table by hand, once, then publish again"
            )
        old = catalogue.table_input(production) if production is not None else None
        if node.kind == VIEW:
            new = self._view(attempt, audit, node, label)
            if production is not None and identity(new) == identity(production):
                return
        elif keys:
            new = self._renamed(audit, node, label, location=self.places.new_root())
        else:
            new = self._renamed(audit, node, label)
        yield self._table_step(attempt, node, old, new, bool(keys) or node.kind == VIEW)
        if not keys:
            return
        built = self.glue.partitions(node.audit)
        public = self.glue.partitions(node.production) if production is not None else {}
        for values, each in sorted(built.items()):
            yield self._partition_step(attempt, node, values, public.get(values), self._published(each, label), keys)
        for values in sorted(set(public) - set(built)):
            yield self._partition_step(attempt, node, values, public[values], None, keys)

    def _audit_table(self, node: Node) -> dict[str, Any]:
        table = self.glue.table(node.audit)
        if table is None:
            raise PublishingError(f"{node.unique_id} was built, and there is no {node.audit}: build again")
        return table

    def _root(
        self, node: Node, audit: Mapping[str, Any], production: Mapping[str, Any] | None, label: str
    ) -> tuple[dict[str, Any] | None, dict[str, Any]]:
        """Return a partitioned table before and after: a fresh location of its own, and columns added at the end."""
        root = self.places.new_root()
        if production is None:
            return None, self._renamed(audit, node, label, location=root)
        check_columns(node, catalogue.columns(production), catalogue.columns(audit))
        if catalogue.keys(production) != catalogue.keys(audit):
            raise PublishingError(
                f"{node.unique_id} is partitioned by {_names(catalogue.keys(audit))}, and {node.production} by "
                f"{_names(catalogue.keys(production))}: rebuild it by hand with --full-refresh, then publish again"
            )
        merged = {**audit, "Parameters": {**production.get("Parameters", {}), **audit.get("Parameters", {})}}
        return catalogue.table_input(production), self._renamed(merged, node, label, location=root)

    def _renamed(self, audit: Mapping[str, Any], node: Node, label: str, location: str | None = None) -> dict[str, Any]:
        descriptor = dict(audit["StorageDescriptor"])
        if location is not None:
            descriptor["Location"] = location
        parameters = {**audit.get("Parameters", {}), GENERATION: label}
        return catalogue.table_input(
            audit, Name=node.production.name, StorageDescriptor=descriptor, Parameters=parameters
        )

    @staticmethod
    def _published(partition: Mapping[str, Any], label: str) -> dict[str, Any]:
        parameters = {**partition.get("Parameters", {}), GENERATION: label}
        return catalogue.partition_input(partition, Parameters=parameters)

    def _view(self, attempt: AuditAttempt, audit: Mapping[str, Any], node: Node, label: str) -> dict[str, Any]:
        """Return a view's definition with production's names in place of the audit schema's."""
        text = audit.get("ViewOriginalText") or ""
        if not text.startswith(_VIEW_BEGIN):
            raise PublishingError(f"{node.audit} is no view of Athena's; {node.unique_id} cannot be published as one")
        content = json.loads(base64.b64decode(text.removeprefix(_VIEW_BEGIN).removesuffix(_VIEW_END)))
        content["originalSql"] = in_production(content["originalSql"], attempt)
        content["schema"] = node.production.database
        encoded = base64.b64encode(json.dumps(content).encode()).decode()
        parameters = {**audit.get("Parameters", {}), GENERATION: label}
        view = catalogue.table_input(audit, Name=node.production.name, Parameters=parameters)
        view["ViewOriginalText"] = f"{_VIEW_BEGIN}{encoded}{_VIEW_END}"
        if attempt.audit in json.dumps([content, view["StorageDescriptor"], view.get("Parameters")]):
            raise PublishingError(
                f"view {node.unique_id} names the audit schema {attempt.audit} in a way that cannot be rewritten: "
                "{{ ref() }} and {{ source() }} are rewritten, other uses of the target's schema are not"
            )
        return view

    def _table_step(
        self,
        attempt: AuditAttempt,
        node: Node,
        old: Mapping[str, Any] | None,
        new: Mapping[str, Any],
        without_files: bool,
    ) -> Step:
        files = {} if without_files else self._files(attempt, node, new, None)
        before = {} if without_files or old is None else self._files_at(catalogue.location(old))
        return Step(node.unique_id, node.production, None, old, new, before, files)

    def _partition_step(
        self,
        attempt: AuditAttempt,
        node: Node,
        values: Values,
        old: Mapping[str, Any] | None,
        new: Mapping[str, Any] | None,
        keys: Sequence[tuple[str, str]],
    ) -> Step:
        before = catalogue.partition_input(old) if old is not None else None
        old_files = self._files_at(catalogue.location(old)) if old is not None else {}
        new_files = self._files(attempt, node, new, catalogue.partition_text(keys, values)) if new is not None else {}
        return Step(node.unique_id, node.production, values, before, new, old_files, new_files)

    def _files_at(self, location: str) -> dict[str, str]:
        return objects.files_at(self.s3, location) if location else {}

    def _files(
        self, attempt: AuditAttempt, node: Node, entry: Mapping[str, Any], partition: str | None
    ) -> dict[str, str]:
        """Return the files that an entry shows, which must be the attempt's own."""
        place = catalogue.location(entry)
        name = f"{node.audit} {partition}" if partition else str(node.audit)
        own = self.places.files(attempt.audit)
        if node.unique_id not in attempt.carried and not place.startswith(f"{own}/"):
            raise PublishingError(
                f"{name} of {node.unique_id} lies at {place}, which is not under {own}: it is not this attempt's own"
            )
        files = self._files_at(place)
        if not files and partition is not None:
            raise PublishingError(f"{name} of {node.unique_id} has no files at {place}: it would be published empty")
        return files


def in_order(nodes: Sequence[Node]) -> list[Node]:
    """Return nodes so that each comes after those that it reads."""
    by_id = {node.unique_id: node for node in nodes}
    ordered: dict[str, Node] = {}

    def visit(node: Node) -> None:
        if node.unique_id in ordered:
            return
        for name in node.reads:
            if name in by_id and name != node.unique_id:
                visit(by_id[name])
        ordered[node.unique_id] = node

    for node in nodes:
        visit(node)
    return list(ordered.values())


def check_columns(node: Node, before: Sequence[tuple[str, str]], after: Sequence[tuple[str, str]]) -> None:
    """Return if the columns differ only by some that were added at the end.

    :raises PublishingError: naming the first that was removed, moved, or changed its type
    """
    for index, (name, type_) in enumerate(before):
        if index < len(after) and after[index] == (name, type_):
            continue
        new_type = dict(after).get(name)
        change = (
            "was removed"
            if new_type is None
            else f"is {new_type} and was {type_}"
            if new_type != type_
            else "was moved: new columns come at the end"
        )
        raise PublishingError(
            f"column {name} of {node.production} {change} in {node.unique_id}. Partitions that are not built would "
            "still have it as it was: rebuild the table by hand with --full-refresh, then publish again"
        )


def _refuse_a_view(node: Node, audit: Mapping[str, Any]) -> None:
    if audit.get("TableType") == "VIRTUAL_VIEW":
        raise PublishingError(f"{node.audit} is a view, and {node.unique_id} is incremental: build again")


def in_production(sql: str, attempt: AuditAttempt) -> str:
    """Return SQL with production's names: tables first, as their names may differ, then what is left of databases."""
    for node in attempt.nodes:
        for quote in ('"', "`"):
            audit, production = (
                f"{quote}{name.database}{quote}.{quote}{name.name}{quote}" for name in (node.audit, node.production)
            )
            sql = sql.replace(audit, production)
    databases = {node.audit.database: node.production.database for node in attempt.nodes}
    for audit in sorted(databases, key=len, reverse=True):
        sql = sql.replace(audit, databases[audit])
    return sql


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 10} more" if len(names) > 10 else ""
    return ", ".join(names[:10]) + more


def _names(keys: Sequence[tuple[str, str]]) -> str:
    return ", ".join(name for name, _ in keys) or "nothing"
