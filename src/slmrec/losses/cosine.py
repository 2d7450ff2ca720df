"""The paper's D_cos: how well the student's block ends point where the teacher's do.

    D_cos = (1/B) Σ_{k=1..B}  h_t^{(km)} · h_s^{(kn)} / (‖h_t^{(km)}‖ ‖h_s^{(kn)}‖),      averaged over positions

B blocks; teacher block k ends at layer km, the student's at layer kn. The objective holds 1 - D_cos. The published
code sums over the blocks instead, which makes its λ1 weigh B times more: `reduction="sum"`.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor


def cosine_loss(teacher: Tensor, student: Tensor, reduction: Literal["mean", "sum"] = "mean") -> Tensor:
    """1 - D_cos, or its sum over blocks.

    Args:
        teacher: (K, P, D) float, states at the K block ends of P positions; no gradient flows to them.
        student: (K, P, D) float, states at the student's K block ends.
        reduction: over blocks; positions are always averaged.

    Returns:
        A float32 scalar between 0 and 2 (times K for "sum"); 0 for equal states.
    """
    similarity = F.cosine_similarity(teacher.detach().float(), student.float(), dim=-1)  # (K, P)
    per_block = 1 - similarity.mean(dim=1)  # (K,)
    return per_block.mean() if reduction == "mean" else per_block.sum()
