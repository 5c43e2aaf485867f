"""Queries as Trino answers them: names, types, values, and refusals by Trino's names."""

from __future__ import annotations

import pytest

from lakehouse_local.athena.sql import SqlError


@pytest.mark.parametrize(
    ("expression", "type", "value"),
    [
        ("1", "integer", "1"),
        ("3000000000", "bigint", "3000000000"),
        ("1.50", "decimal(3,2)", "1.50"),
        ("1e10", "double", "1.0E10"),
        ("'it''s'", "varchar(4)", "it's"),
        ("7 / 2", "integer", "3"),
        ("-7 / 2", "integer", "-3"),
        ("1.0 / 3", "decimal(2,1)", "0.3"),
        ("DECIMAL '1.5' * DECIMAL '2.25'", "decimal(5,3)", "3.375"),
        ("nan() = nan()", "boolean", "false"),
        ("row(1, NULL) = row(1, 2)", "boolean", None),
        ("NULL = 1", "boolean", None),
        ("1 BETWEEN 0 AND NULL", "boolean", None),
        ("'a' || 'b'", "varchar", "ab"),
        ("ARRAY[1, 2][2]", "integer", "2"),
        ("ARRAY[1, NULL] || 3", "array(integer)", "[1, null, 3]"),
        ("map(ARRAY['a'], ARRAY[1])['a']", "integer", "1"),
        ("CAST(row(1, 'b') AS row(x integer, y varchar))", "row(x integer, y varchar)", "{x=1, y=b}"),
        ("transform(ARRAY[1, 2], x -> x * 10)", "array(integer)", "[10, 20]"),
        ("reduce(ARRAY[1, 2, 3], 0, (s, x) -> s + x, s -> s)", "integer", "6"),
        ("if(1 > 2, 'yes', 'other')", "varchar(5)", "other"),
        ("CASE 2 WHEN 1 THEN 1.5 WHEN 2 THEN 2 END", "decimal(11,1)", "2.0"),
        ("coalesce(NULL, 2)", "integer", "2"),
        ("nullif(1, 1)", "integer", None),
        ("try(1 / 0)", "integer", None),
        ("try_cast('x' AS integer)", "integer", None),
        ("typeof(CAST(1 AS decimal(10,2)))", "varchar", "decimal(10,2)"),
        ("DATE '2024-01-31' + INTERVAL '1' MONTH", "date", "2024-02-29"),
        ("DATE '2024-03-01' - DATE '2024-02-01'", "interval day to second", "29 00:00:00.000"),
        ("TIMESTAMP '2024-01-01 00:00:00.123456'", "timestamp(6)", "2024-01-01 00:00:00.123456"),
        ("date_trunc('month', TIMESTAMP '2024-05-17 10:00:00')", "timestamp(0)", "2024-05-01 00:00:00.000"),
        ("extract(DOW FROM DATE '2024-01-07')", "bigint", "7"),
        ("TIMESTAMP '2024-07-01 12:00:00 UTC' AT TIME ZONE 'America/New_York'", "timestamp(0) with time zone",
         "2024-07-01 08:00:00.000 America/New_York"),
        ("round(2.5e0)", "double", "3.0"),
        ("to_utf8('ab')", "varbinary", "61 62"),
        ("json_extract_scalar('{\"a\": {\"b\": 1}}', '$.a.b')", "varchar(15)", "1"),
        ("json_value('{\"a\": 1}', 'lax $.a' RETURNING integer)", "integer", "1"),
        ("format('%05.1f|%s', 3.14159e0, 'x')", "varchar", "003.1|x"),
        ("'%_' LIKE '#%#_' ESCAPE '#'", "boolean", "true"),
        ("(SELECT max(id) FROM trips)", "integer", "3"),
        ("2 IN (SELECT id FROM trips)", "boolean", "true"),
        ("3 > ALL (SELECT id FROM trips WHERE id < 3)", "boolean", "true"),
        ("EXISTS (SELECT 1 FROM trips WHERE id = 9)", "boolean", "false"),
    ],
)  # fmt: skip
def test_expressions_have_trinos_types_and_values(ask, expression, type, value):
    columns, rows = ask(f"SELECT {expression}")
    assert columns == [f"_col0:{type}"]
    if type.startswith("timestamp") and value and "123456" in value:
        value = value[:-3]  # Athena writes milliseconds
    assert rows == [[value]]


