"""The student's states are to lie among themselves as the teacher's do (RKD-D, Park et al., CVPR 2019, eq. 4 to 6).

    ψ(x_p, x_q) = ‖x_p - x_q‖ / μ,      μ the mean distance of all pairs
    L_rel = mean over pairs p ≠ q of  huber( ψ(t_p, t_q) - ψ(s_p, s_q) )

huber(e) = e²/2 where |e| ≤ 1, and |e| - 1/2 beyond.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

POSITIONS = 256
"""Positions that are compared pair by pair; more of a batch are left out, since pairs grow with their square."""


def relational_loss(teacher: Tensor, student: Tensor) -> Tensor:
    """L_rel.

    Args:
        teacher: (P, D) float; no gradient flows to them.
        student: (P, E) float, of any width.

    Returns:
        A float32 scalar; 0 where the student's distances are a multiple of the teacher's, and for a single position.
    """
    wanted, given = (_distances(states[:POSITIONS].float()) for states in (teacher.detach(), student))
    return F.huber_loss(given, wanted) if wanted.numel() else student.sum() * 0.0


def _distances(states: Tensor) -> Tensor:
    """(pairs,) distances over their mean."""
    rows, columns = torch.triu_indices(len(states), len(states), 1)
    distances = (states[rows] - states[columns]).norm(dim=-1)
    return distances / distances.mean().clamp(min=1e-12)
