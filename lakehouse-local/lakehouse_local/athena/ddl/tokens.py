"""Tokens of the statements that are not of Trino's grammar: Hive's DDL, SHOW, UNLOAD, EXECUTE."""

from __future__ import annotations

import re
from dataclasses import dataclass

from lakehouse_local.athena.sql import SqlError

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<string>'(?:[^'\\]|\\.|'')*'(?!'))
    |(?P<quoted>`(?:[^`]|``)*`|"(?:[^"]|"")*")
    |(?P<word>[A-Za-z_0-9$@][\w$@.-]*?(?=[^\w$@-]|$))
    |(?P<symbol><>|!=|<=|>=|.)""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}
# https://docs.aws.amazon.com/athena/latest/ug/reserved-words.html, those of DDL statements
_RESERVED = frozenset(
    """
    ALL ALTER AND ARRAY AS AUTHORIZATION BETWEEN BIGINT BINARY BOOLEAN BOTH BY CASE CASHE CAST CHAR COLUMN CONF
    CONSTRAINT COMMIT CREATE CROSS CUBE CURRENT CURRENT_DATE CURRENT_TIMESTAMP CURSOR DATABASE DATE DAYOFWEEK
    DECIMAL DELETE DESCRIBE DISTINCT DIV DOUBLE DROP ELSE END EXCHANGE EXISTS EXTENDED EXTERNAL EXTRACT FALSE FETCH
    FLOAT FLOOR FOLLOWING FOR FOREIGN FROM FULL FUNCTION GRANT GROUP GROUPING HAVING IF IMPORT IN INNER INSERT INT
    INTEGER INTERSECT INTERVAL INTO IS JOIN LATERAL LEFT LESS LIKE LOCAL MACRO MAP MORE NONE NOT NULL NUMERIC OF ON
    ONLY OR ORDER OUT OUTER OVER PARTIALSCAN PARTITION PERCENT PRECEDING PRECISION PRESERVE PRIMARY PROCEDURE RANGE
    READS REDUCE REGEXP REFERENCES REVOKE RIGHT RLIKE ROLLBACK ROLLUP ROW ROWS SELECT SET SMALLINT START TABLE
    TABLESAMPLE THEN TIME TIMESTAMP TO TRANSFORM TRIGGER TRUE TRUNCATE UNBOUNDED UNION UNIQUEJOIN UPDATE USER USING
    UTC_TIMESTAMP VALUES VARCHAR VIEWS WHEN WHERE WINDOW WITH
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True)
class Token:
    """A token with its place in the text.

    :ivar kind: `string`, `quoted` (an identifier), `word` or `symbol`
    """

    kind: str
    text: str
    start: int
    end: int

    @property
    def value(self) -> str:
        """The text without the quotes and escapes of a string or a quoted identifier."""
        if self.kind == "quoted":
            return self.text[1:-1].replace(self.text[0] * 2, self.text[0])
        if self.kind == "string":
            return re.sub(r"\\(u[0-9a-fA-F]{4}|[0-3][0-7]{2}|.)|''", _unescaped, self.text[1:-1], flags=re.DOTALL)
        return self.text


def _unescaped(match: re.Match[str]) -> str:
    escaped = match[1]
    if escaped is None:
        return "'"
    if len(escaped) == 5:
        return chr(int(escaped[1:], 16))
    if len(escaped) == 3:
        return chr(int(escaped, 8))
    return _ESCAPES.get(escaped, escaped)


def tokens(text: str) -> list[Token]:
    """Return the tokens of a statement without spaces, comments and one closing semicolon."""
    found = [
        Token(str(match.lastgroup), match[0], match.start(), match.end())
        for match in _TOKEN.finditer(text)
        if match.lastgroup != "space"
    ]
    return found[:-1] if found and found[-1].text == ";" else found


class Reader:
    """A reader of a statement's tokens, one after the other; words are matched without case.

    :raises SqlError: SYNTAX_ERROR, from every method that needs a certain token
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokens(text)
        self._at = 0

    @property
    def done(self) -> bool:
        return self._at >= len(self._tokens)

    @property
    def next(self) -> Token | None:
        return None if self.done else self._tokens[self._at]

    def sees(self, *words: str) -> bool:
        """Return True if these words or symbols come next."""
        following = self._tokens[self._at : self._at + len(words)]
        return len(following) == len(words) and all(
            token.kind in ("word", "symbol") and token.text.upper() == word
            for token, word in zip(following, words, strict=True)
        )

    def take(self, *words: str) -> bool:
        """Skip these words if they come next, and return True if they did."""
        found = self.sees(*words)
        if found:
            self._at += len(words)
        return found

    def take_any(self, *words: str) -> str | None:
        """Skip one of these words if it comes next, and return it, else None."""
        return next((word for word in words if self.take(word)), None)

    def need(self, *words: str) -> None:
        """Skip these words, which must come next."""
        for word in words:
            if not self.take(word):
                raise self.unexpected(word)

    def pop(self) -> Token:
        """Read the next token, of any kind."""
        if self.done:
            raise self.unexpected("more")
        self._at += 1
        return self._tokens[self._at - 1]

    def string(self) -> str:
        """Read a string and return its value."""
        if (token := self.next) is None or token.kind != "string":
            raise self.unexpected("a string in single quotes")
        return self.pop().value

    def number(self) -> int:
        """Read a whole number."""
        if (token := self.next) is None or not (token.text.isascii() and token.text.isdigit()):
            raise self.unexpected("a number")
        return int(self.pop().text)

    def identifier(self, *, trino: bool = False) -> str:
        """Read one part of a name, in lower case. Hive quotes with backticks and reserves its keywords.

        :param trino: by Trino's rules, with double quotes, for the few statements that Athena gives to Trino
        """
        token = self.next
        if token is None or token.kind not in ("word", "quoted"):
            raise self.unexpected("a name")
        if token.text[0] == ("`" if trino else '"'):
            raise self.unexpected("a name in double quotes" if trino else "a name in backticks")
        if not trino and token.text.upper() in _RESERVED:
            raise self.unexpected(
                f"a name; {token.text} is a keyword: write `{token.text.lower()}` to use it as a name"
            )
        return self.pop().value.lower()

    def name(self, *, trino: bool = False) -> list[str]:
        """Read a name of one or more parts: `db`.`table`."""
        parts = [self.identifier(trino=trino)]
        while self.take("."):
            parts.append(self.identifier(trino=trino))
        return parts

    def string_map(self) -> dict[str, str]:
        """Read ( 'key' = 'value', ... )."""
        self.need("(")
        found: dict[str, str] = {}
        while True:
            key = self.string()
            self.need("=")
            found[key] = self.string()
            if not self.take(","):
                break
        self.need(")")
        return found

    def until_closing(self) -> str:
        """Read the text up to the bracket that closes the one just read; the closing bracket is skipped."""
        start = self._tokens[self._at - 1].end
        depth = 1
        while depth:
            if self.done:
                raise self.unexpected(")")
            depth += {"(": 1, ")": -1}.get(self.pop().text, 0)
        return self.text[start : self._tokens[self._at - 1].start]

    def rest(self) -> str:
        """Read the text that is left."""
        if self.done:
            return ""
        rest = self.text[self._tokens[self._at].start : self._tokens[-1].end]
        self._at = len(self._tokens)
        return rest

    def end(self) -> None:
        """Check that no token is left."""
        if not self.done:
            raise self.unexpected("the end of the statement")

    def unexpected(self, wanted: str) -> SqlError:
        """Return the error for the token that comes next."""
        token = self.next
        at = token.start if token else len(self.text.rstrip())
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1)
        seen = f"'{token.text}'" if token else "'<EOF>'"
        return SqlError("SYNTAX_ERROR", f"line {line}:{column + 1}: mismatched input {seen}. Expecting: {wanted}")
