"""The text SerDes: opencsv's rules line by line, and every type written and read back by LazySimpleSerDe's."""

from __future__ import annotations

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse_local.athena.files import text_serde
from lakehouse_local.athena.files.text_serde import LazySimple, OpenCsv, open_csv_fields
from lakehouse_local.athena.sql.types import duckdb_type, parse_type


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("", [""]),
        ("a,b", ["a", "b"]),
        ("a,,", ["a", "", ""]),
        ('"a,b",c', ["a,b", "c"]),
        ('"a ""q"" b"', ['a "q" b']),
        (r'"a \"q\" \\ b"', ['a "q" \\ b']),
        (r"a\b,c", ["ab", "c"]),  # a lone escape is lost
        ('abc"d"e,f', ['abc"d"e', "f"]),
        ('a,"open', ["a"]),
        ('"",x', ["", "x"]),
    ],
)
def test_open_csv(line, fields):
    assert open_csv_fields(line, ",", '"', "\\") == fields


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\\\n\r")), min_size=1))
def test_open_csv_reads_what_a_csv_writer_writes(values):
    line = ",".join('"' + value.replace('"', '""') + '"' for value in values)
    assert open_csv_fields(line, ",", '"', "\\") == values


def read_back(serde, expression, of):
    """Return a value written into a line by the SerDe and read from it again, and the value itself."""
    connection = duckdb.connect()
    text_serde.install(connection)
    line = serde.line([(f"CAST({expression} AS {duckdb_type(of)})", of)])
    fields = f"SELECT {serde.fields('line')} AS fields FROM (SELECT {line} AS line)"
    both = f"{serde.read(1, of)}, CAST({expression} AS {duckdb_type(of)})"
    return connection.execute(f"SELECT {both} FROM ({fields})").fetchone()


@pytest.mark.parametrize(
    ("of", "expression"),
    [
        ("tinyint", "-7"),
        ("bigint", "9223372036854775807"),
        ("decimal(10,2)", "-1.50"),
        ("double", "1e-300"),
        ("real", "1.5"),
        ("boolean", "true"),
        ("date", "'2024-02-29'"),
        ("timestamp(3)", "'2024-02-29 01:02:03.004'"),
        ("varchar", "'it''s \"q\" \\ x'"),
        ("varchar", "NULL"),
        ("varbinary", "'\\x00\\xFF'"),
        ("array(integer)", "[1, NULL, 3]"),
        ("array(varchar)", "NULL"),
        ("array(array(varchar))", "[['a', 'b'], ['c']]"),
        ("map(varchar, integer)", "MAP {'a': 1, 'b': NULL}"),
        ("map(varchar, array(integer))", "MAP {'a': [1, 2]}"),
        ("row(x integer, y varchar)", "{'x': 1, 'y': NULL}"),
        ("array(row(x integer, y array(varchar)))", "[{'x': 1, 'y': ['p', 'q']}]"),
    ],
)
def test_lazy_simple_reads_what_it_writes(of, expression):
    got, expected = read_back(LazySimple({}), expression, parse_type(of))
    assert got == expected


@settings(max_examples=25, deadline=None)
@given(st.lists(st.one_of(st.none(), st.text(st.characters(codec="utf-8", min_codepoint=32)))))
def test_lazy_simple_with_any_text(values):
    of = parse_type("array(varchar)")
    values = [None if value is None else value.replace("\\N", "") for value in values]
    written = "[" + ", ".join("NULL" if v is None else "'" + v.replace("'", "''") + "'" for v in values) + "]"
    got, expected = read_back(LazySimple({}), written, of)
    # Hive cannot tell these from an empty list and from no list either.
    assert got == {"['']": [], "[None]": None}.get(repr(values), expected)


@pytest.mark.parametrize("text", ["1.5", "x", "", "99999999999", "1e3"])
def test_lazy_simple_has_null_for_what_is_no_integer(text):
    connection = duckdb.connect()
    read = LazySimple({}).read(1, parse_type("integer"))
    assert connection.execute(f"SELECT {read} FROM (SELECT ['{text}'] AS fields)").fetchone() == (None,)


def test_open_csv_writes_what_it_reads():
    serde = OpenCsv({"quoteChar": "'", "separatorChar": ";"})
    got, expected = read_back(serde, "'a;''b'''", parse_type("varchar"))
    assert got == expected
