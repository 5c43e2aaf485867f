"""Looking again and again at what AWS does: one poll for all who wait for the same, in a loop; alone, in a worker.

What passes by itself is survived, more slowly under throttling; each change is said once.
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

from airflow_lakehouse_provider.aws.errors import EXPIRED, THROTTLING, code, passes_by_itself

Q = TypeVar("Q", bound=Hashable)
A = TypeVar("A")
T = TypeVar("T")

_LONGEST_PAUSE = 300.0
# A poller may look more often near an expected end, as long as it makes no more calls a second than this.
_BUDGET = 1.0
_OFTEN = 4


class Pace:
    """The pauses between looks: jittered, so that those who began together do not go on together; longer in trouble."""

    def __init__(self) -> None:
        self._troubles = 0

    def well(self) -> None:
        self._troubles = 0

    def trouble(self, error: BaseException) -> None:
        """A look failed; throttling asks for patience, anything else for a little."""
        self._troubles += 2 if code(error) in THROTTLING else 1

    def stretched(self, interval: float) -> float:
        """The interval as the troubles in a row make it."""
        # An outage's end is to be noticed soon after it: only the second trouble makes a pause longer.
        return min(max(interval, _LONGEST_PAUSE), interval * 2 ** (max(0, self._troubles - 1) / 2))

    def pause(self, interval: float) -> float:
        """Seconds to the next look."""
        return self.stretched(interval) * jitter()


def jitter() -> float:
    return random.uniform(0.9, 1.1)  # noqa: S311 - no secret


class Look(Generic[T]):
    """One wait's looks at one thing, by a task that waits in its worker.

    :param look: asks AWS
    :param state: what of the answer is worth a log line when it changes
    :param say: writes a log line
    """

    def __init__(self, look: Callable[[], T], state: Callable[[T], str], say: Callable[[str], object]) -> None:
        self._look = look
        self._state = state
        self._say = say
        self._last = ""
        self._trouble = ""
        self._pace = Pace()

    def __call__(self) -> T | None:
        """AWS's answer, or None when it could not be had just now.

        :raises Exception: what does not pass by itself
        """
        try:
            found = self._look()
        except Exception as error:
            if not passes_by_itself(error):
                raise
            self._pace.trouble(error)
            if code(error) != self._trouble:
                self._trouble = code(error)
                self._say(str(Trouble(error)))
            return None
        self._pace.well()
        if self._trouble:
            self._trouble = ""
            self._say(BETTER)
        state = self._state(found)
        if state != self._last:
            self._last = state
            self._say(state)
        return found

    def pause(self, interval: float) -> float:
        """Seconds to the next look."""
        return self._pace.pause(interval)


BETTER = "AWS answers again."


@dataclass(frozen=True)
class Trouble:
    """AWS did not answer; what it was passes by itself, and the wait goes on."""

    error: Exception

    def __str__(self) -> str:
        return f"AWS does not answer just now, the wait goes on: {self.error}"


@dataclass
class Answers(Generic[Q, A]):
    """What a round of looks brought.

    :ivar found: by question; one that is missing could not be answered this time
    :ivar failed: questions whose wait is over, and why
    :ivar calls: how many calls it took
    :ivar soon: something that is waited for is about to end, if it takes as long as usual
    """

    found: dict[Q, A] = field(default_factory=dict)
    failed: dict[Q, Exception] = field(default_factory=dict)
    calls: int = 1
    soon: bool = False


class Source(Protocol[Q, A]):
    """How to ask AWS all questions of a poller at once, and what of an answer is news."""

    def look(self, client: Any, questions: Collection[Q]) -> Answers[Q, A]:
        """:raises Exception: no question could be answered"""
        ...

    def mark(self, answer: A) -> str:
        """Two answers with one mark are no news."""
        ...


class _Waiter(Generic[Q, A]):
    """One who waits: the last answer it was told, and the next."""

    def __init__(self, question: Q, interval: float, not_before: float, longest: float | None) -> None:
        self.question = question
        self.interval = interval
        self.not_before = not_before
        self._longest = longest
        self._told = ""
        self._news: asyncio.Future[None] | None = None
        self._pending: A | Trouble | Exception | None = None

    def looked(self) -> None:
        """A round has looked for it: where it backs off, it wants the next one after twice the time."""
        if self._longest is not None:
            self.interval = min(max(self._longest, self.interval), self.interval * 2)

    def tell(self, mark: str, news: A | Trouble | Exception) -> None:
        """To be given at the next ``news``; what has the mark of the last is not."""
        if mark == self._told and not isinstance(news, Exception):
            return
        self._told = mark
        self._pending = news
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def news(self, deadline: float | None) -> A | Trouble | None:
        """The next that is new; None at the deadline.

        :param deadline: epoch seconds
        :raises Exception: the wait is over without an answer
        """
        if self._pending is None:
            self._news = asyncio.get_running_loop().create_future()
            timeout = None if deadline is None else max(0.0, deadline - time.time())
            await asyncio.wait((self._news,), timeout=timeout)
            self._news = None
        news, self._pending = self._pending, None
        if isinstance(news, Exception):
            raise news
        return news


# By event loop and key; a loop that is gone takes its pollers along.
_POLLERS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, SharedPoller[Any, Any]]] = WeakKeyDictionary()


class SharedPoller(Generic[Q, A]):
    """Rounds of looks for all who wait on one connection, region and resource; it ends with the last of them.

    :param connect: gives a boto3 client; called again when credentials have expired
    :param source: what to ask it
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
        """The one of this event loop for the key; made where there is none in use."""
        pollers = _POLLERS.setdefault(asyncio.get_running_loop(), {})
        poller: SharedPoller[Q, A] | None = pollers.get(key)
        if poller is None:
            # Those that nobody waits on any more make room.
            for idle in [key for key, other in pollers.items() if not other._waiters]:
                del pollers[idle]
            poller = pollers[key] = make()
        return poller

    @asynccontextmanager
    async def waiting(
        self, question: Q, interval: float, hold: float = 0.0, longest: float | None = None
    ) -> AsyncIterator[_Waiter[Q, A]]:
        """Wait along with everybody else here.

        :param interval: seconds between looks; the shortest of all who wait counts
        :param hold: seconds in which nothing is told
        :param longest: up to so many seconds the interval doubles with every look; None keeps it as it is
        """
        loop = asyncio.get_running_loop()
        waiter: _Waiter[Q, A] = _Waiter(question, interval, loop.time() + hold, longest)
        self._waiters.add(waiter)
        self._more.set()
        if self._task is None or self._task.done():
            # A context of its own: else its log lines would carry the first waiter's task for ever.
            self._task = contextvars.Context().run(loop.create_task, self._rounds())
        try:
            yield waiter
        finally:
            self._waiters.discard(waiter)
            # The rounds see for themselves that nobody is left. To cancel them in the midst of a look-up of Airflow's
            # would leave its thread, the only one of its kind, waiting for an answer that nobody brings.
            self._more.set()

    async def client(self) -> Any:
        """The client of the rounds, for a call beside them."""
        if self._client is None:
            self._client = await self._connect()
        return self._client

    async def _rounds(self) -> None:
        try:
            await self._look_on()
        except Exception as error:  # nobody awaits this task; those who wait must not do so for ever
            self._tell_all("", error)

    async def _look_on(self) -> None:
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
                if not passes_by_itself(error):
                    raise
                if code(error) in EXPIRED:
                    self._client = None  # whoever renews the connection's credentials is heard
                self._pace.trouble(error)
                self._tell_all(f"trouble {code(error)}", Trouble(error))
                continue
            self._pace.well()
            shortest = min((waiter.interval for waiter in self._waiters), default=1.0)
            faster = _OFTEN if answers.soon and answers.calls * _OFTEN <= _BUDGET * shortest else 1
            self._tell(answers, loop.time())

    async def _until(self, last: float, faster: int) -> None:
        """Sleep to the next round, whose time a new waiter may move."""
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

    def _tell(self, answers: Answers[Q, A], now: float) -> None:
        for waiter in self._waiters:
            waiter.looked()
            if now < waiter.not_before:
                continue
            if waiter.question in answers.failed:
                waiter.tell("", answers.failed[waiter.question])
            elif waiter.question in answers.found:
                answer = answers.found[waiter.question]
                waiter.tell(self.source.mark(answer), answer)

    def _tell_all(self, mark: str, news: Trouble | Exception) -> None:
        for waiter in self._waiters:
            waiter.tell(mark, news)
