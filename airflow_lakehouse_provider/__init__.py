"""Monthly lakehouses on AWS from Airflow: Glue jobs, crawlers and dbt on Athena, each month once.

The operators are loaded at their first use, so that importing the package imports no Airflow.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_lakehouse_provider.config import Lakehouse as Lakehouse
    from airflow_lakehouse_provider.month import Month as Month
    from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator as DbtAthenaOperator
    from airflow_lakehouse_provider.operators.gated_dbt import gated_dbt as gated_dbt
    from airflow_lakehouse_provider.operators.glue import GlueMonthlyJobOperator as GlueMonthlyJobOperator
    from airflow_lakehouse_provider.operators.publish import PublishOperator as PublishOperator
    from airflow_lakehouse_provider.operators.publish import RollbackOperator as RollbackOperator
    from airflow_lakehouse_provider.operators.publish import SweepOperator as SweepOperator
    from airflow_lakehouse_provider.sensors.crawler import CrawlerCompletionSensor as CrawlerCompletionSensor

__version__ = "0.1.0"

_HOMES = {
    "CrawlerCompletionSensor": "sensors.crawler",
    "DbtAthenaOperator": "operators.dbt",
    "GlueMonthlyJobOperator": "operators.glue",
    "Lakehouse": "config",
    "Month": "month",
    "gated_dbt": "operators.gated_dbt",
    "PublishOperator": "operators.publish",
    "RollbackOperator": "operators.publish",
    "SweepOperator": "operators.publish",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
