"""The shared poller: one round of looks for all who wait, whatever happens to one of them."""

from __future__ import annotations

import asyncio
import contextvars
import time

import pytest

from airflow_lakehouse_provider.aws.polling import Answers, Pace, SharedPoller, Trouble


class Numbers:
    """A source that answers each question with how often it was asked; errors as scripted."""

    def __init__(self, *errors):
        self.errors = list(errors)
        self.rounds = []
        self.failed = {}

    def look(self, client, questions):
        self.rounds.append(set(questions))
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error
        found = {question: len(self.rounds) for question in questions if question not in self.failed}
        return Answers(found=found, failed=self.failed)

    def mark(self, answer):
        return "few" if answer < 3 else "many"


async def in_thread(call):
    return await asyncio.get_running_loop().run_in_executor(None, call)


def poller(source, key="k", connects=None):
    async def connect():
        if connects is not None:
            connects.append(1)
        return "client"

    return SharedPoller.shared(key, lambda: SharedPoller(connect, source, in_thread))


async def until(shared, wanted, question="q", interval=0.01, deadline=None):
    """Wait for an answer that satisfies; return all answers on the way."""
    seen = []
    async with shared.waiting(question, interval) as waiter:
        while (answer := await waiter.next_answer(deadline)) is not None:
            seen.append(answer)
            if wanted(answer):
                break
    return seen


def is_many(answer):
    return not isinstance(answer, Trouble) and answer >= 3


def test_all_who_wait_share_the_rounds():
    source = Numbers()

    async def everybody():
        return await asyncio.gather(*(until(poller(source), is_many, f"q{n % 50}") for n in range(200)))

    seen = asyncio.run(everybody())
    assert {tuple(each) for each in seen} == {(1, 3)}, "an answer with the mark of the last is no answer"
    assert len(source.rounds) == 3
    assert len(source.rounds[0]) == 50


def test_one_who_is_cancelled_ends_nobody_elses_wait():
    source = Numbers()

    async def some():
        first = asyncio.create_task(until(poller(source), is_many))
        second = asyncio.create_task(until(poller(source), is_many))
        await asyncio.sleep(0.015)
        first.cancel()
        return await second

    assert asyncio.run(some())[-1] == 3


def test_the_rounds_end_with_the_last_and_begin_again_with_the_next():
    source = Numbers()

    async def twice():
        shared = poller(source)
        await until(shared, is_many)
        # In the very turn of the loop in which the last one left.
        await asyncio.wait_for(until(shared, is_many), 5)
        await asyncio.wait_for(shared._task, 5)  # nobody is left, so the rounds end by themselves

    asyncio.run(twice())


def test_two_loops_have_their_own_rounds():
    for _ in range(2):
        source = Numbers()
        assert asyncio.run(until_in_loop(source))[-1] == 3


async def until_in_loop(source):
    return await until(poller(source), is_many)


def test_what_passes_is_told_once_and_survived(error):
    source = Numbers(error("ThrottlingException"), ConnectionResetError("gone"), ConnectionResetError("gone"))
    seen = asyncio.run(until_in_loop(source))
    told = [str(answer) for answer in seen if isinstance(answer, Trouble)]
    assert len(told) == 2
    assert "ThrottlingException" in told[0]
    assert "gone" in told[1]


def test_expired_credentials_are_asked_for_again(error):
    connects = []

    async def wait():
        return await until(poller(Numbers(error("ExpiredTokenException")), connects=connects), is_many)

    asyncio.run(wait())
    assert len(connects) == 2


def test_what_does_not_pass_ends_every_wait(error):
    source = Numbers(None, error("AccessDeniedException"))

    async def everybody():
        waits = (until(poller(source), is_many, f"q{n}") for n in range(3))
        return await asyncio.gather(*waits, return_exceptions=True)

    assert ["AccessDenied" in str(end) for end in asyncio.run(everybody())] == [True] * 3


def test_what_fails_one_question_fails_that_one():
    source = Numbers()
    source.failed = {"bad": ValueError("no such run")}

    async def both():
        waits = (until(poller(source), is_many, question) for question in ("bad", "good"))
        return await asyncio.gather(*waits, return_exceptions=True)

    bad, good = asyncio.run(both())
    assert str(bad) == "no such run"
    assert good[-1] == 3


@pytest.mark.parametrize("left", [0.05, -1.0])
def test_the_deadline_ends_a_wait(left):
    async def wait():
        return await until(poller(Numbers()), lambda answer: False, deadline=time.time() + left)

    assert all(answer in (1, 3) for answer in asyncio.run(wait()))


def test_nothing_is_told_before_its_time():
    async def wait():
        loop = asyncio.get_running_loop()
        async with poller(Numbers()).waiting("q", 0.01, hold=0.1) as waiter:
            began = loop.time()
            await waiter.next_answer(None)
            return loop.time() - began

    assert asyncio.run(wait()) >= 0.1


def test_a_shorter_interval_moves_the_next_round():
    async def wait():
        source = Numbers()
        slow = asyncio.create_task(until(poller(source), is_many, "slow", interval=600))
        await asyncio.sleep(0)
        return await asyncio.wait_for(until(poller(source), is_many, "quick", interval=0.01), 5), slow.cancel()

    assert asyncio.run(wait())[0][-1] == 3


def test_a_wait_may_back_off():
    source = Numbers()

    async def wait():
        loop = asyncio.get_running_loop()
        async with poller(source).waiting("q", 0.01, longest=0.08) as waiter:
            began = loop.time()
            while len(source.rounds) < 5:
                await asyncio.sleep(0.005)
            return loop.time() - began, waiter.interval

    lasted, interval = asyncio.run(wait())
    assert lasted >= 0.9 * (0.01 + 0.02 + 0.04 + 0.08 + 0.08)
    assert interval == 0.08


def test_the_rounds_carry_nobodys_context():
    whose = contextvars.ContextVar("whose", default="nobody")
    seen = []

    class Source(Numbers):
        def mark(self, answer):  # in the loop, as log lines are
            seen.append(whose.get())
            return super().mark(answer)

    async def wait():
        whose.set("the first task's")
        await until(poller(Source()), is_many)

    asyncio.run(wait())
    assert set(seen) == {"nobody"}


def test_trouble_stretches_the_pause_and_throttling_more(error):
    def pause(*troubles):
        pace = Pace()
        for trouble in troubles:
            pace.failed(trouble)
        return pace.stretched(30)

    gone, throttled = ConnectionResetError(), error("ThrottlingException")
    assert pause() == pause(gone) == 30
    assert 30 < pause(gone, gone) < pause(throttled, throttled) < pause(*[throttled] * 20) == 300
    pace = Pace()
    pace.failed(throttled)
    pace.succeeded()
    assert 27 <= pace.pause(30) <= 33