@pytest.mark.parametrize(
    ("sql", "columns", "rows"),
    [
        ("SELECT *, id AS Twice FROM trips WHERE id = 1",
         ["id:integer", "fare:decimal(10,2)", "year:varchar", "month:varchar", "twice:integer"],
         [["1", "10.50", "2024", "01", "1"]]),
        ("SELECT year, count(*), sum(fare) AS s FROM trips GROUP BY 1 ORDER BY s DESC NULLS FIRST",
         ["year:varchar", "_col1:bigint", "s:decimal(38,2)"], [["2025", "1", None], ["2024", "2", "30.50"]]),
        ("SELECT substr(t.year, 3), count(*) AS n FROM trips t GROUP BY substr(year, 3) HAVING count(*) > 1",
         ["_col0:varchar", "n:bigint"], [["24", "2"]]),
        ("SELECT year, month, count(*), grouping(year, month) FROM trips GROUP BY ROLLUP (year, month) "
         "ORDER BY 4, 1, 2",
         ["year:varchar", "month:varchar", "_col2:bigint", "_col3:integer"],
         [["2024", "01", "1", "0"], ["2024", "02", "1", "0"], ["2025", "01", "1", "0"], ["2024", None, "2", "1"],
          ["2025", None, "1", "1"], [None, None, "3", "3"]]),
        ("SELECT id, sum(id) OVER (PARTITION BY year ORDER BY id) FROM trips ORDER BY id DESC LIMIT 2",
         ["id:integer", "_col1:bigint"], [["3", "3"], ["2", "3"]]),
        ("SELECT id, lag(id) OVER w FROM trips WINDOW w AS (ORDER BY id) ORDER BY 1 OFFSET 1 FETCH FIRST ROW ONLY",
         ["id:integer", "_col1:integer"], [["2", "1"]]),
        ("SELECT id FROM trips ORDER BY year FETCH FIRST 1 ROWS WITH TIES", ["id:integer"], [["1"], ["2"]]),
        ("SELECT a.id, b.id FROM trips a LEFT JOIN trips b ON b.id = a.id + 1 ORDER BY 1",
         ["id:integer", "id:integer"], [["1", "2"], ["2", "3"], ["3", None]]),
        ("SELECT * FROM (VALUES (1, 'a')) t (k, x) FULL JOIN (VALUES (2, 'b')) u (k, y) USING (k) ORDER BY k",
         ["k:integer", "x:varchar(1)", "y:varchar(1)"], [["1", "a", None], ["2", None, "b"]]),
        ("SELECT x, n FROM nested CROSS JOIN UNNEST(xs) WITH ORDINALITY AS u (x, n)",
         ["x:integer", "n:bigint"], [["1", "1"], ["2", "2"]]),
        ("SELECT nested.r.b, r.a + 1 AS next FROM nested", ["b:varchar", "next:integer"], [["x", "2"]]),
        ("SELECT k, v FROM UNNEST(map(ARRAY['a'], ARRAY[1])) AS t (k, v)",
         ["k:varchar(1)", "v:integer"], [["a", "1"]]),
        ("WITH a (n) AS (SELECT id FROM trips), b AS (SELECT n * 2 AS m FROM a) SELECT max(m) FROM b",
         ["_col0:integer"], [["6"]]),
        ("WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT sum(n) FROM t",
         ["_col0:bigint"], [["6"]]),
        ("SELECT id FROM trips WHERE id < 3 UNION SELECT 2.5 ORDER BY 1",
         ["id:decimal(11,1)"], [["1.0"], ["2.0"], ["2.5"]]),
        ("SELECT id FROM trips EXCEPT SELECT 2 INTERSECT SELECT 2", ["id:integer"], [["1"], ["3"]]),
        ("VALUES (1, 'a'), (2, NULL)", ["_col0:integer", "_col1:varchar(1)"], [["1", "a"], ["2", None]]),
        ("TABLE nested", ["xs:array(integer)", "r:row(a integer, b varchar)"], [["[1, 2]", "{a=1, b=x}"]]),
        ("SELECT y, fares FROM by_year ORDER BY y", ["y:varchar", "fares:decimal(38,2)"],
         [["2024", "30.50"], ["2025", None]]),
        ("SELECT id FROM trips t WHERE EXISTS (SELECT 1 FROM trips u WHERE u.year = t.year AND u.id <> t.id) "
         "ORDER BY 1",
         ["id:integer"], [["1"], ["2"]]),
        ("SELECT DISTINCT year FROM trips ORDER BY year DESC", ["year:varchar"], [["2025"], ["2024"]]),
        ("SELECT count(DISTINCT year), array_agg(id ORDER BY id DESC) FILTER (WHERE id > 1) FROM trips",
         ["_col0:bigint", "_col1:array(integer)"], [["2", "[3, 2]"]]),
        ("SELECT listagg(year, '-') WITHIN GROUP (ORDER BY id) FROM trips", ["_col0:varchar"], [["2024-2024-2025"]]),
    ],
)  # fmt: skip
def test_queries(ask, sql, columns, rows):
    found_columns, found = ask(sql)
    assert found_columns == columns
    assert (found if "ORDER BY" in sql else sorted(found, key=str)) == (
        rows if "ORDER BY" in sql else sorted(rows, key=str)
    )


