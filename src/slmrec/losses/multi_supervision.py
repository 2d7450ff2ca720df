"""The paper's L_ms: every inner block of the student predicts the next item too, through an adapter of its own.

    L_ms = (1/(B-1)) Σ_{k=1..B-1} L_ce(y, p̂^{(kn)})

The equation prints the teacher's subscript; the figure and the code put it on the student, as here. The published
code sums over the inner blocks: `reduction="sum"`.
"""

from typing import Literal

import torch
from torch import Tensor

from slmrec.losses.cross_entropy import softmax_cross_entropy


def multi_supervision_loss(
    inner: Tensor, targets: Tensor, table: Tensor, reduction: Literal["mean", "sum"] = "mean"
) -> Tensor:
    """Cross-entropy of the inner blocks' user vectors.

    Args:
        inner: (K-1, P, D) float, user vectors read out after each block but the last.
        targets: (P,) int, item indices from 1.
        table: (N+1, D) float, item vectors; row 0 is the padding.
        reduction: over blocks.

    Returns:
        A float32 scalar; 0 for a single block, which has no inner ones.
    """
    if len(inner) == 0:
        return torch.zeros((), device=targets.device)
    per_block = torch.stack([softmax_cross_entropy(states, targets, table) for states in inner])
    return per_block.mean() if reduction == "mean" else per_block.sum()
