"""Athena's SQL on DuckDB: Trino's grammar checked, names and types resolved, values written as Athena writes them."""

from __future__ import annotations

from airflow_lakehouse_provider.local_aws.athena.sql.errors import SqlError, from_duckdb
from airflow_lakehouse_provider.local_aws.athena.sql.grammar import check_syntax, warm
from airflow_lakehouse_provider.local_aws.athena.sql.macros import install
from airflow_lakehouse_provider.local_aws.athena.sql.relations import Catalogue, Column, Query, Relation
from airflow_lakehouse_provider.local_aws.athena.sql.render import text
from airflow_lakehouse_provider.local_aws.athena.sql.results import columns_of
from airflow_lakehouse_provider.local_aws.athena.sql.translate import translate
from airflow_lakehouse_provider.local_aws.athena.sql.types import hive_type, trino_type

__all__ = [
    "Catalogue", "Column", "Query", "Relation", "SqlError", "check_syntax", "columns_of", "from_duckdb", "hive_type",
    "install", "text", "translate", "trino_type", "warm",
]  # fmt: skip
