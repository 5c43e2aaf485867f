"""The tables that an invocation built and those they were built from, read from dbt's manifest.json."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.dbt.artifacts import DbtResults

BUILT = frozenset({"model", "seed", "snapshot"})


def built_tables(file: Path, results: DbtResults, region: str) -> list[dict[str, Any]]:
    """Return the tables that an invocation built, and the address of each table that they were built from.

    :return: ``{unique_id, uri, rows, reads: [uri]}`` each; none where there is no manifest
    """
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    nodes = {**manifest.get("nodes", {}), **manifest.get("sources", {})}
    tables = []
    for node in results.nodes:
        found = nodes.get(node.unique_id)
        if node.status != "success" or node.resource_type not in BUILT or not found or not found.get("relation_name"):
            continue
        reads = [uri for name in _parents(nodes, found) if (uri := address(nodes[name], region))]
        tables.append(
            {"unique_id": node.unique_id, "uri": address(found, region), "rows": node.rows, "reads": sorted(set(reads))}
        )
    return tables


def _parents(nodes: Mapping[str, Any], node: Mapping[str, Any]) -> list[str]:
    """Return the nodes that a node reads; in place of an ephemeral model, those that it reads."""
    found: list[str] = []
    for name in (node.get("depends_on") or {}).get("nodes") or ():
        parent = nodes.get(name)
        if parent is None:
            continue
        found += [name] if parent.get("relation_name") else _parents(nodes, parent)
    return found


def address(node: Mapping[str, Any], region: str) -> str:
    """Return a table's address as OpenLineage names Athena's: https://openlineage.io/docs/spec/naming/"""
    table = node.get("identifier") or node.get("alias") or node.get("name")
    return f"awsathena://athena.{region}.amazonaws.com/{node.get('database')}/{node.get('schema')}/{table}"
