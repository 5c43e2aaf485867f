"""How a dbt task ends, wherever dbt ran: its links, events and result, or the exception that its verdict asks for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from airflow_lakehouse_provider._airflow.assets import emit
from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowFailException
from airflow_lakehouse_provider.dbt.verdict import FACT, SUCCESS, Verdict
from airflow_lakehouse_provider.links import dbt as dbt_links
from airflow_lakehouse_provider.links.console import store_addresses

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context

ARTIFACTS_KEY = "artifacts_uri"


def end(
    operator: Any, context: Context, verdict: Verdict, *, region: str, partition: str, alias: Any
) -> dict[str, Any]:
    """The task's result.

    :raises AirflowFailException: a retry would change nothing
    :raises AirflowException: it may
    """
    log: logging.Logger = operator.log
    addresses = dbt_links.addresses(verdict, region, partition)
    if "ti" in context and addresses:
        store_addresses(operator, context, addresses)
    if "ti" in context and verdict.result.get(ARTIFACTS_KEY):
        # A failed task returns nothing, and `dbt retry` in another one asks for it.
        context["ti"].xcom_push(key=ARTIFACTS_KEY, value=verdict.result[ARTIFACTS_KEY])
    if alias is not None:
        made = [
            (model["uri"], {"unique_id": model["unique_id"], "rows": model["rows"]})
            for model in verdict.models
            if model["unique_id"].startswith("model.")
        ]
        emit(context, alias, made)
        log.info("Told of %d models that were built.", len(made))
    if verdict.kind == SUCCESS:
        return verdict.result
    message = verdict.message
    if query := addresses.get(dbt_links.AthenaQueryLink.key):
        message += f"\nAthena query: {query}"
    if folder := verdict.result.get(ARTIFACTS_KEY):
        message += f"\nArtifacts: {folder}"
    raise (AirflowFailException if verdict.kind == FACT else AirflowException)(message)


def lineage(verdict: Verdict | None) -> Any:
    """What OpenLineage is told of a task: the tables that were built and those that were read; None without it."""
    if verdict is None:
        return None
    try:
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.event_v2 import Dataset  # type: ignore[import-not-found]
    except ImportError:
        return None
    made = {model["uri"] for model in verdict.models}
    read = {uri for model in verdict.models for uri in model["reads"]} - made
    return OperatorLineage(
        inputs=[Dataset(*_named(uri)) for uri in sorted(read)],
        outputs=[Dataset(*_named(uri)) for uri in sorted(made)],
    )


def _named(uri: str) -> tuple[str, str]:
    """A table's namespace and name: https://openlineage.io/docs/spec/naming/"""
    scheme, _, rest = uri.partition("://")
    host, _, name = rest.partition("/")
    return f"{scheme}://{host}", name.replace("/", ".")
