"""The end of a dbt task, wherever dbt ran: its links, events and result, or the exception of its verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_lakehouse_provider._airflow.assets import emit
from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowFailException, AirflowSkipException
from airflow_lakehouse_provider.dbt.artifacts import FAILED_DATA, FAILED_QUERY
from airflow_lakehouse_provider.dbt.gate.run import ATTEMPT_KEY, AUDIT_KEY, UNCHANGED_KEY
from airflow_lakehouse_provider.dbt.verdict import PERMANENT, SUCCESS, DbtVerdict
from airflow_lakehouse_provider.links import dbt as dbt_links
from airflow_lakehouse_provider.publishing.publish import is_accepted

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context

ARTIFACTS_KEY = "artifacts_uri"
# Members of a result that a failed task's XComs have as well: what comes after it needs them.
_PUSHED = (ARTIFACTS_KEY, ATTEMPT_KEY, AUDIT_KEY)


@dataclass(frozen=True)
class EndSettings:
    """The part of a task that its end needs.

    :param log: the task's logger
    :param store_links: stores the addresses of the task's links, by their keys
    :param alias: the outlet of model assets; None emits no events
    :param accept: tests that may fail this once
    """

    log: Any
    store_links: Callable[[dict[str, str]], None]
    alias: Any = None
    accept: tuple[str, ...] = ()


def end_task(
    settings: EndSettings, context: Context, verdict: DbtVerdict, *, region: str, partition: str
) -> dict[str, Any]:
    """Return the task's result.

    :raises AirflowFailException: a retry would change nothing
    :raises AirflowException: a retry may succeed
    :raises AirflowSkipException: the build was left out
    """
    addresses = dbt_links.addresses(verdict, region, partition)
    if "ti" in context and addresses:
        settings.store_links(addresses)
    for key in _PUSHED if "ti" in context else ():
        # A failed task returns nothing, and `dbt retry` in another task needs the address.
        if value := verdict.result.get(key):
            context["ti"].xcom_push(key=key, value=value)
    if settings.alias is not None:
        events = [
            (model["uri"], {"unique_id": model["unique_id"], "rows": model["rows"]})
            for model in verdict.models
            if model["unique_id"].startswith("model.")
        ]
        emit(context, settings.alias, events)
        settings.log.info("Emitted asset events of the %d models that were built.", len(events))
    if verdict.result.get(UNCHANGED_KEY):
        raise AirflowSkipException(verdict.message)
    if verdict.status == SUCCESS:
        return verdict.result
    if verdict.status == PERMANENT and _accepted(verdict, settings.accept):
        settings.log.warning("%s\nThese tests may fail this once: %s", verdict.message, ", ".join(settings.accept))
        return verdict.result
    message = verdict.message
    if query := addresses.get(dbt_links.AthenaQueryLink.key):
        message += f"\nAthena query: {query}"
    if folder := verdict.result.get(ARTIFACTS_KEY):
        message += f"\nArtifacts: {folder}"
    raise (AirflowFailException if verdict.status == PERMANENT else AirflowException)(message)


def _accepted(verdict: DbtVerdict, accept: tuple[str, ...]) -> bool:
    """Return True if tests failed, nothing else did, and each of them was accepted."""
    failed = [node for node in verdict.result.get("nodes") or () if node["status"] in FAILED_DATA | FAILED_QUERY]
    return bool(failed) and all(
        node["status"] in FAILED_DATA and is_accepted(node["unique_id"], accept) for node in failed
    )


def lineage(verdict: DbtVerdict | None) -> Any:
    """Return OpenLineage's tables of a task, those built and those read; None where its provider is not installed."""
    if verdict is None:
        return None
    try:
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.event_v2 import Dataset  # type: ignore[import-not-found]
    except ImportError:
        return None
    built = {model["uri"] for model in verdict.models}
    read = {uri for model in verdict.models for uri in model["reads"]} - built
    return OperatorLineage(
        inputs=[Dataset(*_dataset_name(uri)) for uri in sorted(read)],
        outputs=[Dataset(*_dataset_name(uri)) for uri in sorted(built)],
    )


def _dataset_name(uri: str) -> tuple[str, str]:
    """Return a table's namespace and name: https://openlineage.io/docs/spec/naming/"""
    scheme, _, rest = uri.partition("://")
    host, _, name = rest.partition("/")
    return f"{scheme}://{host}", name.replace("/", ".")
