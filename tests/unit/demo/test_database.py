"""The database that a demo is given."""

from __future__ import annotations

import importlib.util

import pytest

from airflow_lakehouse_provider.demo.database import checked
from airflow_lakehouse_provider.demo.errors import DemoError


@pytest.mark.parametrize(
    "url", ["mysql://u@h/d", "postgresql://u@h", "postgresql:///d", "h:5432/d", "sqlite:////tmp/x.db"]
)
def test_an_address_that_is_not_postgresqls_is_refused(url):
    with pytest.raises(DemoError, match=r"--database must be postgresql://user:password@host:port/name"):
        checked(url)


def test_a_password_is_not_repeated():
    with pytest.raises(DemoError) as raised:
        checked("mysql://me:topsecret@h/d")
    assert "topsecret" not in str(raised.value)
    assert "mysql://me@h/d" in str(raised.value)


def test_without_drivers_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DemoError, match=r"psycopg2 and asyncpg .*airflow-lakehouse-provider\[postgres\]"):
        checked("postgresql://me@127.0.0.1:1/d")


def test_a_database_that_accepts_no_connection():
    pytest.importorskip("psycopg2")
    pytest.importorskip("asyncpg")
    with pytest.raises(DemoError, match=r"postgresql://me@127.0.0.1:1/d does not accept a connection"):
        checked("postgresql://me:pw@127.0.0.1:1/d")
