"""What the routes work with: the served models, the store, and the three threads that work on them."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from slmrec.serving.batching import Batcher
from slmrec.serving.fleet import Fleet
from slmrec.serving.limits import Limits
from slmrec.serving.logs import log
from slmrec.serving.metrics import Metrics
from slmrec.serving.problems import unreachable
from slmrec.serving.recommending import Ask, recommend
from slmrec.serving.store import Event, Store, StoreError

EVENTS_QUEUE = 1024
"""Calls that wait for the store or are kept."""
REFRESH = 2.0
"""Seconds between looks at what other servers changed."""
Call = Callable[[], Any]
Post = tuple[str, list[Event]]
"""A user and events to be kept."""


class Service:
    """Models over a store: one thread computes, one keeps events, one changes the models.

    Args:
        fleet: the served models.
        store: events and changes of the catalogue; it is closed with the service.
        limits: what a request may cost.
        api_key: what has to come as `X-API-Key`; None: nothing.
    """

    def __init__(self, fleet: Fleet, store: Store, limits: Limits, api_key: str | None) -> None:
        self.fleet, self.store, self.api_key = fleet, store, api_key
        self.metrics = metrics = Metrics()
        self.worker: Batcher[Ask | Call] = Batcher(
            "slmrec-worker",
            self._compute,
            most=limits.batch,
            wait=limits.wait_ms / 1e3,
            queue=limits.queue,
            told=lambda size: metrics.batch("worker", size),
        )
        self.keeper: Batcher[Post | Call] = Batcher(
            "slmrec-store",
            lambda jobs: _keep(store, jobs),
            most=256,
            wait=0.0,
            queue=EVENTS_QUEUE,
            told=lambda size: metrics.batch("store", size),
        )
        self._changes = ThreadPoolExecutor(1, "slmrec-changes")
        metrics.watch("queue_length", "Requests that wait for the worker or are computed.", lambda: len(self.worker))
        metrics.watch("store_queue_length", "Calls that wait for the store or are kept.", lambda: len(self.keeper))
        metrics.watch(
            "user_state_bytes",
            "Memory of users' states.",
            lambda: sum(served.state_bytes for served in fleet.view.models.values()),
        )

    async def change(self, work: Callable[..., Any], *given: Any) -> Any:
        """Change the fleet, one change at a time.

        Raises:
            Problem: the store fails.
        """
        try:
            return await asyncio.get_running_loop().run_in_executor(self._changes, work, *given)
        except StoreError as error:
            raise unreachable(error) from error

    async def refresh(self) -> None:
        """Take up what other servers change, until cancelled."""
        while True:
            await asyncio.sleep(REFRESH)
            try:
                await self.change(self.fleet.refresh)
            except Exception as error:  # the store may be back, or the model be swapped, by the next time
                log("error", "refresh", error=type(error).__name__)

    async def close(self) -> None:
        """Finish what waits, end the threads, close the store."""
        await asyncio.to_thread(self.worker.stop)
        await asyncio.to_thread(self.keeper.stop)
        await asyncio.to_thread(self._changes.shutdown)
        self.store.close()

    def _compute(self, jobs: Sequence[Ask | Call]) -> list[Any]:
        asks = [job for job in jobs if isinstance(job, Ask)]
        answers = iter(recommend(asks, self.fleet.view, self.store))
        return [next(answers) if isinstance(job, Ask) else _attempt(job) for job in jobs]


def _attempt(job: Call) -> Any:
    try:
        return job()
    except Exception as error:
        return error


def _keep(store: Store, jobs: Sequence[Post | Call]) -> list[Any]:
    """Do the store's jobs in their order; events that arrived together share one write to the disk."""
    done: list[Any] = []
    posts: list[Post] = []

    def flush() -> None:
        if posts:
            try:
                done.extend(store.append(posts))
            except Exception as error:
                done.extend([error] * len(posts))
            posts.clear()

    for job in jobs:
        if isinstance(job, tuple):
            posts.append(job)
        else:
            flush()
            done.append(_attempt(job))
    flush()
    return done
