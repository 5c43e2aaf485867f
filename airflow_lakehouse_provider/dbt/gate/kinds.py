"""The reasons why a node cannot be built under the gate, a rule for each; the kind of one that can."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_lakehouse_provider.dbt.gate.refused import Objection
from airflow_lakehouse_provider.publishing.attempt import PARTITIONED, TABLE, VIEW

EPHEMERAL = "ephemeral"
_DIRECTLY = "build it directly, without the gate (direct=)"
_KINDS = {"incremental": PARTITIONED, "table": TABLE, "seed": TABLE, "view": VIEW, "ephemeral": EPHEMERAL}
# Values of s3_data_naming by which each build of a table has one place.
FIXED_NAMING = ("table", "schema_table")


@dataclass(frozen=True)
class AuditPlace:
    """The audit schema that nodes are judged for.

    :ivar audit: its name, with which the names of its databases begin
    :ivar files: ``s3://...`` of its data files
    """

    audit: str
    files: str


def kind(node: Mapping[str, Any]) -> str | None:
    """Return the way in which a node is published; None where the gate has none."""
    return _KINDS.get("seed" if node["resource_type"] == "seed" else str(_config(node).get("materialized")))


def objections(node: Mapping[str, Any], place: AuditPlace) -> Iterator[Objection]:
    """Yield the reasons why a node cannot be built under the gate, by its configuration in the audit's manifest."""
    for rule in _RULES:
        found = rule(node, _config(node), place)
        if found is not None:
            yield Objection(node["unique_id"], *found)


Found = tuple[str, str] | None
Rule = Callable[[Mapping[str, Any], Mapping[str, Any], AuditPlace], Found]


def _materialization(node: Mapping[str, Any], config: Mapping[str, Any], place: AuditPlace) -> Found:
    if node["resource_type"] == "snapshot":
        return "a snapshot in an audit schema begins without its history", _DIRECTLY
    if node.get("language", "sql") == "python":
        return "a Python model runs in Spark, which the fence does not reach", _DIRECTLY
    if kind(node) is None:
        return f"its materialization is {config.get('materialized')!r}, which the gate does not know", _DIRECTLY
    return None


def _table_type(node: Mapping[str, Any], config: Mapping[str, Any], place: AuditPlace) -> Found:
    table_type = str(config.get("table_type") or "hive").lower()
    if table_type != "hive":
        return (
            f"its table_type is {table_type!r}: of an Iceberg table no partition can be published by itself",
            _DIRECTLY,
        )
    if config.get("catalog_name"):
        return (
            f"it has catalog_name {config['catalog_name']!r}, and the gate knows Hive tables of the Glue Data Catalog",
            (_DIRECTLY),
        )
    return None


def _incremental(node: Mapping[str, Any], config: Mapping[str, Any], place: AuditPlace) -> Found:
    if kind(node) != PARTITIONED or str(config.get("table_type") or "hive").lower() != "hive":
        return None
    strategy, keys = config.get("incremental_strategy") or "insert_overwrite", config.get("partitioned_by")
    if strategy == "append":
        return "the strategy 'append' adds rows to partitions, whose files are production's", (
            "use incremental_strategy='insert_overwrite' with partitioned_by, or build it directly (direct=)"
        )
    if strategy not in ("insert_overwrite", "microbatch"):
        return f"its incremental_strategy is {strategy!r}; the gate has insert_overwrite and microbatch", _DIRECTLY
    if not keys:
        return "an incremental model without partitions appends to its one table", (
            "give it partitioned_by, make it a table, or build it directly (direct=)"
        )
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        return (
            f"its partitioned_by is {keys!r}, and the gate needs a list of columns",
            "write partitioned_by=['column']",
        )
    return None


def _full_refresh(node: Mapping[str, Any], config: Mapping[str, Any], place: AuditPlace) -> Found:
    if config.get("full_refresh"):
        return "it has full_refresh: true and would be built without the partitions of production", "remove it"
    return None


def _high_availability(node: Mapping[str, Any], config: Mapping[str, Any], place: AuditPlace) -> Found:
    if config.get("ha"):
        return "it has ha: true, which deletes the files of earlier versions and with them those of rollbacks", (
            "remove ha: behind the gate readers see no gap anyway"
        )
    return None


def _projection(node: Mapping[str, Any], config: Mapping[str, Any], place: AuditPlace) -> Found:
    names = [str(name).strip("'\"").lower() for name in config.get("table_properties") or {}]
    found = [name for name in names if name.startswith("projection.") or name == "storage.location.template"]
    if found:
        return f"it has partition projection ({found[0]}), which ignores the locations of the Data Catalog", (
            "remove the projection, or build it directly (direct=)"
        )
    return None


def _location(node: Mapping[str, Any], config: Mapping[str, Any], place: AuditPlace) -> Found:
    if config.get("external_location"):
        return f"its external_location {config['external_location']!r} is one place for production and audit", (
            "remove it: dbt-athena then makes places of s3_data_dir"
        )
    for name in ("s3_data_dir", "s3_tmp_table_dir"):
        value = config.get(name)
        if value and not f"{str(value).rstrip('/')}/".startswith(f"{place.files}/"):
            return f"its {name} {value!r} is one place for production and audit", (
                f"write it as '{{{{ target.{name} }}}}/...', or remove it"
            )
    if config.get("s3_data_naming") in FIXED_NAMING and node["resource_type"] != "operation":
        return f"its s3_data_naming {config['s3_data_naming']!r} is one place for each build of the table", (
            "use schema_table_unique, table_unique or unique, or remove it"
        )
    return None


def _temporary_schema(node: Mapping[str, Any], config: Mapping[str, Any], place: AuditPlace) -> Found:
    value = config.get("temp_schema")
    if value and not str(value).startswith(place.audit):
        return f"its temp_schema {value!r} is shared by builds at the same time", (
            "remove it, or write it as '{{ target.schema }}_tmp'"
        )
    return None


def _lake_formation(node: Mapping[str, Any], config: Mapping[str, Any], place: AuditPlace) -> Found:
    for name in ("lf_tags_config", "lf_grants"):
        if config.get(name):
            return f"it has {name}, which would be set on the audit schema's table and not on the published one", (
                "set tags and grants on production's tables outside dbt, or build it directly (direct=)"
            )
    return None


_RULES: tuple[Rule, ...] = (
    _materialization,
    _table_type,
    _incremental,
    _full_refresh,
    _high_availability,
    _projection,
    _location,
    _temporary_schema,
    _lake_formation,
)


def _config(node: Mapping[str, Any]) -> Mapping[str, Any]:
    config: Mapping[str, Any] = node.get("config") or {}
    return config
