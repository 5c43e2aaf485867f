"""An audit schema: a clone of production by pointers, without a copy of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from airflow_lakehouse_provider.publishing import catalogue
from airflow_lakehouse_provider.publishing.attempt import PARTITIONED, AuditAttempt, Node
from airflow_lakehouse_provider.publishing.catalogue import Catalogue, Values
from airflow_lakehouse_provider.publishing.names import Places, PublishingError, TableName
from airflow_lakehouse_provider.publishing.record import Step

_THREADS = 8


def clone(glue: Catalogue, attempt: AuditAttempt, places: Places, carried: Sequence[Step] = ()) -> dict[str, Any]:
    """Create an attempt's databases and, in them, its incremental models as production has them now.

    :param carried: changes of production that the attempt takes over: it reads production as it will be after them
    :return: the base: the pointers of every production table that the attempt builds or reads, by the table's name
    :raises PublishingError: an audit database exists, or a production table is no Hive table
    """
    for database in attempt.databases:
        glue.create_database(database, f"dbt's attempt to build {attempt.unit}; swept by lakehouse sweep")
    names = {node.production for node in attempt.nodes} | set(attempt.parents.values())
    changes: dict[TableName, dict[Values | None, Any]] = {}
    for step in carried:
        changes.setdefault(step.table, {})[step.values] = step.new
    with ThreadPoolExecutor(_THREADS) as pool:
        found = dict(zip(names, pool.map(lambda name: _production(glue, name), names), strict=True))
        root = places.files(attempt.audit)
        for node in attempt.nodes:
            table, _ = found[node.production]
            if node.kind == PARTITIONED and table is not None and not catalogue.keys(table):
                raise PublishingError(
                    f"{node.production} has no partition keys, and {node.unique_id} is partitioned now: build it "
                    "once by hand with --full-refresh"
                )
        work = [node for node in attempt.nodes if node.kind == PARTITIONED or node.unique_id in attempt.carried]
        list(pool.map(lambda node: _clone(glue, node, *found[node.production], changes, root), work))
    return {str(name): pointers(table, partitions) for name, (table, partitions) in found.items()}


def forget_scope(glue: Catalogue, attempt: AuditAttempt) -> None:
    """Remove, from the audit schema of a unit without rows, the partitions that the unit owns and did not build.

    :raises PublishingError: it is not known which it owns
    """
    if not attempt.scope:
        raise PublishingError(
            f"{attempt.unit} is empty, and partitions is not given: name the partitions that the unit owns, so that "
            'they can be removed, such as partitions="year = 2024 and month = 5"'
        )
    for node in attempt.nodes:
        if node.kind == PARTITIONED and glue.table(node.audit) is not None:
            base = attempt.base_locations(node)
            owned = glue.partitions(node.audit, attempt.scope)
            glue.delete_partitions(
                node.audit, [values for values, each in owned.items() if base.get(values) == catalogue.location(each)]
            )


def pointers(table: Mapping[str, Any] | None, partitions: Mapping[Values, Mapping[str, Any]]) -> dict[str, Any]:
    """Return what a table points at: its identity, and of each partition values, location, generation and creation.

    Glue's time of creation tells a partition from one that dbt by hand made anew at the same location.
    """
    return {
        "table": identity(table) if table is not None else None,
        "partitions": [
            [list(values), *partition_identity(each), _created(each)] for values, each in sorted(partitions.items())
        ],
    }


def current_pointers(glue: Catalogue, name: TableName) -> dict[str, Any]:
    """Return what a production table points at now."""
    return pointers(*_production(glue, name))


def identity(table: Mapping[str, Any]) -> list[Any]:
    """Return the members of a table that say whether two definitions show the same: in JSON types.

    The location of a table with partitions is none of them: nothing is read from there. Nor is the generation of a
    view, whose text says all.
    """
    partitioned, view = bool(table.get("PartitionKeys")), table.get("TableType") == "VIRTUAL_VIEW"
    place = "" if partitioned or view else catalogue.location(table)
    return [
        table.get("TableType") or "",
        place,
        [list(each) for each in catalogue.columns(table)],
        [list(each) for each in catalogue.keys(table)],
        table.get("ViewOriginalText") or "",
        (catalogue.generation(table) or "") if not partitioned and not view else "",
    ]


def partition_identity(partition: Mapping[str, Any]) -> list[str]:
    """Return the members of a partition that say whether two definitions show the same files."""
    return [catalogue.location(partition), catalogue.generation(partition) or ""]


def _created(partition: Mapping[str, Any]) -> str:
    created = partition.get("CreationTime")
    return str(created.timestamp()) if created is not None else ""


def _production(glue: Catalogue, name: TableName) -> tuple[dict[str, Any] | None, dict[Values, dict[str, Any]]]:
    table = glue.table(name)
    if table is None or not table.get("PartitionKeys"):
        return table, {}
    return table, glue.partitions(name)


def _clone(
    glue: Catalogue,
    node: Node,
    table: Mapping[str, Any] | None,
    partitions: Mapping[Values, Mapping[str, Any]],
    changes: Mapping[TableName, Mapping[Values | None, Any]],
    root: str,
) -> None:
    """Create a node's table in the audit schema, with production's pointers and with those that are carried over."""
    changed = changes.get(node.production, {})
    table = changed.get(None, table)
    if table is None:
        return  # dbt builds it for the first time
    audit, descriptor = node.audit, table["StorageDescriptor"]
    if catalogue.keys(table):
        # dbt inserts new partitions under the table's own location, which nobody has used.
        descriptor = {**descriptor, "Location": f"{root}/{audit.database}/{audit.name}/cloned"}
    glue.create_table(audit.database, catalogue.table_input(table, Name=audit.name, StorageDescriptor=descriptor))
    kept = {**partitions, **{values: each for values, each in changed.items() if values is not None}}
    glue.create_partitions(audit, [catalogue.partition_input(each) for each in kept.values() if each is not None])
