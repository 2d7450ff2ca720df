"""Rows of like length go together, so that hardly anything is padding."""

from collections.abc import Iterator, Sequence

import numpy as np


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
