"""Each SQL text is parsed once per query execution: the tree travels from StartQueryExecution to the compiler."""

from __future__ import annotations

import pytest
from trino_query_parser.SqlBaseParser import SqlBaseParser

from lakehouse_local.athena.sql import warm


@pytest.fixture
def parsed(athena, monkeypatch):
    """The texts that the parser has read since table `t`, view `v` and prepared statement `p` were made."""
    warm()  # so that the service's own thread has nothing left to parse
    athena.run("create table t with (external_location = 's3://bucket/t/') as select 1 as a, 'x' as b")
    athena.run("create view v as select a + 1 as c from t")
    athena.run("prepare p from select a from t where a = ? and b = ?")
    texts: list[str] = []
    single_statement = SqlBaseParser.singleStatement

    def record(parser):
        texts.append(parser.getTokenStream().tokenSource.inputStream.strdata)
        return single_statement(parser)

    monkeypatch.setattr(SqlBaseParser, "singleStatement", record)
    return texts


SELECT = "select a, b from t where a = 1"
VIEW = "select a + 1 as c from t"


@pytest.mark.parametrize(
    ("sql", "texts"),
    [
        (SELECT, [SELECT]),
        (f"{SELECT} -- so\n;", [f"{SELECT} -- so\n"]),
        (f"with w as ({SELECT}) select * from w union all select * from w", None),
        ("values 1, 2", None),
        ("create table n with (external_location = 's3://bucket/n/') as select a from t", None),
        ("insert into t (b, a) select b, a from t", None),
        ("create view w as select a from t", None),
        ("create or replace view v as select a from t", None),
        (f"explain {SELECT}", None),
        (f"explain (type validate) {SELECT}", None),
        (f"explain analyze {SELECT}", None),
        (f"explain (type io, format json) {SELECT}", None),
        (f"explain (type io, format json) create table n as {SELECT}", None),
        (f"unload ({SELECT}) to 's3://bucket/u/' with (format = 'parquet')", [SELECT]),
        ("prepare q from select a from t", ["select a from t"]),
        # the prepared text, and each parameter's
        ("execute p using 1, 'x'", ["select a from t where a = ? and b = ?", "SELECT 1", "SELECT 'x'"]),
        # the statement's text and the view's
        ("select * from v", ["select * from v", VIEW]),
        ("select * from v as one join v as other on one.c = other.c", [..., VIEW]),
        ("with w as (select * from v) select * from w union all select * from w", [..., VIEW]),
        # Athena's own reader
        ("show tables", []),
        ("describe t", []),
        ("drop table t", []),
        ("deallocate prepare p", []),
    ],
)
def test_a_text_is_parsed_once(athena, parsed, sql, texts):
    execution = athena.run(sql)
    assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"]
    assert parsed == [sql if text is ... else text for text in ([sql] if texts is None else texts)]


def test_the_marks_of_a_statement_are_those_of_its_query(athena, parsed):
    athena.run("insert into t select a + ?, b from t", "41")
    execution = athena.run("select max(a) as a from t where b = ?", "'x'")
    assert athena.store.read(execution["ResultConfiguration"]["OutputLocation"]) == b'"a"\n"42"\n'


def test_positions_count_from_the_beginning_of_the_statement(athena):
    reason = athena.run("create table n as\nselect nothing from (values 1) v (a)")["Status"]["StateChangeReason"]
    assert reason.startswith("COLUMN_NOT_FOUND: line 2:8: ")