@pytest.mark.parametrize(
    ("sql", "name", "message"),
    [
        ("SELECT 1 +", "SYNTAX_ERROR", "line 1:11: "),
        ("SELECT `a` FROM trips", "SYNTAX_ERROR", "backquoted identifiers"),
        ("SELECT nothing FROM trips", "COLUMN_NOT_FOUND", "line 1:8: Column 'nothing' cannot be resolved"),
        ("SELECT trips.nothing FROM trips", "COLUMN_NOT_FOUND", "Column 'trips.nothing' cannot be resolved"),
        ("SELECT 1 FROM nowhere", "TABLE_NOT_FOUND", "line 1:15: Table 'awsdatacatalog.db.nowhere' does not exist"),
        ("SELECT 1 FROM no.trips", "SCHEMA_NOT_FOUND", "Schema 'no' does not exist"),
        ("SELECT id FROM trips a, trips b", "AMBIGUOUS_NAME", "Column 'id' is ambiguous"),
        ("SELECT 1 FROM trips WHERE year = 2024", "TYPE_MISMATCH", "Cannot apply operator: varchar = integer"),
        ("SELECT 1 WHERE 1", "TYPE_MISMATCH", "WHERE clause must evaluate to a boolean: actual type integer"),
        ("SELECT DATE '2024-01-01' + 1", "TYPE_MISMATCH", "Cannot apply operator: date + integer"),
        ("SELECT 1 UNION SELECT 'a'", "TYPE_MISMATCH", "incompatible types: integer, varchar(1)"),
        ("SELECT 1 UNION SELECT 1, 2", "TYPE_MISMATCH", "different number of fields: 1, 2"),
        ("SELECT CASE WHEN true THEN 1 ELSE 'a' END", "TYPE_MISMATCH", "between integer and varchar(1)"),
        ("SELECT CAST(DATE '2024-01-01' AS integer)", "TYPE_MISMATCH", "Cannot cast date to integer"),
        ("SELECT CAST(1 AS text)", "TYPE_NOT_FOUND", "Unknown type: text"),
        ("SELECT sum('a')", "FUNCTION_NOT_FOUND", "Unexpected parameters (varchar(1)) for function sum"),
        ("SELECT strftime(1)", "FUNCTION_NOT_FOUND", "Function 'strftime' not registered"),
        ("SELECT word_stem('a')", "NOT_SUPPORTED", "word_stem is not supported by the local AWS"),
        ("SELECT id, count(*) FROM trips", "EXPRESSION_NOT_AGGREGATE", "'id' must be an aggregate expression"),
        ("SELECT * FROM trips GROUP BY id", "EXPRESSION_NOT_AGGREGATE", "'fare' must be an aggregate expression"),
        ("SELECT 1 FROM trips WHERE count(*) > 1", "EXPRESSION_NOT_SCALAR", "WHERE clause cannot contain aggregations"),
        ("SELECT sum(count(*)) FROM trips", "NESTED_AGGREGATION", ""),
        ("SELECT row_number() FROM trips", "MISSING_OVER", "row_number requires an OVER clause"),
        ("SELECT DISTINCT year FROM trips ORDER BY id", "EXPRESSION_NOT_IN_DISTINCT", ""),
        ("SELECT 1 ORDER BY 2", "INVALID_COLUMN_REFERENCE", "ORDER BY position 2 is not in select list"),
        ("WITH a AS (SELECT 1), a AS (SELECT 2) SELECT 1", "DUPLICATE_NAMED_QUERY", "'a' specified more than once"),
        ("SELECT DATE '2024-02-30'", "INVALID_LITERAL", "'2024-02-30' is not a valid DATE literal"),
        ("SELECT 1 / 0", "DIVISION_BY_ZERO", "Division by zero"),
        ("SELECT CAST('x' AS integer)", "INVALID_CAST_ARGUMENT", "Cannot cast 'x' to INT"),
        (
            "SELECT ARRAY[1][2]",
            "INVALID_FUNCTION_ARGUMENT",
            "Array subscript must be less than or equal to array length",
        ),
        ("SELECT (SELECT id FROM trips)", "SUBQUERY_MULTIPLE_ROWS", "multiple rows"),
        ("SELECT 2147483647 + 1", "NUMERIC_VALUE_OUT_OF_RANGE", ""),
        ("SELECT ?", "INVALID_PARAMETER_USAGE", "expected 1 but found 0"),
        ("WITH unused AS (SELECT nothing FROM trips) SELECT 1", "COLUMN_NOT_FOUND", "Column 'nothing'"),
        ("SELECT 1 FROM trips NATURAL JOIN trips", "NOT_SUPPORTED", "Natural join not supported"),
    ],
)
def test_refusals_carry_trinos_names(ask, sql, name, message):
    with pytest.raises(SqlError) as refused:
        ask(sql)
    assert refused.value.name == name
    assert message in refused.value.message


