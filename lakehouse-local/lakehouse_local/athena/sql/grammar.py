"""Trino's own grammar: the syntax check of every statement, and the tree that the compiler reads."""

from __future__ import annotations

from typing import Any

from antlr4 import CommonTokenStream, InputStream, Token
from antlr4.atn.PredictionMode import PredictionMode
from antlr4.error.ErrorListener import ErrorListener
from antlr4.error.Errors import InputMismatchException, ParseCancellationException
from antlr4.error.ErrorStrategy import BailErrorStrategy
from trino_query_parser.SqlBaseLexer import SqlBaseLexer
from trino_query_parser.SqlBaseParser import SqlBaseParser

from lakehouse_local.athena.sql.errors import SqlError

EXTRACT_FIELDS = (
    "YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DAY_OF_MONTH", "DAY_OF_WEEK", "DOW", "DAY_OF_YEAR", "DOY",
    "YEAR_OF_WEEK", "YOW", "HOUR", "MINUTE", "SECOND", "TIMEZONE_MINUTE", "TIMEZONE_HOUR",
)  # fmt: skip


class _CaseFolding(InputStream):  # type: ignore[misc]
    """A stream in which keywords match in any case, while the tokens keep the text as written."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.data = [ord(upper) if len(upper := character.upper()) == 1 else ord(character) for character in text]


class _ErrorRaiser(ErrorListener):  # type: ignore[misc]
    def syntaxError(self, recognizer: Any, symbol: Any, line: int, column: int, message: str, error: Any) -> None:
        raise SqlError("SYNTAX_ERROR", f"line {line}:{column + 1}: {_message(recognizer, symbol, message, error)}")


def _message(recognizer: Any, symbol: Any, message: str, error: Any) -> str:
    if symbol is None:
        return message
    token = "<EOF>" if symbol.type == Token.EOF else symbol.text
    expected = ""
    if error is None or isinstance(error, InputMismatchException):
        names = sorted(
            recognizer.getExpectedTokens()
            .toString(recognizer.literalNames, recognizer.symbolicNames)
            .strip("{}")
            .split(", ")
        )
        shown = [name for name in names if name.startswith("'") or name == "<EOF>"]
        expected = f". Expecting: {', '.join(shown)}" if 0 < len(shown) <= 40 else ""
    return f"mismatched input '{token}'{expected}"


def _parser(text: str) -> Any:
    lexer = SqlBaseLexer(_CaseFolding(text))
    lexer.removeErrorListeners()
    lexer.addErrorListener(_ErrorRaiser())
    parser = SqlBaseParser(CommonTokenStream(lexer))
    parser.removeErrorListeners()
    return parser


def parse(text: str) -> Any:
    """The tree of one statement (`SqlBaseParser.SingleStatementContext`); raises SqlError SYNTAX_ERROR."""
    parser = _parser(text)
    parser._interp.predictionMode = PredictionMode.SLL  # fast, and sufficient for nearly all statements
    parser._errHandler = BailErrorStrategy()
    try:
        tree = parser.singleStatement()
    except ParseCancellationException:
        parser = _parser(text)
        parser.addErrorListener(_ErrorRaiser())
        tree = parser.singleStatement()
    _refuse_what_the_grammar_lets_pass(parser.getTokenStream().tokens, tree)
    return tree


def _refuse_what_the_grammar_lets_pass(tokens: list[Any], tree: Any) -> None:
    """Refuse tokens that Trino's grammar accepts only so that their errors can be clearer than a mismatch."""
    for token in tokens:
        if token.type == SqlBaseParser.BACKQUOTED_IDENTIFIER:
            problem = "backquoted identifiers are not supported; use double quotes to quote identifiers"
        elif token.type == SqlBaseParser.DIGIT_IDENTIFIER:
            problem = "identifiers must not start with a digit; surround the identifier with double quotes"
        elif token.type == SqlBaseParser.UNRECOGNIZED:
            problem = f"mismatched input '{token.text}'"
        else:
            continue
        raise SqlError("SYNTAX_ERROR", f"line {token.line}:{token.column + 1}: {problem}")
    if any(token.type == SqlBaseParser.EXTRACT for token in tokens):
        _check_extracts(tree)


def _check_extracts(node: Any) -> None:
    if isinstance(node, SqlBaseParser.ExtractContext):
        field = node.identifier().getText()
        if field.upper() not in EXTRACT_FIELDS:
            raise SqlError(
                "SYNTAX_ERROR",
                f"line {node.start.line}:{node.start.column + 1}: Invalid EXTRACT field {field}, "
                f"valid fields are: {', '.join(EXTRACT_FIELDS)}",
            )
    for child in getattr(node, "children", None) or ():
        _check_extracts(child)


def without_semicolon(sql: str) -> str:
    """Athena takes one semicolon at the end."""
    stripped = sql.rstrip()
    return stripped[:-1] if stripped.endswith(";") else sql


_WARMING = """
WITH a AS (SELECT DISTINCT t.x AS y, count(*) AS n, CAST(z AS decimal(10, 2)) FROM db.t AS t LEFT JOIN u ON t.a = u.a
AND u.b IS NOT NULL WHERE t.d >= DATE '2024-01-01' AND t.e IN ('a', 'b') OR NOT t.f LIKE 'x%'
GROUP BY 1, t.x HAVING count(*) > 1)
SELECT *, row_number() OVER (PARTITION BY y ORDER BY n DESC) AS r, CASE WHEN n = 1 THEN 'a' ELSE coalesce(b, 'c') END,
sum(n * 1.5 - 2) / 3, date_trunc('month', d) + INTERVAL '1' DAY
FROM (SELECT * FROM a) s CROSS JOIN UNNEST(ARRAY[1, 2]) AS v (w)
UNION ALL SELECT 1, 2, 3 ORDER BY 1 LIMIT 10
"""


def warm() -> None:
    """Build the parser's tables (a third of a second, once) before the first query needs them."""
    parse(_WARMING)
