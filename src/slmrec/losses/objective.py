"""The paper's objective for the student, on one screen.

    min_{Θ_s, W_a}   L_ce(Θ_s) + λ1 (1 - D_cos) + λ2 D_norm + λ3 L_ms

The paper averages each term over its blocks and squares the distance of D_norm (`form="paper"`). Its published code
sums over the blocks and does not square (`form="published"`); the λ values printed in the paper were used with that.
"""

from typing import Literal

from torch import Tensor

from slmrec.losses.cosine import cosine_loss
from slmrec.losses.cross_entropy import softmax_cross_entropy
from slmrec.losses.multi_supervision import multi_supervision_loss
from slmrec.losses.norm import norm_loss


def slmrec_objective(
    teacher: Tensor,
    student: Tensor,
    inner: Tensor,
    final: Tensor,
    targets: Tensor,
    table: Tensor,
    *,
    lambda1: float,
    lambda2: float,
    lambda3: float,
    form: Literal["paper", "published"] = "paper",
) -> dict[str, Tensor]:
    """The objective and its four parts, each before its weight.

    Args:
        teacher: (K, P, D) float, the frozen teacher's block-end states.
        student: (K, P, D) float, the student's block-end states, in the same space.
        inner: (K-1, P, d) float, user vectors after each inner block.
        final: (P, d) float, the student's user vectors.
        targets: (P,) int, item indices from 1.
        table: (N+1, d) float, item vectors; row 0 is the padding.
        lambda1: weight of the cosine term; lambda2: of the distance; lambda3: of the inner blocks' cross-entropy.
        form: reductions of the paper's equations or of its published code.

    Returns:
        float32 scalars under "loss", "cross_entropy", "cosine", "norm", "multi_supervision".
    """
    reduction: Literal["mean", "sum"] = "mean" if form == "paper" else "sum"
    parts = {
        "cross_entropy": softmax_cross_entropy(final, targets, table),
        "cosine": cosine_loss(teacher, student, reduction),
        "norm": norm_loss(teacher, student, squared=form == "paper", reduction=reduction),
        "multi_supervision": multi_supervision_loss(inner, targets, table, reduction),
    }
    loss = (
        parts["cross_entropy"]
        + lambda1 * parts["cosine"]
        + lambda2 * parts["norm"]
        + lambda3 * parts["multi_supervision"]
    )
    return {"loss": loss, **parts}
