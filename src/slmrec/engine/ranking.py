"""The k best items of many users: blocked dot products, never users × items; filters inside, still k results."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

USERS = 256
"""Users scored together."""
ITEMS = 16_384
"""Items scored together: a block of scores is 16 MB, near the caches; few users take up to eight times as many."""


@torch.no_grad()
def top_k(
    vectors: Tensor,
    table: Tensor,
    k: int,
    *,
    excluded: Sequence[np.ndarray] | None = None,
    allowed: np.ndarray | None = None,
) -> tuple[Tensor, Tensor]:
    """The k best rows of a table for each vector, by dot product.

    Args:
        vectors: (B, d) float, users.
        table: (N, d) float, items.
        k: how many.
        excluded: for each user, (n,) int, rows of the table that are out of his list.
        allowed: (M,) int, distinct, the only rows that may be found; None: all.

    Returns:
        (B, k) scores, best first, and (B, k) rows of the table. A place that no item is left for has the score -inf.
    """
    rows = _rows(allowed, table.device)
    room = vectors.new_empty(USERS * ITEMS)  # for every block's scores: to ask for it anew costs a quarter of the time
    found = [
        _top_k(vectors[i : i + USERS], table, k, excluded[i : i + USERS] if excluded else None, rows, room)
        for i in range(0, len(vectors), USERS)
    ]
    return torch.cat([scores for scores, _ in found]), torch.cat([items for _, items in found])


def _top_k(
    vectors: Tensor, table: Tensor, k: int, excluded: Sequence[np.ndarray] | None, rows: Tensor | None, room: Tensor
) -> tuple[Tensor, Tensor]:
    count = len(table) if rows is None else len(rows)
    width = ITEMS * min(8, max(1, USERS // len(vectors)))
    best = vectors.new_full((len(vectors), k), -torch.inf)
    items = torch.zeros(len(vectors), k, dtype=torch.int64, device=vectors.device)
    users, out = _pairs(excluded, rows, vectors.device)
    if count > width:
        order = torch.argsort(out)
        users, out = users[order], out[order]
    for start in range(0, count, width):
        end = min(start + width, count)
        block = table[start:end] if rows is None else table[rows[start:end]]
        scores = room[: len(vectors) * len(block)].view(len(vectors), len(block))
        torch.mm(vectors, block.T, out=scores)
        low, high = 0, len(out)
        if count > width:
            low, high = torch.searchsorted(out, torch.tensor([start, end], device=out.device)).tolist()
        scores[users[low:high], out[low:high] - start] = -torch.inf
        if count <= width and k <= count:
            best, places = scores.topk(k, dim=1)
            return best, places if rows is None else rows[places]
        # After a few blocks hardly any user finds a better item in the next one, and sorting costs more than scoring.
        hot = torch.nonzero(scores.amax(dim=1) > best[:, -1])[:, 0] if start else torch.arange(len(vectors))
        if not len(hot):
            continue
        values, places = scores[hot].topk(min(k, end - start), dim=1)
        columns = places + start if rows is None else rows[places + start]
        merged, where = torch.cat([best[hot], values], dim=1).topk(k, dim=1)
        best[hot] = merged
        items[hot] = torch.cat([items[hot], columns], dim=1).gather(1, where)
    return best, items


def best_of(
    scores: Tensor, k: int, *, excluded: Sequence[np.ndarray] | None = None, allowed: np.ndarray | None = None
) -> tuple[Tensor, Tensor]:
    """`top_k` of (B, N) scores that are there already; they are written to."""
    rows = _rows(allowed, scores.device)
    if rows is not None:
        scores = scores[:, rows]
    users, out = _pairs(excluded, rows, scores.device)
    scores[users, out] = -torch.inf
    best, places = scores.topk(min(k, scores.shape[1]), dim=1)
    missing = (0, k - best.shape[1])
    items = places if rows is None else rows[places]
    return F.pad(best, missing, value=-torch.inf), F.pad(items, missing)


def _rows(allowed: np.ndarray | None, device: torch.device) -> Tensor | None:
    return None if allowed is None else torch.from_numpy(np.sort(allowed).astype(np.int64)).to(device)


def _pairs(excluded: Sequence[np.ndarray] | None, rows: Tensor | None, device: torch.device) -> tuple[Tensor, Tensor]:
    """Excluded (user, place among the rows that compete) pairs, flat."""
    if not excluded:
        empty = torch.zeros(0, dtype=torch.int64, device=device)
        return empty, empty
    users = torch.from_numpy(np.repeat(np.arange(len(excluded)), [len(own) for own in excluded])).to(device)
    out = torch.from_numpy(np.concatenate(excluded).astype(np.int64)).to(device)
    if rows is None:
        return users, out
    places = torch.searchsorted(rows, out).clamp(max=max(0, len(rows) - 1))
    competes = rows[places] == out if len(rows) else torch.zeros_like(out, dtype=torch.bool)
    return users[competes], places[competes]
