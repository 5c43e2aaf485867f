"""Arguments that a template may have turned into text."""

from typing import Any

import pytest

from airflow_lakehouse_provider.values import ArgumentError, parse_flag


@pytest.mark.parametrize(
    ("value", "flag"), [(True, True), (False, False), ("True", True), ("false", False), (" TRUE ", True)]
)
def test_a_flag_is_true_or_false_or_the_text_of_either(value: Any, flag: bool) -> None:
    assert parse_flag("resume", value) is flag


@pytest.mark.parametrize("value", [None, "", "yes", 1, 0, "1", []])
def test_nothing_else_is_a_flag(value: Any) -> None:
    with pytest.raises(ArgumentError, match=r"^resume must be true or false, not "):
        parse_flag("resume", value)


@pytest.mark.parametrize("value", [None, "", "None"])
def test_a_blank_flag_is_what_its_argument_allows(value: Any) -> None:
    assert parse_flag("full_refresh", value, blank=False) is False
