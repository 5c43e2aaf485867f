"""Polling AWS: a shared poller for all waits on the same resource in a triggerer, and a single wait in a worker.

Transient errors do not end a wait; under throttling it polls more slowly. Each change is logged once.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakKeyDictionary

from airflow_lakehouse_provider.aws.errors import EXPIRED, THROTTLING, code, is_transient

Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")
T = TypeVar("T")

_LONGEST_PAUSE = 300.0
# Near an expected end a poller polls so many times as often, as long as it makes no more calls a second than this.
_CALLS_A_SECOND = 1.0
_FASTER = 4


class Pace:
    """The pauses between polls: with jitter, so that waits that began together drift apart; longer after errors."""

    def __init__(self) -> None:
        self._errors = 0

    def succeeded(self) -> None:
        """Count no errors any more."""
        self._errors = 0

    def failed(self, error: BaseException) -> None:
        """Count a failed poll; throttling counts twice."""
        self._errors += 2 if code(error) in THROTTLING else 1

    def stretched(self, interval: float) -> float:
        """Return the interval, longer with every error in a row."""
        # The end of an outage is to be noticed soon: the first error does not make the pause longer.
        return min(max(interval, _LONGEST_PAUSE), interval * 2 ** (max(0, self._errors - 1) / 2))

    def pause(self, interval: float) -> float:
        """Return the seconds to the next poll."""
        return self.stretched(interval) * jitter()


def jitter() -> float:
    """Return a random factor near 1."""
    return random.uniform(0.9, 1.1)  # noqa: S311 - no secret


class Poll(Generic[T]):
    """The poll of one task that waits in its worker.

    :param call: calls AWS
    :param message: the log line of an answer, logged when it changes
    :param log: writes a log line
    """

    def __init__(self, call: Callable[[], T], message: Callable[[T], str], log: Callable[[str], object]) -> None:
        self._call = call
        self._message = message
        self._log = log
        self._last = ""
        self._trouble = ""
        self._pace = Pace()

    def __call__(self) -> T | None:
        """Return AWS's answer; None after a transient error.

        :raises Exception: any other error
        """
        try:
            found = self._call()
        except Exception as error:
            if not is_transient(error):
                raise
            self._pace.failed(error)
            if code(error) != self._trouble:
                self._trouble = code(error)
                self._log(str(Trouble(error)))
            return None
        self._pace.succeeded()
        if self._trouble:
            self._trouble = ""
            self._log(BETTER)
        message = self._message(found)
        if message != self._last:
            self._last = message
            self._log(message)
        return found

    def pause(self, interval: float) -> float:
        """Return the seconds to the next poll."""
        return self._pace.pause(interval)


BETTER = "AWS answers again."


@dataclass(frozen=True)
class Trouble:
    """A transient error of AWS: the wait goes on."""

    error: Exception

    def __str__(self) -> str:
        return f"AWS does not answer, the wait goes on: {self.error}"


@dataclass
class Answers(Generic[Q, A]):
    """The answers of one round.

    :ivar found: answers by question; a question without one could not be answered this time
    :ivar failed: errors by question, which end its wait
    :ivar calls: the number of AWS calls
    :ivar soon: something is about to end, if it takes as long as usual
    """

    found: dict[Q, A] = field(default_factory=dict)
    failed: dict[Q, Exception] = field(default_factory=dict)
    calls: int = 1
    soon: bool = False


class Source(Protocol[Q, A]):
    """A source of answers: asks AWS all questions of a poller at once."""

    def look(self, client: Any, questions: Collection[Q]) -> Answers[Q, A]:
        """Return the answers of one round.

        :raises Exception: no question could be answered
        """
        ...

    def mark(self, answer: A) -> str:
        """Return a text that changes whenever an answer is new."""
        ...


class _Waiter(Generic[Q, A]):
    """A wait at a poller: the last answer that it got, and the next."""

    def __init__(self, question: Q, interval: float, not_before: float, longest: float | None) -> None:
        self.question = question
        self.interval = interval
        self.not_before = not_before
        self._longest = longest
        self._mark = ""
        self._arrived: asyncio.Future[None] | None = None
        self._pending: A | Trouble | Exception | None = None

    def back_off(self) -> None:
        """Double the interval after a round, where the wait backs off."""
        if self._longest is not None:
            self.interval = min(max(self._longest, self.interval), self.interval * 2)

    def put(self, mark: str, answer: A | Trouble | Exception) -> None:
        """Have ``next_answer`` return an answer, or raise it; ignore one with the mark of the last."""
        if mark == self._mark and not isinstance(answer, Exception):
            return
        self._mark = mark
        self._pending = answer
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    async def next_answer(self, deadline: float | None) -> A | Trouble | None:
        """Return the next new answer; None at the deadline.

        :param deadline: epoch seconds
        :raises Exception: an error ended the wait
        """
        if self._pending is None:
            self._arrived = asyncio.get_running_loop().create_future()
            timeout = None if deadline is None else max(0.0, deadline - time.time())
            await asyncio.wait((self._arrived,), timeout=timeout)
            self._arrived = None
        answer, self._pending = self._pending, None
        if isinstance(answer, Exception):
            raise answer
        return answer


# By event loop and key; the pollers of a loop that is gone go with it.
_POLLERS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, SharedPoller[Any, Any]]] = WeakKeyDictionary()


class SharedPoller(Generic[Q, A]):
    """A poller for all waits on one connection, region and resource; it ends with the last of them.

    :param connect: returns a boto3 client; called again when credentials have expired
    :param source: asks AWS
    :param in_thread: runs a blocking call without blocking the loop
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        source: Source[Q, A],
        in_thread: Callable[[Callable[[], Any]], Awaitable[Any]],
    ) -> None:
        self._connect = connect
        self.source = source
        self._in_thread = in_thread
        self._waiters: set[_Waiter[Q, A]] = set()
        self._more = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._pace = Pace()
        self._client: Any = None

    @classmethod
    def shared(cls, key: Hashable, make: Callable[[], SharedPoller[Q, A]]) -> SharedPoller[Q, A]:
        """Return this event loop's poller for the key; make it if there is none."""
        pollers = _POLLERS.setdefault(asyncio.get_running_loop(), {})
        poller: SharedPoller[Q, A] | None = pollers.get(key)
        if poller is None:
            # Pollers without waits go.
            for idle in [key for key, other in pollers.items() if not other._waiters]:
                del pollers[idle]
            poller = pollers[key] = make()
        return poller

    @asynccontextmanager
    async def waiting(
        self, question: Q, interval: float, hold: float = 0.0, longest: float | None = None
    ) -> AsyncIterator[_Waiter[Q, A]]:
        """Join the poller's waits.

        :param interval: seconds between polls; the shortest of all waits counts
        :param hold: seconds in which no answer is given
        :param longest: the interval doubles with every poll up to so many seconds; None keeps it as it is
        """
        loop = asyncio.get_running_loop()
        waiter: _Waiter[Q, A] = _Waiter(question, interval, loop.time() + hold, longest)
        self._waiters.add(waiter)
        self._more.set()
        if self._task is None or self._task.done():
            # A context of its own: else its log lines would name the first waiter's task for ever.
            self._task = contextvars.Context().run(loop.create_task, self._rounds())
        try:
            yield waiter
        finally:
            self._waiters.discard(waiter)
            # The rounds end by themselves when no wait is left. To cancel them during a look-up of Airflow's would
            # leave its thread, the only one of its kind, waiting for an answer that never comes.
            self._more.set()

    async def client(self) -> Any:
        """Return the poller's client, for a call of a wait's own."""
        if self._client is None:
            self._client = await self._connect()
        return self._client

    async def _rounds(self) -> None:
        try:
            await self._poll()
        except Exception as error:  # nothing awaits this task; the waits must not go on for ever
            self._put_all("", error)

    async def _poll(self) -> None:
        loop = asyncio.get_running_loop()
        last, faster = loop.time(), 1
        while self._waiters:
            await self._until(last, faster)
            if not self._waiters:
                return
            last = loop.time()
            try:
                client = await self.client()
                questions = {waiter.question for waiter in self._waiters}
                answers: Answers[Q, A] = await self._in_thread(partial(self.source.look, client, questions))
            except Exception as error:
                if not is_transient(error):
                    raise
                if code(error) in EXPIRED:
                    self._client = None  # so that renewed credentials of the connection are used
                self._pace.failed(error)
                self._put_all(f"trouble {code(error)}", Trouble(error))
                continue
            self._pace.succeeded()
            shortest = min((waiter.interval for waiter in self._waiters), default=1.0)
            faster = _FASTER if answers.soon and answers.calls * _FASTER <= _CALLS_A_SECOND * shortest else 1
            self._put(answers, loop.time())

    async def _until(self, last: float, faster: int) -> None:
        """Sleep until the next round, which a new waiter may bring forward."""
        factor = jitter() / faster
        while self._waiters:
            self._more.clear()
            interval = min((waiter.interval for waiter in self._waiters), default=0.0)
            left = last + self._pace.stretched(interval) * factor - asyncio.get_running_loop().time()
            if left <= 0:
                return
            try:
                await asyncio.wait_for(self._more.wait(), left)
            except asyncio.TimeoutError:
                return

    def _put(self, answers: Answers[Q, A], now: float) -> None:
        for waiter in self._waiters:
            waiter.back_off()
            if now < waiter.not_before:
                continue
            if waiter.question in answers.failed:
                waiter.put("", answers.failed[waiter.question])
            elif waiter.question in answers.found:
                answer = answers.found[waiter.question]
                waiter.put(self.source.mark(answer), answer)

    def _put_all(self, mark: str, answer: Trouble | Exception) -> None:
        for waiter in self._waiters:
            waiter.put(mark, answer)
