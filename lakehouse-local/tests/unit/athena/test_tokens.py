from __future__ import annotations

import pytest

from lakehouse_local.athena.ddl.tokens import Reader, tokens
from lakehouse_local.athena.sql import SqlError


def test_tokens_have_values():
    text = "create -- c\n`a``b` \"q\"\"r\" 'it''s' '\\t\\u0041\\001\\'' /* c */ x.y-z_1 <> (1);"
    assert [(token.kind, token.value) for token in tokens(text)] == [
        ("word", "create"),
        ("quoted", "a`b"),
        ("quoted", 'q"r'),
        ("string", "it's"),
        ("string", "\tA\1'"),
        ("word", "x"),
        ("symbol", "."),
        ("word", "y-z_1"),
        ("symbol", "<>"),
        ("symbol", "("),
        ("word", "1"),
        ("symbol", ")"),
    ]


def test_a_reader_reads_on():
    reader = Reader("alter Table `Db`.t ADD ('k' = 'v', 'l'='w') ((a, ')') b) 12 end")
    assert reader.take("ALTER", "TABLE")
    assert reader.name() == ["db", "t"]
    assert not reader.take("DROP")
    assert reader.take_any("DROP", "ADD") == "ADD"
    assert reader.string_map() == {"k": "v", "l": "w"}
    reader.need("(")
    assert reader.until_closing() == "(a, ')') b"
    assert reader.number() == 12
    assert not reader.done
    assert reader.rest() == "end"
    reader.end()


@pytest.mark.parametrize(
    ("text", "read", "message"),
    [
        ("a b", lambda r: r.end(), "line 1:1: mismatched input 'a'. Expecting: the end of the statement"),
        ("\n  a", lambda r: r.string(), "line 2:3: mismatched input 'a'. Expecting: a string in single quotes"),
        ("'x'", lambda r: r.identifier(), "mismatched input ''x''. Expecting: a name"),
        ('"x"', lambda r: r.identifier(), "Expecting: a name in backticks"),
        ("`x`", lambda r: r.identifier(trino=True), "Expecting: a name in double quotes"),
        ("Order", lambda r: r.identifier(), "Order is a keyword: write `order` to use it as a name"),
        ("x", lambda r: r.number(), "Expecting: a number"),
        ("(a", lambda r: (r.need("("), r.until_closing()), "line 1:3: mismatched input '<EOF>'. Expecting: )"),
        ("", lambda r: r.pop(), "line 1:1: mismatched input '<EOF>'"),
    ],
)
def test_a_missing_token_is_an_error(text, read, message):
    with pytest.raises(SqlError) as raised:
        read(Reader(text))
    assert raised.value.name == "SYNTAX_ERROR"
    assert message in raised.value.message


def test_a_keyword_of_hives_is_a_name_to_trino_and_in_backticks():
    assert Reader("order").identifier(trino=True) == "order"
    assert Reader("`Order`").identifier() == "order"
