"""The queue and its thread."""

import asyncio
import threading

import pytest

from slmrec.serving.batching import Batcher
from slmrec.serving.problems import Problem


class Held:
    """Work that waits to be let go, and remembers its batches."""

    def __init__(self) -> None:
        self.go, self.began, self.batches = threading.Event(), threading.Event(), []

    def __call__(self, jobs):
        self.batches.append(list(jobs))
        self.began.set()
        assert self.go.wait(10)
        return [ValueError(job) if job == "bad" else f"{job}!" for job in jobs]


@pytest.fixture
def held():
    work = Held()
    batcher = Batcher("test", work, most=3, wait=0.0, queue=5)
    yield work, batcher
    work.go.set()
    batcher.stop()


def test_what_waits_is_computed_together_and_answers_go_to_their_own(held):
    work, batcher = held

    async def ask():
        first = batcher.submit("a")
        await asyncio.to_thread(work.began.wait)
        rest = [batcher.submit(job) for job in ("b", "bad", "c", "d")]
        work.go.set()
        return await asyncio.gather(first, *rest, return_exceptions=True)

    answers = asyncio.run(ask())
    assert work.batches == [["a"], ["b", "bad", "c"], ["d"]]
    assert [str(answer) for answer in answers] == ["a!", "b!", "bad", "c!", "d!"]
    assert isinstance(answers[2], ValueError)


def test_a_full_queue_refuses_at_once_but_not_what_is_urgent(held):
    work, batcher = held

    async def ask():
        waiting = [batcher.submit("a")]
        await asyncio.to_thread(work.began.wait)  # being computed, it still counts
        waiting += [batcher.submit(job) for job in "bcde"]
        assert batcher.full
        with pytest.raises(Problem) as refused:
            batcher.submit("f")
        assert (refused.value.status, refused.value.retry_after) == (429, 1)
        waiting.append(batcher.submit("g", urgent=True))
        work.go.set()
        return await asyncio.gather(*waiting)

    assert asyncio.run(ask()) == ["a!", "b!", "c!", "d!", "e!", "g!"]


def test_what_nobody_waits_for_any_more_is_not_computed(held):
    work, batcher = held

    async def ask():
        first = batcher.submit("a")
        await asyncio.to_thread(work.began.wait)
        gone, last = batcher.submit("gone"), batcher.submit("b")
        gone.cancel()
        work.go.set()
        return await asyncio.gather(first, last)

    assert asyncio.run(ask()) == ["a!", "b!"]
    assert work.batches == [["a"], ["b"]]


def test_a_stopped_queue_answers_what_it_holds_and_takes_no_more():
    work = Held()
    batcher = Batcher("test", work, most=1, wait=0.0, queue=5)

    async def ask():
        waiting = [batcher.submit(job) for job in "ab"]
        await asyncio.to_thread(work.began.wait)
        work.go.set()
        await asyncio.to_thread(batcher.stop)
        with pytest.raises(Problem) as refused:
            batcher.submit("c")
        assert refused.value.status == 503
        return await asyncio.gather(*waiting)

    assert asyncio.run(ask()) == ["a!", "b!"]


def test_a_fault_of_the_work_reaches_all_who_wait():
    def broken(jobs):
        raise KeyError("x")

    batcher = Batcher("test", broken, most=2, wait=0.001, queue=5)

    async def ask():
        return await asyncio.gather(batcher.submit(1), batcher.submit(2), return_exceptions=True)

    assert [type(answer) for answer in asyncio.run(ask())] == [KeyError, KeyError]
    batcher.stop()
