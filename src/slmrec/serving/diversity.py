"""Lists of items that are unlike each other: maximal marginal relevance (Carbonell & Goldstein, SIGIR 1998).

    next = argmax_i (1 - λ) r_i - λ max_{j chosen} s_ij

r_i: the candidate's score, scaled to 0..1 over the candidates; s_ij: how alike two items are, cosines for models with
item vectors; λ: 0 leaves the order as it is, 1 looks at likeness alone after the first.
"""

import numpy as np


def candidates(k: int) -> int:
    """How many of the best items a list of k is chosen from."""
    return max(50, 4 * k)


def diversified(scores: np.ndarray, likeness: np.ndarray, k: int, diversity: float) -> list[int]:
    """Places of the k items chosen, in their order.

    Args:
        scores: (C,) float, of the candidates, best first.
        likeness: (C, C) float.
        k: how many.
        diversity: λ, 0..1.
    """
    spread = float(scores[0] - scores[-1]) if len(scores) else 0.0
    relevance = (scores - scores[-1]) / spread if spread else np.ones(len(scores))
    chosen: list[int] = []
    nearest = np.zeros(len(scores))  # to what is chosen so far
    left = np.ones(len(scores), dtype=bool)
    while len(chosen) < min(k, len(scores)):
        value = np.where(left, (1 - diversity) * relevance - diversity * nearest, -np.inf)
        best = int(value.argmax())
        chosen.append(best)
        left[best] = False
        nearest = likeness[best] if len(chosen) == 1 else np.maximum(nearest, likeness[best])
    return chosen
