"""Softmax cross-entropy over the target and negatives that all positions of a batch share.

    L = -(1/P) Σ_p log( exp(s_p^+) / (exp(s_p^+) + Σ_{j=1..M} exp(s_pj - c)) )

s = h · v. With the logQ correction c = log(M/N), the log of how often a uniform draw of M brings an item up, so that
the sum estimates that over all N items; without it c = 0. A negative that is the position's target is left out.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def sampled_softmax_cross_entropy(
    states: Tensor, targets: Tensor, table: Tensor, negatives: Tensor, *, logq: bool = False
) -> Tensor:
    """Mean cross-entropy of each position's target among itself and the shared negatives.

    Args:
        states: (P, D) float, user vectors.
        targets: (P,) int, item indices from 1.
        table: (N+1, D) float, item vectors; row 0 is the padding.
        negatives: (M,) int, item indices from 1, drawn uniformly.
        logq: apply the logQ correction.

    Returns:
        A float32 scalar.
    """
    logits = sampled_logits(states, targets, table, negatives)
    if logq:
        correction = math.log(len(negatives) / (table.shape[0] - 1))
        logits = torch.cat([logits[:, :1], logits[:, 1:] - correction], dim=1)
    return F.cross_entropy(logits, torch.zeros_like(targets))


def sampled_logits(states: Tensor, targets: Tensor, table: Tensor, negatives: Tensor) -> Tensor:
    """(P, 1 + M) float32 scores: the target's, then the negatives', -inf where a negative is the target."""
    states = states.float()
    positive = (states * table[targets].float()).sum(dim=1, keepdim=True)  # (P, 1)
    negative = states @ table[negatives].float().T  # (P, M)
    negative = negative.masked_fill(negatives[None, :] == targets[:, None], -torch.inf)
    return torch.cat([positive, negative], dim=1)
