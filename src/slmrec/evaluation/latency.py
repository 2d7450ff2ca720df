"""How long one request takes, a history in and ten items out, and how many users a second.

What else the machine does slows both; for a request's time it is measured how much that was.
"""

import time
from dataclasses import dataclass

import numpy as np
import torch

from slmrec.busy import QUIET, Others
from slmrec.data.dataset import Dataset
from slmrec.models.base import Recommender

REQUESTS = 100
WARM_UP = 10
SECONDS = 2.0
"""What a turn of measuring users a second is to take."""
FEW = 32
"""Users that tell how many more there is time for."""


@dataclass(frozen=True)
class Latency:
    """Milliseconds of single requests on one thread."""

    p50: float
    p99: float
    events: int
    """Events of each history."""
    others: float
    """Share of the machine's processors that other processes kept busy meanwhile."""

    @property
    def undisturbed(self) -> bool:
        """Whether the machine was left alone, so that the times say what the model takes."""
        return self.others <= QUIET


def request_latency(model: Recommender, data: Dataset, *, events: int = 10, requests: int = REQUESTS) -> Latency:
    """Time `model.top_k` of ten items for one history at a time, on one thread.

    Histories are drawn from the data's interactions, ``events`` long, or as long as the model reads.
    """
    events = min(events, model.config.max_length)
    drawn = np.random.default_rng(0).choice(data.sequence, size=(WARM_UP + requests, events))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    others = Others()
    try:
        found = []
        for history in drawn:
            started = time.perf_counter()
            model.top_k([history], 10)
            found.append(time.perf_counter() - started)
    finally:
        torch.set_num_threads(threads)
    p50, p99 = np.percentile(np.array(found[WARM_UP:]) * 1000, (50, 99))
    return Latency(float(p50), float(p99), events, others.share())


def users_per_second(model: Recommender, data: Dataset, *, seconds: float = SECONDS, turns: int = 3) -> float:
    """Time `model.top_k` of ten items for many users at a time, on all threads, theirs being the test histories.

    As many users as about so many seconds allow, at most all; the median of the turns.
    """
    cases = data.cases("test")
    order = np.random.default_rng(0).permutation(len(cases))
    histories = [data.history(cases.users[i], cases.positions[i]) for i in order]

    def rate(users: int) -> float:
        started = time.perf_counter()
        model.top_k(histories[:users], 10)
        return users / (time.perf_counter() - started)

    users = min(len(histories), FEW)
    rate(users)  # warms up
    users = int(min(len(histories), max(users, seconds * rate(users))))
    return float(np.median([rate(users) for _ in range(turns)]))
