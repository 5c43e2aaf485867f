"""A policy's conditions: the operators, and their results for a key that the call does not have.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from lakehouse_local.iam.variables import UnknownVariable, Values, arn_like, like, substituted

# (the policy's value, the values of its variables or None, the call's value) -> the operator's result
Test = Callable[[str, "Values | None", str], bool]


@dataclass(frozen=True)
class Condition:
    """One operator on one key.

    :ivar key: in lower case
    :ivar quantifier: ``forallvalues``, ``foranyvalue`` or an empty text
    :ivar name: the operator in lower case, without quantifier and IfExists
    """

    quantifier: str
    name: str
    if_exists: bool
    key: str
    expected: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, key: str, expected: tuple[str, ...]) -> Condition:
        """Parse a condition.

        :param text: the operator, with quantifier and IfExists
        :raises ValueError: there is no such operator
        """
        quantifier, colon, name = text.lower().rpartition(":")
        if_exists = name.endswith("ifexists")
        name = name.removesuffix("ifexists")
        if (colon and quantifier not in ("forallvalues", "foranyvalue")) or (name != "null" and name not in _TESTS):
            raise ValueError(f"there is no condition operator {text!r}")
        return cls(quantifier, name, if_exists, key.lower(), expected)

    def holds(self, values: Values, variables: bool) -> bool:
        """Return True if it holds for a call.

        :param values: the call's condition keys
        :param variables: the policy's version has variables
        """
        given = values.get(self.key, ())
        if self.name == "null":
            return any((each.lower() == "true") == (not given) for each in self.expected)
        test, negated = _TESTS[self.name]
        if not given:
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_multi-value-conditions.html
            return self.if_exists or self.quantifier == "forallvalues" or (negated and not self.quantifier)
        matches = [self._matches(test, negated, each, values if variables else None) for each in given]
        if self.quantifier == "forallvalues" or (negated and not self.quantifier):
            return all(matches)
        return any(matches)

    def _matches(self, test: Test, negated: bool, given: str, values: Values | None) -> bool:
        return any(_tested(test, expected, values, given) for expected in self.expected) != negated


def _tested(test: Test, expected: str, values: Values | None, given: str) -> bool:
    try:
        return test(expected, values, given)
    except (UnknownVariable, ValueError):
        return False  # a variable has no value, or the text is no number, date or address


def _equal(expected: str, values: Values | None, given: str) -> bool:
    return substituted(expected, values) == given


def _equal_ignoring_case(expected: str, values: Values | None, given: str) -> bool:
    return substituted(expected, values).lower() == given.lower()


def _boolean(expected: str, values: Values | None, given: str) -> bool:
    return expected.lower() == given.lower()


def _within(expected: str, values: Values | None, given: str) -> bool:
    return ipaddress.ip_address(given) in ipaddress.ip_network(substituted(expected, values), strict=False)


def _number(compare: Callable[[float, float], bool]) -> Test:
    return lambda expected, values, given: compare(float(given), float(expected))


def _date(compare: Callable[[datetime, datetime], bool]) -> Test:
    return lambda expected, values, given: compare(_moment(given), _moment(expected))


def _moment(text: str) -> datetime:
    if text.replace(".", "", 1).isdigit():
        return datetime.fromtimestamp(float(text), timezone.utc)
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


# Operator -> its test, and True if the operator negates it.
_TESTS: dict[str, tuple[Test, bool]] = {
    "stringequals": (_equal, False),
    "stringnotequals": (_equal, True),
    "stringequalsignorecase": (_equal_ignoring_case, False),
    "stringnotequalsignorecase": (_equal_ignoring_case, True),
    "stringlike": (like, False),
    "stringnotlike": (like, True),
    "arnequals": (arn_like, False),  # "identical" to ArnLike
    "arnlike": (arn_like, False),
    "arnnotequals": (arn_like, True),
    "arnnotlike": (arn_like, True),
    "bool": (_boolean, False),
    "binaryequals": (_equal, False),
    "ipaddress": (_within, False),
    "notipaddress": (_within, True),
    **{
        f"{type_}{name}": (make(compare), negated)
        for type_, make in (("numeric", _number), ("date", _date))
        for name, compare, negated in (
            ("equals", operator.eq, False),
            ("notequals", operator.eq, True),
            ("lessthan", operator.lt, False),
            ("lessthanequals", operator.le, False),
            ("greaterthan", operator.gt, False),
            ("greaterthanequals", operator.ge, False),
        )
    },
}
