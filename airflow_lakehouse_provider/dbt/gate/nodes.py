"""The nodes of a gated build: mapped by their ids between production's manifest and the audit's, and judged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_lakehouse_provider.dbt.gate import code, kinds
from airflow_lakehouse_provider.dbt.gate.kinds import EPHEMERAL, AuditPlace
from airflow_lakehouse_provider.dbt.gate.refused import GateRefused, Objection
from airflow_lakehouse_provider.publishing.attempt import Node
from airflow_lakehouse_provider.publishing.names import TableName

_TABLES = frozenset({"model", "seed", "snapshot"})


@dataclass(frozen=True)
class Decision:
    """The part of an attempt that follows from the manifests; the members are those of :class:`AuditAttempt`."""

    nodes: tuple[Node, ...]
    parents: Mapping[str, TableName]
    databases: tuple[str, ...]


def decide(
    production: Mapping[str, Any], audit: Mapping[str, Any], selected: Sequence[str], place: AuditPlace
) -> Decision:
    """Return the nodes that a gated build builds, and the production tables that these read.

    :param production: the manifest of production
    :param audit: the manifest of the audit schema
    :param selected: the unique ids that dbt selected, of any type
    :raises GateRefused: naming each node that cannot be built so, and why
    """
    ids = [each for each in selected if each.partition(".")[0] in _TABLES]
    found = list(_objections(production, audit, ids, place))
    found += _test_tables(audit, [each for each in selected if each.startswith("test.")], place)
    if found:
        raise GateRefused.of(found)
    built = [each for each in ids if kinds.kind(audit["nodes"][each]) != EPHEMERAL]
    nodes = tuple(
        Node(
            each,
            str(kinds.kind(audit["nodes"][each])),
            _table(production["nodes"][each]),
            _table(audit["nodes"][each]),
            tuple(_reads(production, each)),
        )
        for each in sorted(built)
    )
    parents = {
        parent: _table(production["nodes"][parent])
        for node in nodes
        for parent in _parents(production, node.reads, set(built))
    }
    databases = {place.audit, *(node.audit.database for node in nodes)}
    return Decision(nodes, parents, tuple(sorted(databases)))


def kept_failures(manifest: Mapping[str, Any], selected: Sequence[str], *, always: bool = False) -> dict[str, str]:
    """Return the databases in which tests keep the rows that they found, by the tests' ids.

    :param always: whether dbt was told --store-failures
    """
    found = {}
    for each in selected:
        node = manifest["nodes"].get(each) or {}
        config = node.get("config") or {}
        kept = config.get("store_failures")
        kind = config.get("store_failures_as")
        if node.get("resource_type") == "test" and (kept or (kept is None and always) or kind in ("table", "view")):
            found[each] = str(node["schema"]).lower()
    return found


def _objections(
    production: Mapping[str, Any], audit: Mapping[str, Any], ids: Sequence[str], place: AuditPlace
) -> Iterator[Objection]:
    folded: dict[str, set[str]] = defaultdict(set)
    schemas = {str(node.get("schema")) for node in production["nodes"].values() if node["resource_type"] in _TABLES}
    for each in ids:
        theirs, ours = production["nodes"].get(each), audit["nodes"].get(each)
        if ours is None:
            continue
        if theirs is None:
            yield Objection(
                each,
                f"it is in the project only where the schema is not production's ({place.audit})",
                "make it the same for every schema of the target, or leave it out (exclude=)",
            )
            continue
        yield from kinds.objections(ours, place)
        if kinds.kind(ours) == EPHEMERAL:
            continue
        yield from _relation(theirs, ours, place)
        folded[_table(ours).database].add(_table(theirs).database)
        changed = [
            name
            for name in ("materialized", "partitioned_by", "incremental_strategy")
            if (theirs.get("config") or {}).get(name) != (ours.get("config") or {}).get(name)
        ]
        if changed:
            yield Objection(
                each, f"its {changed[0]} in the audit schema is not production's", "make it independent of the schema"
            )
    for database, several in sorted(folded.items()):
        if len(several) > 1:
            yield Objection(
                "generate_schema_name",
                f"it puts the schemas {', '.join(sorted(several))} of production into one, {database}",
                "keep them apart for every target.schema",
            )
    yield from _views_between(production, audit, ids)
    yield from code.objections(production, ids, schemas)
    yield from code.materializations(production)


def _relation(theirs: Mapping[str, Any], ours: Mapping[str, Any], place: AuditPlace) -> Iterator[Objection]:
    unique_id = ours["unique_id"]
    if theirs.get("database") != ours.get("database"):
        yield Objection(
            unique_id,
            f"its catalog is {theirs.get('database')} in production and {ours.get('database')} in the audit schema",
            "have generate_database_name return the same for every schema",
        )
    if not is_of(_table(ours).database, place.audit):
        same = " which is production's" if _table(ours) == _table(theirs) else ""
        yield Objection(
            unique_id,
            f"generate_schema_name puts it into {_table(ours).database},{same} and not into {place.audit}",
            "have generate_schema_name begin each name with target.schema",
        )


def _views_between(production: Mapping[str, Any], audit: Mapping[str, Any], ids: Sequence[str]) -> Iterator[Objection]:
    """Yield the nodes that read a table which is built anew, through a view which is not: it shows production's."""
    built = {each for each in ids if each in production["nodes"] and each in audit["nodes"]}
    for each in sorted(built):
        pending = [(name, name) for name in _reads(production, each) if name not in built]
        known = set()
        while pending:
            view, name = pending.pop()
            if name in built:
                yield Objection(
                    each,
                    f"it reads {view}, a view that is not selected, and through it {name}, which is: it would be built "
                    "of that table as it is in production",
                    f"select {view} as well, or neither",
                )
                break
            if name not in known and kinds.kind(production["nodes"][name]) == "view":
                pending += [(view, parent) for parent in _reads(production, name)]
            known.add(name)


def is_of(database: str, audit: str) -> bool:
    """Return True if a database is an audit schema, or the database of one of its custom schemas."""
    return database.startswith(audit)


def _test_tables(audit: Mapping[str, Any], tests: Sequence[str], place: AuditPlace) -> Iterator[Objection]:
    for each, database in kept_failures(audit, tests).items():
        if not is_of(database, place.audit):
            yield Objection(
                each,
                f"it stores failures in {database}, which is not of the audit schema",
                "have generate_schema_name begin each name with target.schema",
            )


def _table(node: Mapping[str, Any]) -> TableName:
    # Glue keeps names in lower case, and answers to no others.
    return TableName(str(node["schema"]).lower(), str(node.get("alias") or node["name"]).lower())


def _reads(manifest: Mapping[str, Any], unique_id: str) -> list[str]:
    """Return the nodes that a node reads; in place of an ephemeral model, those that it reads."""
    nodes, found, pending, known = manifest["nodes"], set(), [unique_id], set()
    while pending:
        for name in (nodes[pending.pop()].get("depends_on") or {}).get("nodes") or ():
            node = nodes.get(name)
            if node is None or node["resource_type"] not in _TABLES or name in known:
                continue
            known.add(name)
            if kinds.kind(node) == EPHEMERAL:
                pending.append(name)
            else:
                found.add(name)
    return sorted(found)


def _parents(manifest: Mapping[str, Any], reads: Sequence[str], built: set[str]) -> Iterator[str]:
    """Yield the nodes that are read from production: directly, and through production's views."""
    pending, known = list(reads), set()
    while pending:
        name = pending.pop()
        if name in built or name in known:
            continue
        known.add(name)
        yield name
        if kinds.kind(manifest["nodes"][name]) == "view":
            pending += _reads(manifest, name)
