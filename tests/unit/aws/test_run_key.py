"""The run key: what it tells apart, and its text."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_lakehouse_provider.aws.run_key import RunKey

KEYS = st.builds(RunKey, st.text(), st.text(), st.text(), st.text(), st.integers(), st.integers())


@given(KEYS)
def test_its_text_says_all_of_it_and_is_plain(key):
    text = str(key)
    assert RunKey.parse(text) == key
    assert set(text) <= set(string.ascii_letters + string.digits + "/%-_.~")


@pytest.mark.parametrize("text", [None, "", "v1", "v0/d/t/r/s/-1/2", "v1/d/t/r/s/one/2", "v1/d/t/r/s/-1/2/3", "hello"])
def test_any_other_text_is_no_key(text):
    assert RunKey.parse(text) is None


@given(KEYS, KEYS)
def test_of_two_keys_one_follows_the_other_at_most(one, other):
    assert not (one.follows(other) and other.follows(one))
    assert not one.follows(one)
