"""What a bundle's answers are against torch's, and how long one takes."""

import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from slmrec.data import Catalogue, Dataset
from slmrec.evaluation import evaluate
from slmrec.models import DotProductRecommender
from slmrec.runtime import Bundle
from slmrec.runtime.ranking import top_k

TIE = 1e-4
"""Relative difference of scores below which two items' order is chance."""
K = 10
HISTORIES = 256
"""Random ones, where no data is given."""
EVENTS, REQUESTS, WARM_UP = 10, 200, 20

Encode = Callable[[Sequence[np.ndarray]], Tensor]


def parity(model: DotProductRecommender, bundle: Bundle, data: Dataset | None) -> dict[str, Any]:
    """Compare the ten best of every test case, or of random histories where there is no data.

    Returns:
        `on` (what was compared), `histories`, `same_lists` (the same ten in the same order), `same_except_ties` (the
        same but for items that torch itself scores alike within 1e-4), `overlap@10` (mean share), `largest_difference`
        of a user vector's entry, relative to the largest entry; and with data NDCG@10 of both and its change.
    """
    table = model.item_vectors().detach().float().cpu().numpy()
    if data is None:
        generator = np.random.default_rng(0)
        lengths = generator.integers(1, 2 * model.config.max_length, size=HISTORIES)
        seen = [generator.integers(1, len(table) + 1, size=length).astype(np.int32) for length in lengths]
        theirs, ours = model.encode(seen).float().cpu().numpy(), bundle.encode(seen)
        told: dict[str, Any] = {"on": "random histories"}
    else:
        first = _Watched(model, model.encode)
        second = _Watched(model, lambda histories: torch.from_numpy(bundle.encode(histories)))
        before = evaluate(first, data, "test").metrics["NDCG@10"]
        after = evaluate(second, data, "test").metrics["NDCG@10"]
        seen, theirs, ours = first.histories, torch.cat(first.users).numpy(), torch.cat(second.users).numpy()
        told = {"on": f"every test case of {data.name}"}
        told |= {"torch_NDCG@10": before, "bundle_NDCG@10": after, "change_of_NDCG@10": after - before}
    return told | _compared(theirs, ours, table, seen)


def _compared(theirs: np.ndarray, ours: np.ndarray, table: np.ndarray, seen: Sequence[np.ndarray]) -> dict[str, Any]:
    columns = [history - 1 for history in seen]
    k = min(K, len(table))
    wanted_scores, wanted = top_k(theirs, table, k, excluded=columns)
    _, found = top_k(ours, table, k, excluded=columns)
    left = np.isfinite(wanted_scores)  # where hardly an item is unseen, lists are shorter
    same = (wanted == found) | ~left
    # What torch itself scores the items that the bundle has in these places.
    own = np.einsum("bd,bkd->bk", theirs, table[found])
    wanted_scores = np.where(left, wanted_scores, 0.0)
    alike = np.abs(own - wanted_scores) <= TIE * np.maximum(np.abs(wanted_scores), np.abs(own))
    shares = [
        np.isin(found[row, : left[row].sum()], wanted[row, : left[row].sum()]).mean()
        for row in range(len(found))
        if left[row].any()
    ]
    return {
        "histories": len(seen),
        "same_lists": int(same.all(axis=1).sum()),
        "same_except_ties": int((same | alike).all(axis=1).sum()),
        "overlap@10": float(np.mean(shares)),
        "largest_difference": float(np.abs(theirs - ours).max() / np.abs(theirs).max()),
    }


class _Watched:
    """A scorer for `evaluate` that keeps the histories and user vectors that pass through it."""

    kind: ClassVar[str] = "bundle"

    def __init__(self, model: DotProductRecommender, encode: Encode) -> None:
        self.catalogue: Catalogue = model.catalogue
        self.table = model.item_vectors().detach().float()
        self.parameter_counts = model.parameter_counts
        self.encode = encode
        self.histories: list[np.ndarray] = []
        self.users: list[Tensor] = []

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """(B, N)."""
        users = self.encode(histories).float().cpu()
        self.histories += histories
        self.users.append(users)
        return users @ self.table.T


def latency(bundle: Bundle, threads: int) -> dict[str, Any]:
    """Milliseconds of single requests: ten events in, ten items out, one after the other.

    Args:
        bundle: opened for so many threads.
        threads: what to say of it.
    """
    events = min(EVENTS, bundle.max_length)
    drawn = np.random.default_rng(0).integers(1, len(bundle.catalogue) + 1, size=(WARM_UP + REQUESTS, events))
    found = []
    for history in drawn:
        started = time.perf_counter()
        bundle.top_k([history], K)
        found.append(time.perf_counter() - started)
    median, p95 = np.percentile(np.array(found[WARM_UP:]) * 1000, (50, 95))
    return {
        "median_ms": round(float(median), 3),
        "p95_ms": round(float(p95), 3),
        "events": events,
        "requests": REQUESTS,
        "threads": threads,
    }
