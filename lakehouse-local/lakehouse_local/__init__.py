"""AWS on one machine: an Athena that executes SQL, Glue jobs that run Spark, crawlers that infer schemas, S3 as files.

``LocalAws`` is imported when it is first used, so that importing the package imports neither moto nor DuckDB.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lakehouse_local.http.server import LocalAws as LocalAws

__version__ = "0.1.0"
__all__ = ["LocalAws"]


def __getattr__(name: str) -> Any:
    if name != "LocalAws":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from lakehouse_local.http.server import LocalAws

    return LocalAws


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
