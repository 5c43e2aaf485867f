"""Function signatures, and the choice among overloads by Trino's rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from lakehouse_local.athena.sql.types import INTEGERS, UNKNOWN, VARCHAR, Type, as_decimal, coerces, common_type
from lakehouse_local.athena.sql.types.typed import Typed

# In a signature one capital letter stands for any type, N for any number, I for any integer type; a small letter as
# a parameter (varchar(n), decimal(p,s)) for a length or precision. `function(T,R)` is a lambda, `T...` any number of T.
_NUMBERS = {*INTEGERS, "decimal", "real", "double"}
_LETTERS: dict[str, set[str]] = {"N": _NUMBERS, "I": set(INTEGERS)}
_PATTERN_TOKENS = re.compile(r"\s*(timestamp\(\w\) with time zone|interval \w+ to \w+|\w+|\.\.\.|[(),])")

Bindings = dict[str, Any]


class Lambda(Protocol):
    """A lambda argument, compiled once the types of its parameters are known."""

    arity: int

    def typed(self, types: Sequence[Type]) -> Type:
        """Return the type of the body if the parameters have these types."""

    def body(self, parameters: Sequence[Typed], returns: Type) -> str:
        """Return DuckDB's text of the body, converted to `returns`, with these values for the parameters."""


@dataclass
class FunctionCall:
    """The argument of a builder: the converted arguments, the types bound to the letters, and a supply of fresh names."""

    args: list[Typed]
    bindings: Bindings
    returns: Type
    lambdas: list[Callable[..., str]]
    fresh: Callable[[], str]
    aggregate: Callable[..., str] | None = None
    position: str = ""

    @property
    def sql(self) -> list[str]:
        """Return the arguments' texts."""
        return [arg.sql for arg in self.args]


Build = str | Callable[[FunctionCall], "str | Typed"]


@dataclass(frozen=True)
class Overload:
    """A signature of a function and its DuckDB form: a function's name, a template over {0}, {1}, or a builder."""

    name: str
    parameters: tuple[Any, ...]
    variadic: bool
    returns: Any
    build: Build
    kind: str = "scalar"
    text: str = field(default="", compare=False)

    def parameters_for(self, count: int) -> tuple[Any, ...] | None:
        """Return the parameter patterns for this number of arguments, or None."""
        if not self.variadic:
            return self.parameters if len(self.parameters) == count else None
        fixed = self.parameters[:-1]
        return (*fixed, *[self.parameters[-1]] * (count - len(fixed))) if count >= len(fixed) else None


class _PatternReader:
    def __init__(self, text: str) -> None:
        found = list(_PATTERN_TOKENS.finditer(text))
        self.tokens = [each[1] for each in found]
        self.ends = [each.end() for each in found]
        self.at = 0

    def next(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1]

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def pattern(self) -> Any:
        name = self.next()
        if name.startswith("timestamp(") and name.endswith("zone"):
            return Type("timestamp with time zone", (name[10],))  # type: ignore[arg-type]
        args: tuple[Any, ...] = ()
        if self.peek() == "(":
            self.next()
            args = tuple(self.listed())
        fields = (None,) * len(args) if name == "row" else ()
        return Type(name, args, fields)

    def listed(self) -> list[Any]:
        found: list[Any] = []
        while self.peek() != ")":
            part = self.peek()
            if part == ",":
                self.next()
            elif len(part) == 1 and part.islower():
                found.append(self.next())
            elif part.isdigit():
                found.append(int(self.next()))
            elif part == "...":
                found.append(self.next())
            else:
                found.append(self.pattern())
        self.next()
        return found


def overload(signature: str, build: Build, kind: str = "scalar") -> Overload:
    """Read an overload from `name(types) type`."""
    reader = _PatternReader(signature)
    name = reader.next()
    reader.next()
    parameters = reader.listed()
    variadic = "..." in parameters
    parameters = [each for each in parameters if each != "..."]
    shown = signature[: reader.ends[reader.at - 1]]
    return Overload(name, tuple(parameters), variadic, reader.pattern(), build, kind, shown)


def table(text: str, kind: str = "scalar") -> list[Overload]:
    """Read overloads from lines `name(types) type = function or template`; without `=`, DuckDB's function of that name."""
    found = []
    for line in text.strip().splitlines():
        if line := line.strip():
            signature, _, build = line.partition(" = ")
            found.append(overload(signature.strip(), build.strip() or signature.partition("(")[0], kind))
    return found


def built(entries: Mapping[str, Build], kind: str = "scalar") -> list[Overload]:
    """Read overloads from signatures with their builders."""
    return [overload(signature, build, kind) for signature, build in entries.items()]


# -- unification -----------------------------------------------------------------------------------------------------


def _is_letter(pattern: Type) -> bool:
    return len(pattern.name) == 1 and pattern.name.isupper()


