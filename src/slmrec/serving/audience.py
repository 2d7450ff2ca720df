"""Whom an item suits: the users of the store in whose lists it would stand highest."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from slmrec.serving.fleet import View
from slmrec.serving.served import Served

USERS = 1000
"""Users who are looked at, those who were active last."""
TOGETHER = 32
"""Users encoded at once, so that requests need not wait for all of them."""


def audience(served: Served, view: View, column: int, histories: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Users with the rank and score of an item; those who chose it already, or whose items are unknown, are left out.

    Args:
        served: the model.
        view: what is served.
        column: the item.
        histories: the items of each user's events.
    """
    rows = {user: served.index(items, "skip") for user, items in histories.items()}
    rows = {user: row for user, row in rows.items() if len(row) and column + 1 not in row}
    if not rows:
        return []
    scores = served.scores(served.encode(list(rows.values())))  # (B, N)
    own = scores[:, column].copy()
    mask = view.open[served.name]
    better = scores > own[:, None]
    if mask is not None:
        better &= mask
    for number, row in enumerate(rows.values()):
        better[number, row - 1] = False
    ranks = 1 + np.count_nonzero(better, axis=1)
    return [
        {"user": user, "rank": int(rank), "score": float(score)}
        for user, rank, score in zip(rows, ranks, own, strict=True)
    ]
