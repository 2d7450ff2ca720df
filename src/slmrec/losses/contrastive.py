"""Each student state is to be told from the others by its own teacher state (after Tian et al., ICLR 2020).

    L_con = -(1/P) Σ_p log  exp(cos(s_p, t_p) / τ) / Σ_q exp(cos(s_p, t_q) / τ)

The batch's other positions are the negatives, where the paper keeps a memory of them; no projection is learned, since
teacher and student share a space.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def contrastive_loss(teacher: Tensor, student: Tensor, temperature: float = 0.1) -> Tensor:
    """L_con.

    Args:
        teacher: (P, D) float; no gradient flows to them.
        student: (P, D) float, in the same space.
        temperature: τ > 0.

    Returns:
        A float32 scalar; log P where all teacher states are alike.
    """
    given = F.normalize(teacher.detach().float(), dim=-1)
    likeness = F.normalize(student.float(), dim=-1) @ given.T / temperature  # (P, P)
    return F.cross_entropy(likeness, torch.arange(len(likeness), device=likeness.device))