def unify(pattern: Type, actual: Type, bindings: Bindings, loose: bool) -> bool:
    """Return True if an argument of type `actual` fits a pattern, and bind the pattern's letters.

    :param loose: whether implicit conversions are allowed
    """
    if _is_letter(pattern):
        allowed = _LETTERS.get(pattern.name)
        if allowed and actual.name not in allowed and actual != UNKNOWN:
            return False
        bound = bindings.get(pattern.name)
        if bound is None or bound == actual:
            bindings[pattern.name] = actual
            return True
        common = common_type(bound, actual) if loose else None
        bindings[pattern.name] = common or bound
        return common is not None
    if actual == UNKNOWN:
        return loose
    if pattern.name == actual.name:
        return _unify_arguments(pattern, actual, bindings, loose)
    return loose and _unify_coerced(pattern, actual, bindings)


def _unify_arguments(pattern: Type, actual: Type, bindings: Bindings, loose: bool) -> bool:
    if any(isinstance(each, Type) for each in pattern.args):
        if len(pattern.args) != len(actual.args):
            return False
        return all(unify(p, a, bindings, loose) for p, a in zip(pattern.args, actual.args, strict=True))  # type: ignore[arg-type]
    for i, each in enumerate(pattern.args):
        if isinstance(each, str):
            bindings.setdefault(each, actual.args[i] if i < len(actual.args) else None)
    return True


def _unify_coerced(pattern: Type, actual: Type, bindings: Bindings) -> bool:
    if pattern.name == "decimal" and actual.name in INTEGERS:
        return _unify_arguments(pattern, as_decimal(actual), bindings, loose=True)
    if pattern.name == "char" and actual.name == "varchar":
        return _unify_arguments(pattern, Type("char", (actual.size or 65536,)), bindings, loose=True)
    if pattern.name in ("timestamp", "timestamp with time zone") and actual.name in ("date", "timestamp"):
        if pattern.name == actual.name:
            return True
        precision = actual.size if actual.name == "timestamp" else 0
        return _unify_arguments(pattern, Type(pattern.name, (precision or 0,)), bindings, loose=True)
    return not pattern.args and coerces(actual, pattern)


def substitute(pattern: Type, bindings: Bindings) -> Type:
    """Return the type of a pattern whose letters are bound."""
    if _is_letter(pattern):
        bound = bindings.get(pattern.name, UNKNOWN)
        assert isinstance(bound, Type)
        return bound
    args = tuple(
        substitute(each, bindings) if isinstance(each, Type) else bindings.get(each) if isinstance(each, str) else each
        for each in pattern.args
    )
    if None in args:
        return Type(pattern.name) if pattern.name == "varchar" else Type(pattern.name, (3,))
    return Type(pattern.name, args, pattern.fields)  # type: ignore[arg-type]


# -- choosing --------------------------------------------------------------------------------------------------------


@dataclass
class ChosenOverload:
    """An overload that fits, the types of its parameters, and the types bound to its letters."""

    overload: Overload
    types: list[Type | None]  # None: a lambda
    bindings: Bindings


def choose(overloads: Iterable[Overload], args: Sequence[Typed | Lambda]) -> ChosenOverload | None:
    """Return the overload that Trino calls: an exact one, or else the most specific one by implicit conversions."""
    candidates = list(overloads)
    for each in candidates:
        if fitting := _fit(each, args, loose=False):
            return fitting
    found = [fitting for each in candidates if (fitting := _fit(each, args, loose=True))]
    for one in found:
        if all(_as_specific(one, other) for other in found):
            return one
    return found[0] if found else None


def _as_specific(one: ChosenOverload, other: ChosenOverload) -> bool:
    return all(a is None or b is None or coerces(a, b) for a, b in zip(one.types, other.types, strict=True))


def _fit(candidate: Overload, args: Sequence[Typed | Lambda], loose: bool) -> ChosenOverload | None:
    patterns = candidate.parameters_for(len(args))
    if patterns is None:
        return None
    bindings: Bindings = {}
    for pattern, arg in zip(patterns, args, strict=True):
        if (pattern.name == "function") == isinstance(arg, Typed):
            return None
        if isinstance(arg, Typed):
            if not unify(pattern, arg.type, bindings, loose):
                return None
        elif arg.arity != len(pattern.args) - 1:
            return None
    for pattern, arg in zip(patterns, args, strict=True):
        if not isinstance(arg, Typed):
            returned = arg.typed([substitute(each, bindings) for each in pattern.args[:-1]])
            if not unify(pattern.args[-1], returned, bindings, loose):
                return None
    types = [substitute(p, bindings) if isinstance(a, Typed) else None for p, a in zip(patterns, args, strict=True)]
    if any(
        type == VARCHAR and isinstance(a, Typed) and a.type.name == "char" for type, a in zip(types, args, strict=True)
    ):
        return None
    return ChosenOverload(candidate, types, bindings)
