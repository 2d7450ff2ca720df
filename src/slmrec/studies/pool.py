"""Jobs side by side in processes: each once what it needs is done, the head of the longest chain first.

A small model leaves most of an accelerator idle, and two trainings on one core each get more done than one on both.
"""

import heapq
import math
import multiprocessing
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from graphlib import TopologicalSorter
from multiprocessing.context import BaseContext
from multiprocessing.queues import SimpleQueue
from typing import Any, TypeVar

import torch

Job = TypeVar("Job")
Tell = Callable[[int, int], None]
"""How a job tells how far it is: (done, total)."""
EVERY = 1.0
"""Seconds between news of a job, and between looks at them."""

_work: Callable[..., None]
"""What a process of the pool does with a job."""
_news: "SimpleQueue[Any]"
"""Where it tells how far the job is."""


def side_by_side(
    jobs: Mapping[Job, Collection[Job]],
    seconds: Mapping[Job, float],
    processes: int,
    work: Callable[[Job, Tell], None],
    began: Callable[[Job], None],
    moved: Callable[[Job, float], None],
    ended: Callable[[Job], None],
) -> None:
    """Do jobs in several processes.

    Args:
        jobs: each with those that have to be done before it.
        seconds: what each takes, as far as can be told.
        processes: how many at once; they share the cores evenly.
        work: does a job, in another process: it and the jobs are pickled.
        began: told when a job begins, in this process.
        moved: told there how far it is, as a share of what it is doing; it may do several things in turn.
        ended: told there when it is done.

    Raises:
        Exception: the first that a job raises; what else is being done is stopped.
    """
    chains = longest_chains(jobs, seconds)
    order = TopologicalSorter(jobs)
    order.prepare()
    ready: list[tuple[float, int, Job]] = []
    running: dict[Future[None], Job] = {}
    number = 0
    context = _context()
    news = context.SimpleQueue()
    with ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(work, processes, news)) as pool:
        try:
            while order.is_active():
                for job in order.get_ready():
                    heapq.heappush(ready, (-chains[job], number, job))
                    number += 1
                while ready and len(running) < processes:  # no more: what gets ready later may be more urgent
                    job = heapq.heappop(ready)[2]
                    began(job)
                    running[pool.submit(_do, job)] = job
                finished = wait(running, EVERY, FIRST_COMPLETED).done
                while not news.empty():
                    moved(*news.get())
                for future in finished:
                    job = running.pop(future)
                    future.result()
                    ended(job)
                    order.done(job)
        except BaseException:
            for process in multiprocessing.active_children():
                process.terminate()
            raise


def longest_chains(jobs: Mapping[Job, Collection[Job]], seconds: Mapping[Job, float]) -> dict[Job, float]:
    """Seconds of each job and of the longest chain of jobs that wait for it, one for another."""
    waiting: dict[Job, list[Job]] = {job: [] for job in jobs}
    for job, needs in jobs.items():
        for need in needs:
            waiting[need].append(job)
    chains: dict[Job, float] = {}
    for job in reversed(list(TopologicalSorter(jobs).static_order())):
        chains[job] = seconds[job] + max((chains[later] for later in waiting[job]), default=0.0)
    return chains


def _context() -> BaseContext:
    """How processes start: where the system can, from one that has imported what they need, and not one by one."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["slmrec.studies.runner"])
    return context


def _begin(work: Callable[..., None], processes: int, news: "SimpleQueue[Any]") -> None:
    global _work, _news
    _work, _news = work, news
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interruption is for the process that started this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    warnings.simplefilter("ignore")
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))


def _end_with_parent() -> None:
    """Leave at once when the process that started this one is gone: the same study, typed again, makes its job anew."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _do(job: object) -> None:
    told = -math.inf

    def tell(done: int, total: int) -> None:
        nonlocal told
        if time.monotonic() - told >= EVERY:
            told = time.monotonic()
            _news.put((job, done / max(1, total)))

    _work(job, tell)
