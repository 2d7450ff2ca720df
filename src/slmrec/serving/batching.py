"""Requests as they arrive, computed together by one thread.

While the thread computes, requests wait; when it is free it takes all that wait, up to a batch. Under load batches
grow by themselves, and a lone request waits for nobody longer than `wait` seconds.
"""

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from slmrec.serving.problems import busy, stopping

Job = TypeVar("Job")


class Batcher(Generic[Job]):
    """A queue and its thread.

    Args:
        name: of the thread.
        work: answers jobs, in their order; an answer that is an exception is raised where its job was given in.
        most: jobs of a batch.
        wait: seconds that the first job of a batch waits for others.
        queue: jobs that may be there at once, waiting or computed: what bounds how long one takes.
        told: called with the size of each batch.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Sequence[Job]], Sequence[Any]],
        *,
        most: int,
        wait: float,
        queue: int,
        told: Callable[[int], None] = lambda size: None,
    ) -> None:
        self.work, self.most, self.wait, self.queue, self.told = work, most, wait, queue, told
        self._waiting: deque[tuple[Job, asyncio.Future[Any]]] = deque()
        self._there = threading.Condition()
        self._computed = 0
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._waiting) + self._computed

    @property
    def full(self) -> bool:
        """Whether another job would be refused."""
        return len(self) >= self.queue

    def submit(self, job: Job, *, urgent: bool = False) -> "asyncio.Future[Any]":
        """Give a job in; the future is the running loop's.

        Args:
            job: what `work` takes.
            urgent: take it even when the queue is full: what keeps the server whole may not be refused.

        Raises:
            Problem: the queue is full, or the thread has been stopped.
        """
        if self._stopped:
            raise stopping()
        if self.full and not urgent:
            raise busy()
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        with self._there:
            self._waiting.append((job, future))
            self._there.notify()
        return future

    def stop(self) -> None:
        """Finish what waits, then end the thread."""
        with self._there:
            self._stopped = True
            self._there.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            self._computed = len(batch)
            self.told(len(batch))
            try:
                answers = self.work([job for job, _ in batch])
            except Exception as error:
                answers = [error] * len(batch)
            self._computed = 0
            by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
            for (_, future), answer in zip(batch, answers, strict=True):
                by_loop.setdefault(future.get_loop(), []).append((future, answer))
            for loop, settled in by_loop.items():
                with contextlib.suppress(RuntimeError):  # a loop that has ended: nobody waits there any more
                    loop.call_soon_threadsafe(_settle, settled)

    def _next(self) -> list[tuple[Job, "asyncio.Future[Any]"]]:
        """The next batch; none once stopped. Jobs that nobody waits for any more are left out."""
        with self._there:
            while True:
                while not self._waiting and not self._stopped:
                    self._there.wait()
                if self._waiting and len(self._waiting) < self.most and self.wait and not self._stopped:
                    until = time.perf_counter() + self.wait
                    while len(self._waiting) < self.most and (left := until - time.perf_counter()) > 0:
                        self._there.wait(left)
                batch: list[tuple[Job, asyncio.Future[Any]]] = []
                while self._waiting and len(batch) < self.most:
                    job, future = self._waiting.popleft()
                    if not future.cancelled():
                        batch.append((job, future))
                if batch or (self._stopped and not self._waiting):
                    return batch


def _settle(settled: Sequence[tuple["asyncio.Future[Any]", Any]]) -> None:
    for future, answer in settled:
        if future.done():
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
