"""The paper's D_norm: how far the student's block ends lie from the teacher's.

    D_norm = (1/B) Σ_{k=1..B} ‖h_t^{(km)} - h_s^{(kn)}‖²,      averaged over positions

The published code takes the distance, not its square, and sums over the blocks: `squared=False, reduction="sum"`.
"""

from typing import Literal

from torch import Tensor


def norm_loss(
    teacher: Tensor, student: Tensor, *, squared: bool = True, reduction: Literal["mean", "sum"] = "mean"
) -> Tensor:
    """D_norm, or the published code's variant.

    Args:
        teacher: (K, P, D) float, states at the K block ends of P positions; no gradient flows to them.
        student: (K, P, D) float, states at the student's K block ends.
        squared: the square of the L2 distance (paper) or the distance itself (published code).
        reduction: over blocks; positions are always averaged.

    Returns:
        A float32 scalar; 0 for equal states.
    """
    difference = student.float() - teacher.detach().float()  # (K, P, D)
    distance = difference.square().sum(dim=-1) if squared else difference.norm(dim=-1)  # (K, P)
    per_block = distance.mean(dim=1)
    return per_block.mean() if reduction == "mean" else per_block.sum()
