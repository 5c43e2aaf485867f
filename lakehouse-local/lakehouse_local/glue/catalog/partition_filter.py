"""The Expression of GetPartitions: SQL over partition keys, parsed once and evaluated for each partition.

`=`, `<>`, `!=`, `<`, `<=`, `>`, `>=`, IN, BETWEEN, LIKE, IS NULL, each with NOT where SQL has it; AND, OR, NOT and
parentheses. Column names are matched without case; literals are compared as values of the column's type.
Source: AWS Glue API, GetPartitions, `Expression`.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from lakehouse_local.http.wire import AwsError

# From a partition's values to True, False, or None for SQL's unknown
Condition = Callable[[Sequence[str]], "bool | None"]

NULL = "__HIVE_DEFAULT_PARTITION__"
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<number>[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w]))
    | (?P<name>`[^`]+`|[A-Za-z_][\w]*)
    | (?P<symbol><>|!=|<=|>=|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TEXT_TYPES = ("string", "char", "varchar")


def compile_filter(expression: str, keys: Sequence[tuple[str, str]]) -> Callable[[Sequence[str]], bool]:
    """Return a function that returns True for the values of a partition that satisfies the expression.

    :param keys: (name, type) of the table's partition keys
    :raises AwsError: InvalidInputException for a syntax error, an unknown column, or a literal that is not a value of
        its column's type
    """
    parser = _Parser(expression, {name.lower(): (index, type_) for index, (name, type_) in enumerate(keys)})
    condition = parser.parse()
    return lambda values: condition(values) is True


class _Parser:
    """A recursive descent parser: OR, then AND, then NOT, then predicates."""

    def __init__(self, expression: str, columns: dict[str, tuple[int, str]]) -> None:
        self._expression = expression
        self._columns = columns
        self._tokens = self._tokenize(expression)
        self._position = 0

    def parse(self) -> Condition:
        condition = self._disjunction()
        if self._peek() != ("end", ""):
            raise self._error(f"unexpected {_quoted(self._peek()[1])}")
        return condition

    def _tokenize(self, expression: str) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        start = 0
        while expression[start:].strip():
            match = _TOKEN.match(expression, start)
            if match is None:
                raise self._error(f"cannot parse {expression[start:].strip()[:20]!r}")
            kind = str(match.lastgroup)
            tokens.append((kind, match[kind]))
            start = match.end()
        return [*tokens, ("end", "")]

    def _disjunction(self) -> Condition:
        conditions = [self._conjunction()]
        while self._accept_word("OR"):
            conditions.append(self._conjunction())
        return conditions[0] if len(conditions) == 1 else _or(conditions)

    def _conjunction(self) -> Condition:
        conditions = [self._negation()]
        while self._accept_word("AND"):
            conditions.append(self._negation())
        return conditions[0] if len(conditions) == 1 else _and(conditions)

    def _negation(self) -> Condition:
        return _not(self._negation()) if self._accept_word("NOT") else self._predicate()

    def _predicate(self) -> Condition:
        if self._accept_symbol("("):
            inner = self._disjunction()
            self._require_symbol(")")
            return inner
        kind, text = self._next()
        if kind in ("text", "number"):
            literal, comparison = _literal(kind, text), self._comparison()
            column = self._next()
            if column[0] != "name":
                raise self._error("one side of a comparison must be a partition key")
            index, type_ = self._column(column[1])
            return self._compare(index, type_, _MIRRORED.get(comparison, comparison), literal)
        if kind != "name":
            raise self._error(f"unexpected {_quoted(text)}")
        index, type_ = self._column(text)
        if self._accept_word("IS"):
            negated = self._accept_word("NOT")
            if not self._accept_word("NULL"):
                raise self._error("IS must be followed by NULL or NOT NULL")
            return lambda values: (values[index] == NULL) is not negated
        negated = self._accept_word("NOT")
        condition = self._membership(index, type_)
        if condition is None:
            if negated:
                raise self._error("NOT must be followed by IN, BETWEEN or LIKE")
            return self._compare(index, type_, self._comparison(), self._value())
        return _not(condition) if negated else condition

    def _membership(self, index: int, type_: str) -> Condition | None:
        """Parse a predicate that begins with IN, BETWEEN or LIKE; return None if the next word is none of them."""
        if self._accept_word("IN"):
            self._require_symbol("(")
            allowed = [self._cast(self._value(), type_)]
            while self._accept_symbol(","):
                allowed.append(self._cast(self._value(), type_))
            self._require_symbol(")")
            return _on_value(index, type_, lambda value: value in allowed)
        if self._accept_word("BETWEEN"):
            low = self._cast(self._value(), type_)
            if not self._accept_word("AND"):
                raise self._error("BETWEEN needs AND")
            high = self._cast(self._value(), type_)
            return _on_value(index, type_, lambda value: low <= value <= high)
        if self._accept_word("LIKE"):
            if _base(type_) not in _TEXT_TYPES:
                raise AwsError("InvalidInputException", f"{type_} data type doesn't support operation 'LIKE'")
            pattern = re.compile(
                "".join({"%": ".*", "_": "."}.get(character, re.escape(character)) for character in self._value()),
                re.DOTALL,
            )
            return _on_value(index, type_, lambda value: pattern.fullmatch(value) is not None)
        return None

    def _compare(self, index: int, type_: str, comparison: str, literal: str) -> Condition:
        compare, right = _COMPARISONS[comparison], self._cast(literal, type_)
        return _on_value(index, type_, lambda value: compare(value, right))

    def _cast(self, literal: str, type_: str) -> Any:
        try:
            return cast(literal, type_)
        except ValueError as error:
            raise AwsError("InvalidInputException", str(error)) from None

    def _column(self, name: str) -> tuple[int, str]:
        found = self._columns.get(name.strip("`").lower())
        if found is None:
            raise self._error(f"there is no partition key {name!r}; keys are {', '.join(self._columns) or 'none'}")
        return found

    def _comparison(self) -> str:
        kind, text = self._next()
        if kind != "symbol" or text not in _COMPARISONS:
            raise self._error(f"{_quoted(text)} where a comparison is expected")
        return text

    def _value(self) -> str:
        kind, text = self._next()
        if kind == "name" and text.upper() in ("DATE", "TIMESTAMP") and self._peek()[0] == "text":
            kind, text = self._next()
        if kind not in ("text", "number"):
            raise self._error(f"{_quoted(text)} where a literal is expected")
        return _literal(kind, text)

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._position]

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._position]
        self._position = min(self._position + 1, len(self._tokens) - 1)
        return token

    def _accept_word(self, word: str) -> bool:
        kind, text = self._peek()
        return kind == "name" and text.upper() == word and bool(self._next())

    def _accept_symbol(self, symbol: str) -> bool:
        return self._peek() == ("symbol", symbol) and bool(self._next())

    def _require_symbol(self, symbol: str) -> None:
        if not self._accept_symbol(symbol):
            raise self._error(f"{symbol!r} is missing")

    def _error(self, reason: str) -> AwsError:
        return AwsError("InvalidInputException", f"Unsupported expression '{self._expression}': {reason}")


def _quoted(token: str) -> str:
    """Return a token in quotation marks, for an error message."""
    return repr(token) if token else "end"


def cast(value: str, type_: str) -> Any:
    """Return a partition value or literal as a Python value of a partition key's type.

    :raises ValueError: it is not a value of the type
    :raises AwsError: InvalidInputException for a type that partition keys cannot have
    """
    base = _base(type_)
    try:
        if base in _TEXT_TYPES:
            return value
        if base in ("tinyint", "smallint", "int", "integer", "bigint", "long"):
            return int(value)
        if base in ("decimal", "float", "double"):
            return Decimal(value)
        if base == "boolean":
            return {"true": True, "false": False}[value.lower()]
        if base == "date":
            return date.fromisoformat(value)
        if base == "timestamp":
            return datetime.fromisoformat(value)
    except (ValueError, InvalidOperation, KeyError):
        raise ValueError(f"'{value}' is not a value of type {type_}") from None
    raise AwsError("InvalidInputException", f"Unknown type : '{type_}'")


def _base(type_: str) -> str:
    return type_.lower().partition("(")[0].strip()


def _literal(kind: str, text: str) -> str:
    if kind == "number":
        return text
    return text[1:-1].replace(text[0] * 2, text[0])


def _on_value(index: int, type_: str, test: Callable[[Any], bool]) -> Condition:
    """Return a condition on the value of one partition key."""

    def evaluate(values: Sequence[str]) -> bool | None:
        if values[index] == NULL:
            return None
        try:
            return test(cast(values[index], type_))
        except ValueError as error:
            raise AwsError("InvalidStateException", f"partition {list(values)}: {error}") from None

    return evaluate


def _not(condition: Condition) -> Condition:
    def evaluate(values: Sequence[str]) -> bool | None:
        result = condition(values)
        return None if result is None else not result

    return evaluate


def _and(conditions: list[Condition]) -> Condition:
    def evaluate(values: Sequence[str]) -> bool | None:
        results = [condition(values) for condition in conditions]
        return False if False in results else None if None in results else True

    return evaluate


def _or(conditions: list[Condition]) -> Condition:
    def evaluate(values: Sequence[str]) -> bool | None:
        results = [condition(values) for condition in conditions]
        return True if True in results else None if None in results else False

    return evaluate
