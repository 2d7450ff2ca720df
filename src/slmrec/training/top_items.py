"""Distillation by the teachers' best items: which of `losses/top_items.py` the options name, beside cross-entropy.

loss = w_ce L_ce + L_top   or   w_ce L_ce + L_rank
"""

import torch.nn.functional as F
from torch import Tensor

from slmrec.losses import ranked_loss, top_items_loss
from slmrec.training.options import DistillationOptions


def top_items_parts(
    states: Tensor, vectors: Tensor, targets: Tensor, teachers: Tensor, options: DistillationOptions
) -> dict[str, Tensor]:
    """The loss and its parts; arguments and names are those of `taught_loss`.

    Args:
        states: (P, d) float, the student's user vectors.
        vectors: (C, d) float, its item vectors of the candidates.
        targets: (P,) int, each position's next item by its place among the candidates.
        teachers: (P, C) float, the mean of the teachers' scores.
        options: `top_items` and what goes with it, `cross_entropy`, `temperature`.
    """
    scores = states.float() @ vectors.float().T  # (P, C)
    entropy = F.cross_entropy(scores, targets)
    if options.rank_decay:
        taught = ranked_loss(
            scores, teachers, items=options.top_items, decay=options.rank_decay, consistency=options.consistency
        )
    else:
        taught = top_items_loss(
            scores,
            teachers,
            items=options.top_items,
            own_items=options.own_items,
            temperature=options.temperature,
        )
    loss = options.cross_entropy * entropy + taught
    return {"loss": loss, "cross_entropy": entropy.detach(), "score_kl": taught.detach()}
