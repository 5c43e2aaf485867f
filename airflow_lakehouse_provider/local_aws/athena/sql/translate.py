"""One query of Trino's, as DuckDB runs it."""

from __future__ import annotations

from collections.abc import Sequence

import sqlglot
from sqlglot import exp

from airflow_lakehouse_provider.local_aws.athena.sql.errors import SqlError
from airflow_lakehouse_provider.local_aws.athena.sql.grammar import check_syntax, without_semicolon
from airflow_lakehouse_provider.local_aws.athena.sql.relations import Catalogue, Query


def translate(sql: str, catalogue: Catalogue, parameters: Sequence[str] = ()) -> Query:
    """A SELECT, WITH, VALUES or TABLE query for DuckDB; raises SqlError where Trino refuses."""
    check_syntax(sql)
    tree = sqlglot.parse_one(without_semicolon(sql), read="trino")
    for table in list(tree.find_all(exp.Table)):
        if isinstance(table.this, exp.Identifier) and not any(
            cte.alias.lower() == table.name.lower() for cte in tree.find_all(exp.CTE) if not table.db
        ):
            relation = catalogue.relation(table.catalog or None, table.db or None, table.name)
            inner = (
                translate(relation.view_sql, catalogue).duckdb_sql
                if relation.view_sql is not None
                else f"SELECT * FROM {relation.source(None) if relation.source else ''}"
            )
            subquery = sqlglot.parse_one(f"({inner})", read="duckdb")
            assert isinstance(subquery, exp.Subquery)
            subquery.set("alias", exp.TableAlias(this=exp.to_identifier(table.alias_or_name, quoted=True)))
            table.replace(subquery)
    if not isinstance(tree, exp.Query):
        raise SqlError("NOT_SUPPORTED", "Only queries can be translated")
    return Query(tree.sql(dialect="duckdb"), None)
