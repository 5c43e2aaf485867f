"""GetPartitions' Expression: SQL over partition keys, parsed once and asked of each partition's values.

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

# True, False, or None for SQL's unknown
Test = Callable[[Sequence[str]], "bool | None"]

NULL = "__HIVE_DEFAULT_PARTITION__"
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<number>[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?(?![\w]))
    | (?P<name>`[^`]+`|[A-Za-z_][\w]*)
    | (?P<sign><>|!=|<=|>=|=|<|>|\(|\)|,)
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
    """A test of a partition's values, for a table with these (name, type) partition keys.

    :raises AwsError: InvalidInputException for what is no expression, an unknown column, or a literal that is no value
        of its column's type
    """
    parser = _Parser(expression, {name.lower(): (place, kind) for place, (name, kind) in enumerate(keys)})
    test = parser.whole()
    return lambda values: test(values) is True


class _Parser:
    """Recursive descent: or > and > not > predicate."""

    def __init__(self, expression: str, columns: dict[str, tuple[int, str]]) -> None:
        self._expression = expression
        self._columns = columns
        self._tokens = self._split(expression)
        self._at = 0

    def whole(self) -> Test:
        test = self._either()
        if self._peek() != ("end", ""):
            raise self._fault(f"{self._peek()[1]!r} is not expected there")
        return test

    def _split(self, expression: str) -> list[tuple[str, str]]:
        tokens: list[tuple[str, str]] = []
        place = 0
        while expression[place:].strip():
            match = _TOKEN.match(expression, place)
            if match is None:
                raise self._fault(f"cannot read {expression[place:].strip()[:20]!r}")
            kind = str(match.lastgroup)
            tokens.append((kind, match[kind]))
            place = match.end()
        return [*tokens, ("end", "")]

    def _either(self) -> Test:
        tests = [self._both()]
        while self._word("OR"):
            tests.append(self._both())
        return tests[0] if len(tests) == 1 else _any_of(tests)

    def _both(self) -> Test:
        tests = [self._negated()]
        while self._word("AND"):
            tests.append(self._negated())
        return tests[0] if len(tests) == 1 else _all_of(tests)

    def _negated(self) -> Test:
        return _not(self._negated()) if self._word("NOT") else self._predicate()

    def _predicate(self) -> Test:
        if self._sign("("):
            inner = self._either()
            self._need(")")
            return inner
        kind, text = self._next()
        if kind in ("text", "number"):
            literal, comparison = _literal(kind, text), self._comparison()
            column = self._next()
            if column[0] != "name":
                raise self._fault("one side of a comparison must be a partition key")
            place, type_ = self._column(column[1])
            return self._compare(place, type_, _MIRRORED.get(comparison, comparison), literal)
        if kind != "name":
            raise self._fault(f"{text or 'its end'!r} is not expected there")
        place, type_ = self._column(text)
        if self._word("IS"):
            negated = self._word("NOT")
            if not self._word("NULL"):
                raise self._fault("IS must be followed by NULL or NOT NULL")
            return lambda values: (values[place] == NULL) is not negated
        negated = self._word("NOT")
        test = self._membership(place, type_)
        if test is None:
            if negated:
                raise self._fault("NOT must be followed by IN, BETWEEN or LIKE")
            return self._compare(place, type_, self._comparison(), self._value())
        return _not(test) if negated else test

    def _membership(self, place: int, type_: str) -> Test | None:
        if self._word("IN"):
            self._need("(")
            allowed = [self._of_type(self._value(), type_)]
            while self._sign(","):
                allowed.append(self._of_type(self._value(), type_))
            self._need(")")
            return _of_value(place, type_, lambda value: value in allowed)
        if self._word("BETWEEN"):
            low = self._of_type(self._value(), type_)
            if not self._word("AND"):
                raise self._fault("BETWEEN needs AND")
            high = self._of_type(self._value(), type_)
            return _of_value(place, type_, lambda value: low <= value <= high)
        if self._word("LIKE"):
            if _base(type_) not in _TEXT_TYPES:
                raise AwsError("InvalidInputException", f"{type_} data type doesn't support operation 'LIKE'")
            pattern = re.compile(
                "".join({"%": ".*", "_": "."}.get(character, re.escape(character)) for character in self._value()),
                re.DOTALL,
            )
            return _of_value(place, type_, lambda value: pattern.fullmatch(value) is not None)
        return None

    def _compare(self, place: int, type_: str, sign: str, literal: str) -> Test:
        compared, right = _COMPARISONS[sign], self._of_type(literal, type_)
        return _of_value(place, type_, lambda value: compared(value, right))

    def _of_type(self, literal: str, type_: str) -> Any:
        try:
            return cast(literal, type_)
        except ValueError as error:
            raise AwsError("InvalidInputException", str(error)) from None

    def _column(self, name: str) -> tuple[int, str]:
        found = self._columns.get(name.strip("`").lower())
        if found is None:
            raise self._fault(f"there is no partition key {name!r}; keys are {', '.join(self._columns) or 'none'}")
        return found

    def _comparison(self) -> str:
        kind, text = self._next()
        if kind != "sign" or text not in _COMPARISONS:
            raise self._fault(f"{text or 'its end'!r} where a comparison is expected")
        return text

    def _value(self) -> str:
        kind, text = self._next()
        if kind == "name" and text.upper() in ("DATE", "TIMESTAMP") and self._peek()[0] == "text":
            kind, text = self._next()
        if kind not in ("text", "number"):
            raise self._fault(f"{text or 'its end'!r} where a literal is expected")
        return _literal(kind, text)

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at]

    def _next(self) -> tuple[str, str]:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _word(self, word: str) -> bool:
        kind, text = self._peek()
        return kind == "name" and text.upper() == word and bool(self._next())

    def _sign(self, sign: str) -> bool:
        return self._peek() == ("sign", sign) and bool(self._next())

    def _need(self, sign: str) -> None:
        if not self._sign(sign):
            raise self._fault(f"{sign!r} is missing")

    def _fault(self, why: str) -> AwsError:
        return AwsError("InvalidInputException", f"Unsupported expression '{self._expression}': {why}")


def cast(value: str, type_: str) -> Any:
    """A partition value or literal as a value of a partition key's type.

    :raises ValueError: when it is none
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


def _of_value(place: int, type_: str, test: Callable[[Any], bool]) -> Test:
    def ask(values: Sequence[str]) -> bool | None:
        if values[place] == NULL:
            return None
        try:
            return test(cast(values[place], type_))
        except ValueError as error:
            raise AwsError("InvalidStateException", f"partition {list(values)}: {error}") from None

    return ask


def _not(test: Test) -> Test:
    def ask(values: Sequence[str]) -> bool | None:
        answer = test(values)
        return None if answer is None else not answer

    return ask


def _all_of(tests: list[Test]) -> Test:
    def ask(values: Sequence[str]) -> bool | None:
        answers = [test(values) for test in tests]
        return False if False in answers else None if None in answers else True

    return ask


def _any_of(tests: list[Test]) -> Test:
    def ask(values: Sequence[str]) -> bool | None:
        answers = [test(values) for test in tests]
        return True if True in answers else None if None in answers else False

    return ask
