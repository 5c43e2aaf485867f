"""Queries and what they read, by Athena's plan; and what must be built again because of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_lakehouse_provider.publishing.attempt import PARTITIONED, TABLE, VIEW, AuditAttempt, Node
from airflow_lakehouse_provider.publishing.moves import (
    Domain,
    Move,
    Read,
    affected,
    parse_io_plan,
    reading_statements,
)
from airflow_lakehouse_provider.publishing.names import TableName

KEYS = [("year", "int"), ("month", "int")]


def plan(columns, nested=True):
    info = {"table": {"catalog": "awsdatacatalog", "schemaTable": {"schema": "s", "table": "t"}}}
    info |= {"constraint": {"none": False, "columnConstraints": columns}} if nested else {"columnConstraints": columns}
    return json.dumps({"inputTableColumnInfos": [info], "estimate": {}})


def constraint(column, type_, *ranges):
    def bound(value, kind):
        return {"value": value, "bound": kind} if value is not None else {"bound": kind}

    found = [
        {
            "low": bound(low, "EXACTLY" if low is not None else "ABOVE"),
            "high": bound(high, "EXACTLY" if high is not None else "BELOW"),
        }
        for low, high in ranges
    ]
    return {"columnName": column, "type": type_, "domain": {"nullsAllowed": False, "ranges": found}}


@pytest.mark.parametrize("nested", [True, False], ids=["constraint", "columnConstraints"])
def test_both_shapes_of_trinos_plan(nested):
    (read,) = parse_io_plan(plan([constraint("month", "integer", ("2", "2"))], nested))
    assert read.table == TableName("s", "t")
    assert read.may_read(KEYS, ("2024", "2"))
    assert not read.may_read(KEYS, ("2024", "3"))


@given(st.integers(-50, 50), st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50)), max_size=4))
def test_numbers_are_compared_as_numbers(value, ranges):
    found = Domain("integer", tuple((str(low), True, str(high), True) for low, high in ranges))
    assert found.may_hold(str(value)) == any(low <= value <= high for low, high in ranges)


@given(st.integers(-9, 9), st.integers(-9, 9), st.booleans(), st.booleans())
def test_open_ends(value, limit, above, closed):
    range_ = (str(limit), closed, None, False) if above else (None, False, str(limit), closed)
    expected = (value > limit if above else value < limit) or (closed and value == limit)
    assert Domain("bigint", (range_,)).may_hold(str(value)) == expected


@pytest.mark.parametrize(
    ("domain", "value"),
    [
        (Domain("decimal(3,1)", (("1.0", True, "1.0", True),)), "2"),  # other types are not compared
        (Domain("integer", None), "2"),  # ranges that were not told
        (Domain("integer", (("1", True, "1", True),)), "__HIVE_DEFAULT_PARTITION__"),
    ],
)
def test_what_cannot_be_told_counts_as_read(domain, value):
    assert domain.may_hold(value)


@pytest.mark.parametrize("text", ["{}", '{"inputTableColumnInfos": [{}]}', "[]", "Fragment 0 [SOURCE]"])
def test_another_plan_is_refused(text):
    with pytest.raises(ValueError):
        parse_io_plan(text)


CTAS = """-- /* {"app": "dbt"} */
create table "awsdatacatalog"."a"."t__dbt_tmp"
    with (
      table_type='hive',
      partitioned_by=ARRAY['year'],
      format='parquet'
    )
    as

with x as (select 1 as n) select * from x"""
INSERT = """-- /* {"app": "dbt"} */
insert into "awsdatacatalog"."a"."t" ("n")
              (
                 select "n"
                 from "awsdatacatalog"."a"."t__dbt_tmp"
              );"""


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([CTAS, INSERT], ["with x as (select 1 as n) select * from x"]),
        (['-- /* c */\nselect distinct year from "a"."t__dbt_tmp";'], []),
        (["-- c\nselect max(at) from b.t", "-- d\nselect max(at) from b.t"], ["select max(at) from b.t"]),
        (["alter table `a`.`t` drop if exists partition (year = 1)"], []),
        (["create or replace view a.v as select 1"], []),
        (["insert into a.t select * from b.u;"], ["select * from b.u"]),
        (["merge into a.t using b.u on true when matched then delete"], None),
        (["create table a.t (x int)"], None),
    ],
)
def test_the_queries_of_a_nodes_statements(statements, expected):
    assert reading_statements(statements) == expected


def node(name, kind=PARTITIONED, reads=()):
    reads = tuple(f"model.p.{each}" for each in reads)
    return Node(f"model.p.{name}", kind, TableName("prod", name), TableName("audit", name), reads)


def again(nodes, moves, targets, reads):
    """Return the names of the nodes to build again; `reads` has what each reads."""
    attempt = AuditAttempt("x__audit_000000000000", "u", "", nodes=tuple(nodes))
    found = affected(
        attempt,
        {move.table: move for move in moves},
        [(TableName("prod", table), values) for table, values in targets],
        lambda each: reads.get(each.unique_id.rpartition(".")[2], []),
        lambda _: KEYS,
    )
    return [each.rpartition(".")[2] for each in found]


FACTS = TableName("prod", "facts")
FEBRUARY, MARCH = ("2024", "2"), ("2024", "3")
EVERYTHING = [Read(TableName("audit", "facts"), {})]
OWN_MONTH = [Read(TableName("audit", "facts"), {"month": Domain("integer", (("3", True, "3", True),))})]


def test_nothing_moved():
    assert again([node("facts")], [], [("facts", MARCH)], {}) == []


@pytest.mark.parametrize(("reads", "expected"), [(EVERYTHING, ["daily"]), (OWN_MONTH, []), (None, ["daily"])])
def test_a_reader_of_what_moved(reads, expected):
    nodes = [node("facts"), node("daily", reads=["facts"])]
    moves = [Move(FACTS, frozenset({FEBRUARY}))]
    assert again(nodes, moves, [("facts", MARCH), ("daily", MARCH)], {"daily": reads}) == expected


def test_whoever_reads_what_is_built_again_is_built_again():
    nodes = [node("weekly", reads=["daily"]), node("daily", reads=["facts"]), node("facts")]
    moves = [Move(FACTS, frozenset({FEBRUARY}))]
    assert again(nodes, moves, [("facts", MARCH)], {"daily": EVERYTHING}) == ["daily", "weekly"]


def test_the_same_partition_and_the_same_table():
    assert again([node("facts")], [Move(FACTS, frozenset({MARCH}))], [("facts", MARCH)], {}) == ["facts"]
    assert again([node("facts", TABLE)], [Move(FACTS, whole=True)], [("facts", None)], {}) == ["facts"]
    assert again([node("facts", VIEW)], [Move(FACTS, whole=True)], [("facts", None)], {"facts": None}) == []


def test_columns_that_changed_under_a_partitioned_model():
    assert again([node("facts")], [Move(FACTS, whole=True)], [("facts", MARCH)], {}) == ["facts"]
