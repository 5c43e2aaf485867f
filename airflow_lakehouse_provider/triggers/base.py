"""The base of the triggers: connection arguments, version, the shared poller, and the one event that ends a wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Hashable
from typing import Any

from airflow_lakehouse_provider._airflow.compat import BaseTrigger, TriggerEvent
from airflow_lakehouse_provider._airflow.connection import AwsConnection, in_thread
from airflow_lakehouse_provider.aws.errors import AwsFailure
from airflow_lakehouse_provider.aws.polling import BETTER, SharedPoller, Source, Trouble
from airflow_lakehouse_provider.triggers import events
from airflow_lakehouse_provider.triggers.events import VERSION, Event, Wait, WaitFailed

# Seconds in which a trigger sends no event. An event that comes before the scheduler has seen the end of the deferred
# worker's process fails the task: Airflow takes that end for the resumed task's. A busy scheduler was seen to take five
# seconds.
HOLD = 10.0


class WaitTrigger(BaseTrigger):
    """A trigger that polls AWS and sends one event: the end of the wait, the deadline, or why it cannot go on.

    Subclasses add arguments of their own, and implement ``own_arguments``, ``waiting`` and ``watch``. Arguments that
    another version of the provider stored make an UnreadableTrigger instead.

    :param version: of the arguments; operators give VERSION
    :param poll_interval: seconds between polls
    :param deadline: epoch seconds; None for no deadline
    :param aws_conn_id: this and the rest as in AwsConnection
    """

    def __new__(cls, **arguments: Any) -> Any:
        # Not an exception: Airflow 2.10's triggerer ends with any but a TypeError, and takes all its triggers along.
        # Without arguments it is a copy that is being made.
        if arguments and (problem := events.version_problem(arguments, "The trigger of this deferred task")):
            return UnreadableTrigger(_path(cls), arguments, problem)
        return super().__new__(cls)

    def __init__(
        self,
        *,
        version: int,
        poll_interval: float = 30,
        deadline: float | None = None,
        aws_conn_id: str | None = None,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.version = version
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.connection = AwsConnection(aws_conn_id, region_name, verify, botocore_config)

    def own_arguments(self) -> dict[str, Any]:
        """Return the arguments that the subclass adds, in plain JSON types."""
        raise NotImplementedError

    def waiting(self) -> Wait:
        """Return what the trigger waits for, as its event carries it."""
        raise NotImplementedError

    async def watch(self) -> Event:
        """Poll until the wait ends.

        :raises AwsFailure: AWS refuses a call
        """
        raise NotImplementedError

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return _path(type(self)), {
            "version": self.version,
            **self.own_arguments(),
            "poll_interval": self.poll_interval,
            "deadline": self.deadline,
            **self.connection.as_dict(),
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        yield TriggerEvent(events.as_dict(await self._event()))  # type: ignore[no-untyped-call]

    async def _event(self) -> Event:
        # An exception that leaves a trigger is seen in the triggerer's log only, not by the task.
        try:
            return await self.watch()
        except AwsFailure as error:
            return WaitFailed(self.waiting(), str(error))
        except Exception as error:
            self.log.exception("The wait failed")
            return WaitFailed(self.waiting(), f"The wait failed: {type(error).__name__}: {error}")

    def poller(self, resource: Hashable, source: Callable[[], Source[Any, Any]]) -> SharedPoller[Any, Any]:
        """Return the poller of this event loop for the connection and a resource.

        :param source: makes the poller's source where there is no poller yet
        """
        connection = self.connection
        return SharedPoller.shared(
            (connection.identity, resource),
            lambda: SharedPoller(lambda: connection.client_from_loop("glue"), source(), in_thread),
        )

    async def answers(
        self, poller: SharedPoller[Any, Any], question: Callable[[Any], Hashable], longest: float | None = None
    ) -> AsyncGenerator[Any, None]:
        """Yield each new answer to a question until the deadline; log each trouble once.

        :param question: makes the question, given the poller's source
        :param longest: see SharedPoller.waiting
        """
        troubled = False
        async with poller.waiting(question(poller.source), self.poll_interval, HOLD, longest) as waiter:
            while (answer := await waiter.next_answer(self.deadline)) is not None:
                if isinstance(answer, Trouble):
                    troubled = True
                    self.log.info("%s", answer)
                    continue
                if troubled:
                    troubled = False
                    self.log.info(BETTER)
                yield answer


class UnreadableTrigger(BaseTrigger):
    """A trigger whose arguments another version of the provider stored; sends one event that says so.

    :param path: the import path of the trigger that was stored
    :param arguments: as they were stored
    :param problem: why they cannot be read, and what to do
    """

    def __init__(self, path: str, arguments: dict[str, Any], problem: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._path = path
        self._arguments = arguments
        self._problem = problem

    def serialize(self) -> tuple[str, dict[str, Any]]:
        # Unchanged, so that a triggerer of the right version can read them.
        return self._path, self._arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        await asyncio.sleep(HOLD)
        yield TriggerEvent(events.as_dict(WaitFailed(None, self._problem)))  # type: ignore[no-untyped-call]


def arguments(connection: AwsConnection, poll_interval: float, deadline: float | None) -> dict[str, Any]:
    """Return the arguments that all triggers have in common, for an operator that defers."""
    return {"version": VERSION, "poll_interval": poll_interval, "deadline": deadline, **connection.as_dict()}


def _path(trigger: type) -> str:
    return f"{trigger.__module__}.{trigger.__qualname__}"
