"""What a bundle's answers are against torch's, and how long one takes."""

import time
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from slmrec.data import Dataset
from slmrec.evaluation import evaluate
from slmrec.models import Recommender
from slmrec.runtime import Bundle
from slmrec.runtime.ranking import best_of

TIE = 1e-4
"""Difference of scores, relative to the list's largest, below which two items' order is chance."""
K = 10
HISTORIES, BATCH = 256, 64
"""Random ones, where no data is given, and how many are compared at once."""
EVENTS, REQUESTS, WARM_UP = 10, 200, 20

Lists = tuple[np.ndarray, np.ndarray]
"""(B, k) columns, best first, and (B, k) scores of them."""


def parity(model: Recommender, bundle: Bundle, data: Dataset | None) -> dict[str, Any]:
    """Compare the ten best of every test case, or of random histories where there is no data.

    Returns:
        `on` (what was compared), `histories`, `same_lists` (the same ten in the same order), `same_except_ties` (the
        same but for items that torch itself scores alike within 1e-4), `overlap@10` (mean share), `largest_difference`
        of a score, relative to the largest; and with data NDCG@10 of both and its change.
    """
    ours = _Exported(bundle, model)
    theirs = _Compared(model, ours.lists)
    if data is None:
        generator = np.random.default_rng(0)
        lengths = generator.integers(1, 2 * bundle.max_length, size=HISTORIES)
        seen = [generator.integers(1, len(bundle.catalogue) + 1, size=length).astype(np.int32) for length in lengths]
        for scorer in (ours, theirs):
            for start in range(0, len(seen), BATCH):
                scorer.score(seen[start : start + BATCH])
        return {"on": "random histories"} | theirs.told()
    after = evaluate(ours, data, "test").metrics["NDCG@10"]
    before = evaluate(theirs, data, "test").metrics["NDCG@10"]  # the same histories in the same order
    told: dict[str, Any] = {"on": f"every test case of {data.name}"}
    told |= {"torch_NDCG@10": before, "bundle_NDCG@10": after, "change_of_NDCG@10": after - before}
    return told | theirs.told()


class _Exported:
    """A bundle as `evaluate` asks of it, which keeps the lists of what passes through it."""

    kind: ClassVar[str] = "exported"

    def __init__(self, bundle: Bundle, model: Recommender) -> None:
        self.bundle, self.lists = bundle, list[Lists]()
        self.catalogue, self.parameter_counts = model.catalogue, model.parameter_counts

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """(B, N)."""
        scores = self.bundle.score(histories)
        self.lists.append(_best(scores, histories))
        return torch.from_numpy(scores)


class _Compared:
    """A model as `evaluate` asks of it, which compares what passes through it with the lists that a bundle gave."""

    kind: ClassVar[str] = "compared"

    def __init__(self, model: Recommender, lists: list[Lists]) -> None:
        self.model, self.lists = model, lists
        self.catalogue, self.parameter_counts = model.catalogue, model.parameter_counts
        self.parts: list[dict[str, np.ndarray]] = []

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """(B, N)."""
        scores = self.model.score(histories).float().cpu()
        self.parts.append(compared(scores.numpy(), self.lists[len(self.parts)], histories))
        return scores

    def told(self) -> dict[str, Any]:
        """Of all that passed."""
        all_of = {name: np.concatenate([part[name] for part in self.parts]) for name in self.parts[0]}
        return {
            "histories": len(all_of["same"]),
            "same_lists": int(all_of["same"].sum()),
            "same_except_ties": int(all_of["alike"].sum()),
            "overlap@10": float(np.nanmean(all_of["shared"])),
            "largest_difference": float(all_of["difference"].max() / all_of["largest"].max()),
        }


def compared(theirs: np.ndarray, ours: Lists, seen: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """What a bundle's lists have in common with torch's.

    Args:
        theirs: (B, N) scores by torch.
        ours: the lists by the bundle.
        seen: B histories of item indices, whose items are in no list.

    Returns:
        (B,) each: `same` lists; the same but for ties, `alike`; the share of items that is `shared`, nan where no item
        is left; the largest `difference` of a listed item's scores, and the `largest` score.
    """
    found, values = ours
    wanted, wanted_scores = _best(theirs, seen)
    left = np.isfinite(wanted_scores)  # where hardly an item is unseen, lists are shorter
    same = (wanted == found) | ~left
    own = np.take_along_axis(theirs, found, axis=1)  # what torch itself scores the items that the bundle has there
    wanted_scores = np.where(left, wanted_scores, 0.0)
    # Against the list's largest score, since rounding goes by that: one near zero has as much of it as the others.
    alike = np.abs(own - wanted_scores) <= TIE * np.abs(wanted_scores).max(axis=1, keepdims=True)
    counts = left.sum(axis=1)
    shared = [np.isin(found[row, :n], wanted[row, :n]).mean() if n else np.nan for row, n in enumerate(counts)]
    return {
        "same": same.all(axis=1),
        "alike": (same | alike).all(axis=1),
        "shared": np.array(shared),
        "difference": np.abs(np.where(np.isfinite(values), values - own, 0.0)).max(axis=1),
        "largest": np.abs(theirs).max(axis=1),
    }


def _best(scores: np.ndarray, seen: Sequence[np.ndarray]) -> Lists:
    """The ten best of (B, N) scores that are in no history; -inf where no item is left."""
    found, columns = best_of(scores, min(K, scores.shape[1]), excluded=[np.asarray(history) - 1 for history in seen])
    return columns, found


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
