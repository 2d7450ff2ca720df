"""gBCE (Petrov & Macdonald, RecSys 2023): binary cross-entropy calibrated for negative sampling.

    L = -(1/P) Σ_p 1/(M+1) · ( β log σ(s_p^+) + Σ_j log(1 - σ(s_pj)) ),   β = α ( t (1 - 1/α) + 1/α ),   α = M/(N-1)

t = 0 gives plain BCE (β = 1), t = 1 the fully calibrated one (β = α).
"""

import torch.nn.functional as F
from torch import Tensor

from slmrec.losses.sampled_softmax import sampled_logits


def gbce(states: Tensor, targets: Tensor, table: Tensor, negatives: Tensor, *, t: float = 0.75) -> Tensor:
    """Mean generalised binary cross-entropy over the shared negatives.

    Args:
        states: (P, D) float, user vectors.
        targets: (P,) int, item indices from 1.
        table: (N+1, D) float, item vectors; row 0 is the padding.
        negatives: (M,) int, item indices from 1, drawn uniformly.
        t: calibration between 0 and 1.

    Returns:
        A float32 scalar.
    """
    alpha = len(negatives) / (table.shape[0] - 2)
    beta = alpha * (t * (1 - 1 / alpha) + 1 / alpha)
    logits = sampled_logits(states, targets, table, negatives)
    # log(1 - σ(x)) = log σ(-x), and log σ(∞) = 0: a negative that is the target counts nothing.
    per_position = beta * F.logsigmoid(logits[:, 0]) + F.logsigmoid(-logits[:, 1:]).sum(dim=1)
    return -per_position.mean() / (len(negatives) + 1)
