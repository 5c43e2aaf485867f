"""Events of assets that are known only when a task has run: assets on Airflow 3, datasets on 2.10."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_lakehouse_provider._airflow.compat import AIRFLOW_3


def alias(name: str) -> Any:
    """Return an outlet through which a task emits events of assets that are known only at its end."""
    if AIRFLOW_3:
        from airflow.sdk import AssetAlias

        return AssetAlias(name)
    from airflow.datasets import DatasetAlias

    return DatasetAlias(name)


def emit(context: Any, alias: Any, made: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    """Emit events of these assets, each with its extra, through an outlet of the task; none if it is run by hand.

    :param made: address and extra of each asset
    """
    events = context.get("outlet_events")
    if events is None:
        return
    for uri, extra in made:
        if AIRFLOW_3:
            from airflow.sdk import Asset

            events[alias].add(Asset(uri), extra=dict(extra))
        else:
            from airflow.datasets import Dataset

            events[alias].add(Dataset(uri), extra=dict(extra))
