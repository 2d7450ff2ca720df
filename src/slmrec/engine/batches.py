"""Rows of like length go together, so that hardly anything is padding."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor


def like_lengths(lengths: Sequence[int], tokens: int, pasts: Sequence[int] | None = None) -> Iterator[np.ndarray]:
    """Indices of rows, shortest first, in batches of at most ``tokens`` positions, their padding included.

    Args:
        lengths: positions of each row; a row longer than ``tokens`` goes alone.
        tokens: at most so many together.
        pasts: what rows are sorted by first, where they also differ in what stands before them.
    """
    keys = (np.asarray(lengths),) if pasts is None else (np.asarray(lengths), np.asarray(pasts))
    order = np.lexsort(keys)
    start = longest = 0
    for end, row in enumerate(order):
        longest = max(longest, lengths[row])
        if end > start and (end + 1 - start) * longest > tokens:
            yield order[start:end]
            start, longest = end, lengths[row]
    if len(order):
        yield order[start:]


def in_order(batches: Sequence[np.ndarray], found: Sequence[Tensor]) -> Tensor:
    """(B, …): what batches of rows gave, each row back in its place."""
    together = torch.cat(list(found))
    ordered = torch.empty_like(together)
    ordered[torch.from_numpy(np.concatenate(batches)).to(together.device)] = together
    return ordered
