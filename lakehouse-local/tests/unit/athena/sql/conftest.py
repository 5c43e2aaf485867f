"""A DuckDB connection that speaks Trino's functions, and a catalogue of a few tables."""

from __future__ import annotations

import pytest

duckdb = pytest.importorskip("duckdb", reason="needs the extra 'local'")

from lakehouse_local.athena.sql import Column, Relation, SqlError, from_duckdb, install, parse, text, translate  # noqa: E402

TRIPS = (
    Column("id", "integer"),
    Column("fare", "decimal(10,2)"),
    Column("year", "varchar"),
    Column("month", "varchar"),
)
ROWS = [(1, "10.50", "2024", "01"), (2, "20.00", "2024", "02"), (3, None, "2025", "01")]


class Catalogue:
    """Table db.trips, partitioned by year and month; view db.long_trips; it remembers what was asked of partitions."""

    def __init__(self):
        self.asked = []

    def relation(self, catalog, schema, table):
        if schema not in (None, "db"):
            raise SqlError("SCHEMA_NOT_FOUND", f"Schema '{schema}' does not exist")
        if table == "trips":
            return Relation(TRIPS, ("year", "month"), source=self._source)
        if table == "by_year":
            columns = (Column("y", "varchar"), Column("fares", "decimal(38,2)"))
            view = "SELECT year, sum(fare) FROM trips GROUP BY year"
            return Relation(columns, view_sql=view, view_catalog="awsdatacatalog", view_schema="db")
        if table == "nested":
            columns = (Column("xs", "array(integer)"), Column("r", "row(a integer, b varchar)"))
            return Relation(columns, source=lambda where: "(SELECT [1, 2] AS xs, {'a': 1, 'b': 'x'} AS r)")
        raise SqlError("TABLE_NOT_FOUND", f"Table 'awsdatacatalog.db.{table}' does not exist")

    def _source(self, where):
        self.asked.append(where)
        rows = ", ".join(
            f"({id}, CAST({'NULL' if fare is None else fare} AS DECIMAL(10,2)), '{year}', '{month}')"
            for id, fare, year, month in ROWS
        )
        return f"(SELECT * FROM (VALUES {rows}) AS t(id, fare, year, month))"


@pytest.fixture(scope="session")
def connection():
    connection = duckdb.connect()
    install(connection)
    return connection


@pytest.fixture
def catalogue():
    return Catalogue()


@pytest.fixture
def ask(connection, catalogue):
    """Run a query: its columns as `name:type`, and its rows as Athena writes them."""

    def ask(sql, *parameters):
        query = translate(parse(sql), catalogue, parameters)
        try:
            rows = connection.cursor().execute(query.duckdb_sql).fetchall()
        except duckdb.Error as error:
            raise from_duckdb(error) from error
        columns = [f"{column.name}:{column.type}" for column in query.columns]
        return columns, [[text(v, c.type) for v, c in zip(row, query.columns, strict=True)] for row in rows]

    return ask
