"""Athena's SQL on DuckDB: Trino's grammar checked, names and types resolved, values written as Athena writes them."""

from __future__ import annotations

from lakehouse_local.athena.sql.errors import SqlError, from_duckdb
from lakehouse_local.athena.sql.functions.runtime.macros import install
from lakehouse_local.athena.sql.grammar import parse, warm
from lakehouse_local.athena.sql.relations import Catalogue, Column, Query, Relation
from lakehouse_local.athena.sql.render import text
from lakehouse_local.athena.sql.translate import translate
from lakehouse_local.athena.sql.types import hive_type, trino_type

__all__ = [
    "Catalogue", "Column", "Query", "Relation", "SqlError", "from_duckdb", "hive_type", "install", "parse",
    "text", "translate", "trino_type", "warm",
]  # fmt: skip
