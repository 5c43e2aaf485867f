"""What the triggers have in common: their place at a shared poller, its news, and the one event that ends a wait."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Hashable, Mapping
from typing import Any

from airflow_lakehouse_provider._airflow.compat import BaseTrigger, TriggerEvent
from airflow_lakehouse_provider._airflow.connection import AwsConnection, in_thread
from airflow_lakehouse_provider.aws.errors import AwsFailure
from airflow_lakehouse_provider.aws.polling import BETTER, SharedPoller, Source, Trouble

__all__ = ["in_thread", "news", "poller", "told"]

# Seconds in which a wait tells nothing. An event that comes before the scheduler has seen the deferred worker's end
# fails the task: Airflow takes that end for the resumed task's. A busy scheduler was seen to take five seconds.
HOLD = 10.0


def poller(
    connection: AwsConnection, resource: Hashable, make: Callable[[], Source[Any, Any]]
) -> SharedPoller[Any, Any]:
    """The poller of this event loop for a connection and resource."""
    return SharedPoller.shared(
        (connection.identity, resource),
        lambda: SharedPoller(lambda: connection.client_from_loop("glue"), make(), in_thread),
    )


async def news(
    poller: SharedPoller[Any, Any],
    ask: Callable[[Any], Hashable],
    interval: float,
    deadline: float | None,
    log: Any,
    longest: float | None = None,
) -> AsyncGenerator[Any, None]:
    """Each new answer to a question; ends at the deadline. Troubles are logged, once each.

    :param ask: the question, of the poller's source
    :param longest: see SharedPoller.waiting
    """
    troubled = False
    async with poller.waiting(ask(poller.source), interval, HOLD, longest) as waiter:
        while (answer := await waiter.news(deadline)) is not None:
            if isinstance(answer, Trouble):
                troubled = True
                log.info("%s", answer)
                continue
            if troubled:
                troubled = False
                log.info(BETTER)
            yield answer


async def told(
    trigger: BaseTrigger, what: str, about: Mapping[str, Any], wait: Callable[[], Awaitable[dict[str, Any]]]
) -> TriggerEvent:
    """The event of a wait. What goes wrong is one too: an error that leaves a trigger reaches nobody but its log."""
    try:
        event = await wait()
    except AwsFailure as error:
        event = {"status": "error", "message": str(error)}
    except Exception as error:
        trigger.log.exception("The wait for %s broke", what)
        event = {"status": "error", "message": f"The wait broke: {type(error).__name__}: {error}"}
    return TriggerEvent({**about, **event})  # type: ignore[no-untyped-call]
