"""HR@k, NDCG@k and MRR of one relevant item, each from that item's rank alone.

A rank counts from 0, the top of the list; `NOT_FOUND`, infinity, stands for an item that is not in the list
and makes every formula below give 0 by itself. Each function returns one value a case, so that the same
values serve for means, strata and paired comparisons. k may exceed the list: then every item found is a hit.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from slmrec.errors import UserError, nearest

NOT_FOUND = np.inf


def hit_rate(ranks: np.ndarray, k: int) -> np.ndarray:
    """HR@k = [rank < k], which for one relevant item is also Recall@k.

    ranks: (C,) 0-based. Returns (C,) float64 in {0, 1}. ValueError: a rank below 0 or NaN, or k below 1.
    """
    return (_checked(ranks, k) < k).astype(np.float64)


def ndcg(ranks: np.ndarray, k: int) -> np.ndarray:
    """NDCG@k = [rank < k] / log2(rank + 2).

    The ideal list has its one relevant item on top, so the ideal DCG is 1 for every k; dividing by the sum
    over all k places, as some libraries do, would give values 4.54 times smaller at k = 10.
    ranks: (C,) 0-based. Returns (C,) float64 in [0, 1]. ValueError: a rank below 0 or NaN, or k below 1.
    """
    return hit_rate(ranks, k) / np.log2(ranks + 2)


def reciprocal_rank(ranks: np.ndarray) -> np.ndarray:
    """MRR = 1 / (rank + 1), over the whole list and not cut at any k.

    ranks: (C,) 0-based. Returns (C,) float64 in [0, 1]. ValueError: a rank below 0 or NaN.
    """
    return 1 / (_checked(ranks) + 1)


METRICS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    **{f"HR@{k}": partial(hit_rate, k=k) for k in (1, 5, 10, 20)},
    **{f"NDCG@{k}": partial(ndcg, k=k) for k in (5, 10, 20)},
    "MRR": reciprocal_rank,
}
"""The metrics that every table of this product shows, under their one spelling."""


def metric_values(metric: str, ranks: np.ndarray) -> np.ndarray:
    """Return the metric of each case, (C,) float64. UserError: a name that is not in `METRICS`."""
    if metric not in METRICS:
        raise UserError(f"there is no metric {metric!r}{nearest(metric, METRICS)}")
    return METRICS[metric](ranks)


def mean_metrics(ranks: np.ndarray) -> dict[str, float]:
    """Return the mean over cases of every metric in `METRICS`. ValueError: no ranks, which have no mean."""
    if not len(ranks):
        raise ValueError("there are no ranks to take a mean of")
    return {metric: float(metric_values(metric, ranks).mean()) for metric in METRICS}


def _checked(ranks: np.ndarray, k: int = 1) -> np.ndarray:
    if k < 1:
        raise ValueError(f"k is {k}, but a list has at least 1 place")
    if not (ranks >= 0).all():  # NaN fails this too
        raise ValueError("a rank is below 0 or NaN; ranks count from 0 and NOT_FOUND is infinity")
    return ranks
