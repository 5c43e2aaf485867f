"""Expressions of GetPartitions, compared with SQLite's results."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

pytest.importorskip("moto", reason="needs the extra 'local'")
from hypothesis import given
from hypothesis import strategies as st

from lakehouse_local.glue.catalog.partition_filter import NULL, cast, compile_filter
from lakehouse_local.http.wire import AwsError

KEYS = [("service", "string"), ("year", "int"), ("day", "date")]
texts = st.sampled_from(["", "yellow", "green", "Yellow", "it's", "50%", "a_b", "2024", NULL])
years = st.sampled_from(["2023", "2024", "-1", "0", "10", "9", NULL])
days = st.sampled_from(["2024-01-01", "2024-01-31", "2023-12-31", NULL])
comparisons = st.sampled_from(["=", "<>", "!=", "<", "<=", ">", ">="])


def quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def literals(values: st.SearchStrategy[str], *, bare: bool = False) -> st.SearchStrategy[str]:
    real = values.filter(lambda value: value != NULL)
    return real if bare else real.map(quoted)


def predicates(column: str, literal: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    negation = st.sampled_from(["", "NOT "])
    return st.one_of(
        st.builds("{} {} {}".format, st.just(column), comparisons, literal),
        st.builds("{} {} {}".format, literal, comparisons, st.just(column)),
        st.builds(
            lambda negated, items: f"{column} {negated}IN ({', '.join(items)})",
            negation,
            st.lists(literal, min_size=1, max_size=3),
        ),
        st.builds("{} {}BETWEEN {} AND {}".format, st.just(column), negation, literal, literal),
        st.builds("{} IS {}NULL".format, st.just(column), negation),
    )


likes = st.builds(
    "service {}LIKE {}".format,
    st.sampled_from(["", "NOT "]),
    st.sampled_from(["%", "yell%", "%e%", "_ellow", "a_b", "", "it''s"]).map(lambda text: f"'{text}'"),
)
expressions = st.recursive(
    st.one_of(
        predicates("service", literals(texts)),
        predicates("YEAR", literals(years, bare=True)),
        predicates("`day`", literals(days)),
        likes,
    ),
    lambda inner: st.one_of(
        st.builds("{} AND {}".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
        st.builds("({})".format, inner),
        st.builds("NOT ({})".format, inner),
        st.builds("not {}".format, inner),
    ),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def sqlite() -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(":memory:")
    database.execute("PRAGMA case_sensitive_like = ON")
    database.execute("CREATE TABLE p (service TEXT, year INTEGER, day TEXT)")
    yield database
    database.close()


@given(expression=expressions, values=st.tuples(texts, years, days))
def test_the_result_is_sqlites(sqlite: sqlite3.Connection, expression: str, values: tuple[str, str, str]) -> None:
    sqlite.execute("DELETE FROM p")
    sqlite.execute("INSERT INTO p VALUES (?, ?, ?)", [None if value == NULL else value for value in values])
    expected = sqlite.execute(f"SELECT count(*) FROM p WHERE {expression}").fetchone() == (1,)
    assert compile_filter(expression, KEYS)(values) is expected


@pytest.mark.parametrize(
    ("expression", "keys", "values", "expected"),
    [
        ("year='2024' and month='01'", [("year", "string"), ("month", "string")], ["2024", "01"], True),
        ("(year='2024' and month=1) or (year='2023')", [("year", "string"), ("month", "int")], ["2024", "01"], True),
        ("YEAR = 2024", [("year", "string")], ["2024"], True),  # a number for a text column is compared as text
        ("year = '2024'", [("year", "int")], ["2024"], True),  # and text for a number column as a number
        ('year = "2024"', [("year", "int")], ["2024"], True),
        ("d > DATE '2024-01-01'", [("d", "date")], ["2024-01-02"], True),
        ("d > '2024-01-01 10:00:00.5'", [("d", "timestamp")], ["2024-01-01 10:00:00"], False),
        ("p < 10", [("p", "decimal(10,2)")], ["9.50"], True),
        ("p < 10", [("p", "bigint")], ["9"], True),
        ("p < '10'", [("p", "string")], ["9"], False),
        ("NOT p = 'a' AND NOT p = 'b'", [("p", "string")], ["c"], True),
        ("p = 'x' OR p IS NULL", [("p", "string")], [NULL], True),
        ("p <> 'x'", [("p", "string")], [NULL], False),
    ],
)
def test_examples(expression: str, keys: list[tuple[str, str]], values: list[str], expected: bool) -> None:
    assert compile_filter(expression, keys)(values) is expected


@pytest.mark.parametrize(
    ("expression", "part"),
    [
        ("nonsense = '1'", "there is no partition key 'nonsense'; keys are service, year, day"),
        ("service", "where a comparison is expected"),
        ("service =", "where a literal is expected"),
        ("service = yellow", "'yellow' where a literal is expected"),
        ("service = 'a' AND", "unexpected end"),
        ("(service = 'a'", "')' is missing"),
        ("service = 'a')", "unexpected ')'"),
        ("service IN ()", "where a literal is expected"),
        ("service IN ('a' 'b')", "')' is missing"),
        ("service NOT 'a'", "NOT must be followed by"),
        ("year BETWEEN 1 OR 2", "BETWEEN needs AND"),
        ("service IS 'a'", "IS must be followed by"),
        ("year = 'twenty'", "'twenty' is not a value of type int"),
        ("day = '2024-13-01'", "'2024-13-01' is not a value of type date"),
        ("year LIKE '20%'", "int data type doesn't support operation 'LIKE'"),
        ("service = 'a", 'cannot parse "\'a"'),
        ("1 = 1", "must be a partition key"),
        ("service = 'a'; DROP", "cannot parse"),
    ],
)
def test_a_malformed_expression_is_refused(expression: str, part: str) -> None:
    with pytest.raises(AwsError) as error:
        compile_filter(expression, KEYS)
    assert error.value.code == "InvalidInputException"
    assert part in error.value.message


def test_a_type_that_partition_keys_cannot_have() -> None:
    with pytest.raises(AwsError, match="Unknown type : 'array<int>'"):
        cast("1", "array<int>")


def test_a_partition_whose_value_is_not_of_its_keys_type() -> None:
    with pytest.raises(AwsError, match="InvalidStateException"):
        compile_filter("y = 1", [("y", "int")])(["abc"])