def test_parameters_stand_for_question_marks_in_their_order(ask):
    _, rows = ask("SELECT id, ? FROM trips WHERE year = ? AND id < ? ORDER BY 1 LIMIT ?", "'x'", "'2024'", "9", "1")
    assert rows == [["1", "x"]]


@pytest.mark.parametrize(
    ("sql", "asked"),
    [
        ("SELECT id FROM trips WHERE year = '2024' AND id > 1 AND month IN ('01', '02')",
         """("year" = '2024') AND ("month" IN ('01', '02'))"""),
        ("SELECT id FROM trips t WHERE t.year = '2024' OR t.month = '01'",
         """(("year" = '2024') OR ("month" = '01'))"""),
        ("SELECT id FROM trips WHERE year = '2024' OR id = 1", None),
        ("SELECT id FROM trips", None),
        # through a subquery, a WITH, a view that groups by the key
        ("SELECT id FROM (SELECT id, year AS y FROM trips) WHERE y = '2024'", """("year" = '2024')"""),
        ("WITH t AS (SELECT * FROM trips) SELECT id FROM t WHERE month = '01'", """("month" = '01')"""),
        ("SELECT fares FROM by_year WHERE y = '2024'", """("year" = '2024')"""),
        # not where rows are counted, cut or made before
        ("SELECT id FROM (SELECT id, year, row_number() OVER (ORDER BY id) AS n FROM trips) WHERE year = '2024'", None),
        ("SELECT id FROM (SELECT id, year FROM trips ORDER BY id LIMIT 1) WHERE year = '2024'", None),
        ("SELECT year FROM (SELECT year FROM trips GROUP BY ROLLUP (year)) WHERE year = '2024'", None),
        ("SELECT 1 FROM (VALUES 1) v (x) LEFT JOIN trips ON id = x WHERE year IS NULL", None),
    ],
)  # fmt: skip
def test_only_partitions_that_can_matter_are_asked_for(ask, catalogue, sql, asked):
    ask(sql)
    assert catalogue.asked == [asked]
