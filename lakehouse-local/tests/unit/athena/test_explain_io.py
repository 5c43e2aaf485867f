"""EXPLAIN (TYPE IO): its shape as a real Trino gave it, and that what it excludes is never read."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

PARTITIONS = [(year, month) for year in (2023, 2024, None) for month in ("01", "02", "x")]
NAN = dict.fromkeys(("outputRowCount", "outputSizeInBytes", "cpuCost", "maxMemory", "networkCost"), "NaN")


def literal(value):
    return "NULL" if value is None else f"'{value}'" if isinstance(value, str) else str(value)


def rows_of(athena, sql):
    execution = athena.run(sql)
    assert execution["Status"]["State"] == "SUCCEEDED", (sql, execution["Status"])
    text = athena.store.read(execution["ResultConfiguration"]["OutputLocation"]).decode()
    return text.splitlines()[1:]


def plan_of(athena, sql, options="type io, format json"):
    execution = athena.run(f"explain ({options}) {sql}")
    assert execution["Status"]["State"] == "SUCCEEDED", (sql, execution["Status"])
    rows = athena.call("GetQueryResults", QueryExecutionId=execution["QueryExecutionId"])["ResultSet"]["Rows"]
    first, *lines = [row["Data"][0]["VarCharValue"] for row in rows]
    assert first == "Query Plan"
    return json.loads("\n".join(lines))


def domains(plan, table="p"):
    """Return for each scan of a table: column -> (whether NULL is allowed, [low, high] of each range)."""
    found = []
    for info in plan["inputTableColumnInfos"]:
        if info["table"]["schemaTable"]["table"] == table:
            scan = {}
            for column in info["constraint"]["columnConstraints"]:
                ranges = [(each["low"]["value"], each["high"]["value"]) for each in column["domain"]["ranges"]]
                scan[column["columnName"]] = (column["domain"]["nullsAllowed"], ranges)
            found.append(scan)
    return found


@pytest.fixture
def tables(athena):
    """`p`, partitioned by y (int) and m (string), two rows a partition; `q`: the same rows, unpartitioned."""
    values = ", ".join(
        f"(bigint '{2 * at + more}', cast({literal(y)} as integer), cast({literal(m)} as varchar))"
        for at, (y, m) in enumerate(PARTITIONS)
        for more in (0, 1)
    )
    for name, keys in (("p", ", partitioned_by = ARRAY['y', 'm']"), ("q", "")):
        location = f"external_location = 's3://bucket/{name}/'"
        made = athena.run(
            f"create table {name} with ({location}{keys}) as select * from (values {values}) v (id, y, m)"
        )
        assert made["Status"]["State"] == "SUCCEEDED", made["Status"]
    return athena


def exactly(value):
    return {end: {"value": value, "bound": "EXACTLY"} for end in ("low", "high")}


def test_the_plan_of_a_query_has_trinos_shape(tables):
    def constraint(name, type_, *values):
        domain = {"nullsAllowed": False, "ranges": [exactly(each) for each in values]}
        return {"columnName": name, "type": type_, "domain": domain}

    label = {"catalog": "awsdatacatalog", "schemaTable": {"schema": "default", "table": "p"}}
    read = {
        "table": label,
        "constraint": {
            "none": False,
            "columnConstraints": [constraint("y", "integer", "2024"), constraint("m", "varchar", "01", "02")],
        },
        "estimate": NAN,
    }
    expected = {"inputTableColumnInfos": [read], "estimate": NAN}
    for options in ("type io, format json", "FORMAT JSON, TYPE IO", "type io", "type io, format text"):
        assert plan_of(tables, "select id from p where y = 2024 and m < 'x'", options) == expected
    inserted = plan_of(tables, "insert into p select id, y, m from p where y = 2024 and m < 'x'")
    assert inserted == {"inputTableColumnInfos": [read], "outputTable": label, "estimate": NAN}


def test_tables_that_a_statement_writes(tables):
    made = plan_of(tables, "create table n as select id from q")
    assert made["outputTable"]["schemaTable"] == {"schema": "default", "table": "n"}
    assert made["inputTableColumnInfos"][0]["constraint"] == {"none": False, "columnConstraints": []}
    assert tables.objects("n/") == []
    for sql, reason in (
        ("create table q as select 1 as a", "ALREADY_EXISTS"),
        ("insert into p select 1", "TYPE_MISMATCH"),
        ("insert into gone select 1", "TABLE_NOT_FOUND"),
        ("select * from gone", "TABLE_NOT_FOUND"),
    ):
        status = tables.run(f"explain (type io, format json) {sql}")["Status"]
        assert (status["State"], reason in status["StateChangeReason"]) == ("FAILED", True)


ALL = {"y": (True, [("2023", "2023"), ("2024", "2024")]), "m": (False, [("01", "01"), ("02", "02"), ("x", "x")])}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("select * from p", [ALL]),
        ("select * from p where id = 3", [ALL]),
        ("select * from p where y = 2024", [{**ALL, "y": (False, [("2024", "2024")])}]),
        ("select * from p where y in (2023, 2030) and m between '02' and 'y'",
         [{"y": (False, [("2023", "2023")]), "m": (False, [("02", "02"), ("x", "x")])}]),
        ("select * from p where y is null", [{**ALL, "y": (True, [])}]),
        ("select * from p where (y = 2024 and m = '01') or (y = 2023 and m = '02')",
         [{"y": (False, [("2023", "2023"), ("2024", "2024")]), "m": (False, [("01", "01"), ("02", "02")])}]),
        ("select * from p where y = 2024 or id = 3", [ALL]),
        ("with w as (select * from p) select * from w where y = 2024", [{**ALL, "y": (False, [("2024", "2024")])}]),
        ("select * from (select *, row_number() over (order by id) r from p) where y = 2024", [ALL]),
        ("select * from q left join p on p.id = q.id where p.y = 2024", [ALL]),
        ("select * from p a join p b on a.id = b.id where a.y = 2024",
         [{**ALL, "y": (False, [("2024", "2024")])}, ALL]),
        ("select * from p where y = 2030", []),
        ("with unused as (select * from p) select 1", []),
        ("select * from \"p$partitions\" where y = 2024", []),
    ],
)  # fmt: skip
def test_the_partitions_that_a_query_reads(tables, sql, expected):
    assert domains(plan_of(tables, sql)) == expected


def test_a_view_is_what_it_reads(tables):
    tables.run("create view v as select id, y as year, m from p where m = '01'")
    plan = plan_of(tables, "select * from v where year = 2023")
    assert domains(plan) == [{"y": (False, [("2023", "2023")]), "m": (False, [("01", "01")])}]
    assert domains(plan, "v") == []


def test_many_values_become_one_range(athena):
    athena.run(
        "create table d with (external_location = 's3://bucket/d/', partitioned_by = ARRAY['day']) as "
        "select 1 as id, date '2024-01-01' + interval '1' day * n as day from unnest(sequence(0, 39)) as t (n)"
    )
    assert domains(plan_of(athena, "select * from d"), "d") == [{"day": (False, [("2024-01-01", "2024-02-09")])}]
    (few,) = domains(plan_of(athena, "select * from d where day < date '2024-01-03'"), "d")
    assert few == {"day": (False, [("2024-01-01", "2024-01-01"), ("2024-01-02", "2024-01-02")])}


COMPARISONS = st.builds(
    "{} {} {}".format,
    st.sampled_from(["y", "y + 1", "id", "coalesce(y, 2024)"]),
    st.sampled_from(["=", "<", "<=", ">", ">=", "<>", "is distinct from"]),
    st.sampled_from(["2022", "2023", "2024", "2025", "7"]),
)
TEXTS = st.builds(
    "{} {}".format,
    st.sampled_from(["m", "upper(m)", "m || ''"]),
    st.sampled_from(
        ["= '01'", "> '01'", "in ('01', 'x')", "not in ('02', 'y')", "between '01' and '02'", "like '0%'", "is null"]
    ),
)
SIMPLE = (
    COMPARISONS
    | TEXTS
    | st.sampled_from(["y is null", "y is not null", "y in (2024, null)", "y between 2023 and 2024"])
)
PREDICATES = st.recursive(
    SIMPLE,
    lambda inner: (
        st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner)
        | st.builds("not ({})".format, inner)
    ),
    max_leaves=5,
)
QUERIES = [
    "select count(*), sum(id) from {t} where {p}",
    "with w as (select * from {t}) select count(*), sum(id) from w where {p}",
    "select count(*), sum(id) from (select id, y, m, row_number() over (partition by y order by id) r from {t}) "
    "where {p} and r > 1",
    "select count(*), sum(id) from (select * from {t} order by id limit 5) where {p}",
    "select count(*), sum(id) from (select count(*) as id, y, m from {t} group by y, m) where {p}",
    "select count(*), sum(id) from (select count(*) as id, max(y) as y, max(m) as m from {t}) where {p}",
    "select count(*), sum(id) from (select a.id, a.y, a.m, b.id as o from {t} a left join {t} b on a.id = b.id + 2) "
    "where {p}",
    "select count(*), sum(id) from (select a.id, b.y, b.m from {t} a left join {t} b on a.id = b.id + 2) where {p}",
    "select count(*), sum(id) from (select a.id, a.y, b.m from {t} a join {t} b on a.y = b.y) where {p}",
    "select count(*), sum(id) from {t} where y = 2023 and exists (select 1 from {t} where {p})",
    "select count(*), sum(id) from {t} where id in (select id from {t} where {p}) or {p}",
    "select count(*), sum(id) from (select * from {t} where {p} union all select * from {t} where m = 'x')",
]


@given(query=st.sampled_from(QUERIES), predicate=PREDICATES)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_partition_that_the_plan_excludes_gives_the_answer_nothing(tables, query, predicate):
    scans = domains(plan_of(tables, query.format(t="p", p=predicate)))

    def read_by(scan, values):
        return all(
            nulls if value is None else any(low <= str(value) <= high for low, high in ranges)
            for value, (nulls, ranges) in zip(values, (scan["y"], scan["m"]), strict=True)
        )

    kept = [
        f"(y is not distinct from {literal(y)} and m = {literal(m)})"
        for y, m in PARTITIONS
        if any(read_by(scan, (y, m)) for scan in scans)
    ]
    left = f"(select * from q where {' or '.join(kept) or 'false'})"
    answers = [rows_of(tables, query.format(t=table, p=predicate)) for table in (left, "q", "p")]
    assert answers[0] == answers[1] == answers[2]
