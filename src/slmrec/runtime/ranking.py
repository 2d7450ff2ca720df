"""The k best items of many users in NumPy: blocked dot products, filters inside, ties to the lower index."""

from collections.abc import Sequence

import numpy as np

USERS = 256
"""Users scored together."""
ITEMS = 16_384
"""Items scored together: a block of scores is 16 MB; few users take up to eight times as many."""


def top_k(
    vectors: np.ndarray,
    table: np.ndarray,
    k: int,
    *,
    excluded: Sequence[np.ndarray] | None = None,
    allowed: np.ndarray | None = None,
    added: Sequence[tuple[np.ndarray, np.ndarray]] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k best rows of a table for each vector, by dot product and what is added to it.

    Args:
        vectors: (B, d) float32, users.
        table: (N, d) float32, items.
        k: how many.
        excluded: for each user, (n,) int, rows of the table that are out of their list; repeats are allowed.
        allowed: (M,) int, the only rows that may be found; None: all.
        added: for each user, (n,) int, different rows of the table, and (n,) float32 that their scores have more.

    Returns:
        (B, k) float32 scores, best first and equal ones by row, and (B, k) int64 rows of the table. A place that no
        item is left for has the score -inf and any row.
    """
    rows = None if allowed is None else np.unique(np.asarray(allowed, dtype=np.int64))
    scores = np.full((len(vectors), k), -np.inf, dtype=np.float32)
    columns = np.zeros((len(vectors), k), dtype=np.int64)
    for start in range(0, len(vectors), USERS):
        own = slice(start, start + USERS)
        out, more = excluded[own] if excluded else (), added[own] if added else ()
        _fill(scores[own], columns[own], vectors[own], table, out, more, rows)
    return scores, columns


def best_of(
    scores: np.ndarray,
    k: int,
    *,
    excluded: Sequence[np.ndarray] | None = None,
    allowed: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """As `top_k`, of (B, N) scores that are there already."""
    rows = np.arange(scores.shape[1]) if allowed is None else np.unique(np.asarray(allowed, dtype=np.int64))
    competing = scores[:, rows]
    users, out, _ = _pairs(excluded or (), rows)
    competing[users, out] = -np.inf
    places = largest(competing, min(k, len(rows)))
    lack = ((0, 0), (0, k - places.shape[1]))
    found = np.pad(np.take_along_axis(competing, places, axis=1), lack, constant_values=-np.inf)
    return found, np.pad(rows[places], lack)


def _fill(
    best: np.ndarray,
    items: np.ndarray,
    vectors: np.ndarray,
    table: np.ndarray,
    excluded: Sequence[np.ndarray],
    added: Sequence[tuple[np.ndarray, np.ndarray]],
    rows: np.ndarray | None,
) -> None:
    """Write the best (B, k) scores and rows of some users in place."""
    count = len(table) if rows is None else len(rows)
    width = ITEMS * min(8, max(1, USERS // max(1, len(vectors))))
    users, out, _ = _pairs(excluded, rows)
    gaining, more, which = _pairs([own for own, _ in added], rows)
    gains = np.concatenate([values for _, values in added])[which] if added else np.zeros(0, dtype=np.float32)
    for start in range(0, count, width):
        block = table[start : start + width] if rows is None else table[rows[start : start + width]]
        scores = vectors @ block.T  # (B, block)
        here = (more >= start) & (more < start + width)
        scores[gaining[here], more[here] - start] += gains[here]
        here = (out >= start) & (out < start + width)
        scores[users[here], out[here] - start] = -np.inf
        k = min(best.shape[1], len(block))
        places = largest(scores, k)
        found = places + start if rows is None else rows[places + start]
        # Earlier blocks come first and have the lower rows, so equal scores keep the order of rows.
        together = np.concatenate([best, np.take_along_axis(scores, places, axis=1)], axis=1)
        columns = np.concatenate([items, found], axis=1)
        order = np.argsort(-together, axis=1, kind="stable")[:, : best.shape[1]]
        best[:], items[:] = np.take_along_axis(together, order, axis=1), np.take_along_axis(columns, order, axis=1)


def largest(scores: np.ndarray, k: int) -> np.ndarray:
    """(B, k) places of the largest of (B, M) scores, best first, equal ones by place."""
    size = scores.shape[1]
    if k >= size:
        return np.argsort(-scores, axis=1, kind="stable")
    places = np.sort(np.argpartition(scores, size - k, axis=1)[:, size - k :], axis=1)
    picked = np.take_along_axis(scores, places, axis=1)
    order = np.argsort(-picked, axis=1, kind="stable")
    # Where scores equal the last one picked, which of them the partition took is chance.
    least = picked.min(axis=1, keepdims=True)
    places = np.take_along_axis(places, order, axis=1)
    for row in np.flatnonzero((scores >= least).sum(axis=1) > k):
        rivals = np.flatnonzero(scores[row] >= least[row])
        places[row] = rivals[np.argsort(-scores[row, rivals], kind="stable")[:k]]
    return places


def _pairs(named: Sequence[np.ndarray], rows: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows named of each user as flat (user, place among the rows that compete) pairs, and which of all these are."""
    if not named:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty, empty
    users = np.repeat(np.arange(len(named)), [len(own) for own in named])
    out = np.concatenate(named).astype(np.int64)
    if rows is None:
        return users, out, np.arange(len(out))
    places = np.minimum(np.searchsorted(rows, out), max(0, len(rows) - 1))
    competes = np.flatnonzero(rows[places] == out) if len(rows) else np.zeros(0, dtype=np.int64)
    return users[competes], places[competes], competes
