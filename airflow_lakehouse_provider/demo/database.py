"""The demo's Airflow database: sqlite under its root, or an empty PostgreSQL database of the user's."""

from __future__ import annotations

import importlib.util
from urllib.parse import urlsplit

from airflow_lakehouse_provider.demo.errors import DemoError

_DRIVERS = ("psycopg2", "asyncpg")  # Airflow's processes use the first, its API server the second
_SCHEMES = ("postgresql", "postgres")


def checked(url: str) -> str:
    """Return the address of a PostgreSQL database in the form that Airflow needs.

    :param url: ``postgresql://user:password@host:port/name``
    :raises DemoError: if it is no such address, a driver is missing, no connection is possible, or tables exist
    """
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES or not parts.hostname or not parts.path.strip("/"):
        raise DemoError(f"--database must be postgresql://user:password@host:port/name, not {_shown(url)}")
    missing = [name for name in _DRIVERS if importlib.util.find_spec(name) is None]
    if missing:
        raise DemoError(
            f"--database needs {' and '.join(missing)} beside Airflow: "
            "pip install 'airflow-lakehouse-provider[postgres]'"
        )
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.exc import OperationalError

    address = parts._replace(scheme="postgresql+psycopg2").geturl()
    engine = create_engine(address)
    try:
        tables = inspect(engine).get_table_names()
    except OperationalError as error:
        raise DemoError(
            f"the database {_shown(url)} does not accept a connection: {str(error.orig).strip()}"
        ) from error
    finally:
        engine.dispose()
    if tables:
        raise DemoError(
            f"the database {_shown(url)} holds {len(tables)} tables already ({', '.join(sorted(tables)[:3])}...), and "
            "nothing is overwritten: create an empty database (createdb)"
        )
    return address


def _shown(url: str) -> str:
    """Return the address without its password."""
    parts = urlsplit(url)
    where = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{parts.username}@{where}" if parts.username else where).geturl()
