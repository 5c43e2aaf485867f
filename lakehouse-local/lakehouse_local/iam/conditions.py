"""A policy's conditions: the operators, and what a key that the call does not have means to each.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

from lakehouse_local.iam.variables import Unknown, Values, arn_like, like, substituted

Test = Callable[[str, "Values | None", str], bool]  # the policy's value, the call's values for variables, the call's


@dataclass(frozen=True)
class Condition:
    """One operator on one key.

    :ivar key: in lower case
    :ivar quantifier: ``forallvalues``, ``foranyvalue`` or nothing
    :ivar name: the operator without quantifier and IfExists
    """

    quantifier: str
    name: str
    if_exists: bool
    key: str
    wanted: tuple[str, ...]

    @classmethod
    def of(cls, text: str, key: str, wanted: tuple[str, ...]) -> Condition:
        """:raises ValueError: there is no such operator"""
        quantifier, colon, name = text.lower().rpartition(":")
        if_exists = name.endswith("ifexists")
        name = name.removesuffix("ifexists")
        if (colon and quantifier not in ("forallvalues", "foranyvalue")) or (name != "null" and name not in _TESTS):
            raise ValueError(f"there is no condition operator {text!r}")
        return cls(quantifier, name, if_exists, key.lower(), wanted)

    def holds(self, values: Values, variables: bool) -> bool:
        """Whether it holds for a call with these values of condition keys."""
        given = values.get(self.key, ())
        if self.name == "null":
            return any((each.lower() == "true") == (not given) for each in self.wanted)
        test, negated = _TESTS[self.name]
        if not given:
            # https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_multi-value-conditions.html
            return self.if_exists or self.quantifier == "forallvalues" or (negated and not self.quantifier)
        fits = [self._fits(test, negated, each, values if variables else None) for each in given]
        if self.quantifier == "forallvalues" or (negated and not self.quantifier):
            return all(fits)
        return any(fits)

    def _fits(self, test: Test, negated: bool, given: str, values: Values | None) -> bool:
        return any(_tested(test, wanted, values, given) for wanted in self.wanted) != negated


def _tested(test: Test, wanted: str, values: Values | None, given: str) -> bool:
    try:
        return test(wanted, values, given)
    except (Unknown, ValueError):
        return False  # a variable without a value, or no number, date or address


def _equal(wanted: str, values: Values | None, given: str) -> bool:
    return substituted(wanted, values) == given


def _equal_ignoring_case(wanted: str, values: Values | None, given: str) -> bool:
    return substituted(wanted, values).lower() == given.lower()


def _boolean(wanted: str, values: Values | None, given: str) -> bool:
    return wanted.lower() == given.lower()


def _within(wanted: str, values: Values | None, given: str) -> bool:
    return ipaddress.ip_address(given) in ipaddress.ip_network(substituted(wanted, values), strict=False)


def _number(compare: Callable[[float, float], bool]) -> Test:
    return lambda wanted, values, given: compare(float(given), float(wanted))


def _date(compare: Callable[[datetime, datetime], bool]) -> Test:
    return lambda wanted, values, given: compare(_moment(given), _moment(wanted))


def _moment(text: str) -> datetime:
    if text.replace(".", "", 1).isdigit():
        return datetime.fromtimestamp(float(text), timezone.utc)
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


# Operator -> its test, and whether it is the test's opposite.
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
        f"{kind}{name}": (make(compare), negated)
        for kind, make in (("numeric", _number), ("date", _date))
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
