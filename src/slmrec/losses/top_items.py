"""Teaching by a teacher's best items alone: by its scores among them, or by their order.

    L_top  = (1/P) Σ_p T² KL( softmax(z_p[M_p] / T) ‖ softmax(s_p[M_p] / T) )
    L_rank = (1/P) Σ_p Σ_{k=1..K} w_pk (log w_pk - log softmax(s_p)[i_pk])
    w_pk ∝ exp(-(k - 1) / μ) + γ 1[ i_pk is among the student's K best ],      Σ_k w_pk = 1

z, s: scores of teacher and student over C candidates; i_p1, …, i_pK: the teacher's best, best first; M_p: those, and
the student's own best where they are asked for.

L_top: a divergence over some items bounds the ranking's quality only where they hold the student's own best ones
(RCE-KD, arXiv 2509.20989); without them, what the student wrongly ranks high is never pushed down. That work splits the
teacher's items by whether the student has them too and samples the rest; here the two lists are simply taken together.

L_rank: the importance-aware ranking distillation of DLLM2Rec (Cui et al., RecSys 2024, arXiv 2405.00338), which weighs
a teacher's items by their place, by agreement with the student, and by how near the text that an LLM wrote lies to the
item. The last has no counterpart where the teacher scores items, and is left out; and as everywhere here the student's
probabilities are a softmax over the candidates, not one sigmoid an item. log w_pk is a constant to the student: with
it, a student that has these probabilities has no loss.
"""

import torch
from torch import Tensor


def top_items_loss(
    scores: Tensor, teachers: Tensor, *, items: int, own_items: int = 0, temperature: float = 1.0
) -> Tensor:
    """L_top, float32 scalar.

    Args:
        scores: (P, C) float, the student's.
        teachers: (P, C) float; no gradient flows to it.
        items: K, at most C are taken.
        own_items: of the student's own best, beside them.
        temperature: T.
    """
    teachers, scores = teachers.detach().float(), scores.float()
    chosen = torch.zeros_like(teachers, dtype=torch.bool)
    chosen.scatter_(1, _best(teachers, items), True)
    if own_items:
        chosen.scatter_(1, _best(scores.detach(), own_items), True)
    # As many columns for all as the longest list has; what is no choice of a row has no probability there.
    width = int(chosen.sum(dim=1).max())
    columns = chosen.to(torch.uint8).topk(width, dim=1).indices  # (P, W)
    out = ~chosen.gather(1, columns)
    wanted, given = (
        (values.gather(1, columns) / temperature).masked_fill(out, -torch.inf).log_softmax(dim=1)
        for values in (teachers, scores)
    )
    terms = wanted.exp() * (wanted - given).masked_fill(out, 0.0)
    return temperature**2 * terms.sum(dim=1).mean()


def ranked_loss(scores: Tensor, teachers: Tensor, *, items: int, decay: float, consistency: float = 0.0) -> Tensor:
    """L_rank, float32 scalar.

    Args:
        scores: (P, C) float, the student's.
        teachers: (P, C) float; only their order counts.
        items: K, at most C are taken.
        decay: μ > 0, in places of the list.
        consistency: γ.
    """
    scores = scores.float()
    best = _best(teachers.detach().float(), items)  # (P, K), best first
    places = torch.arange(best.shape[1], device=best.device)
    weights = (-places / decay).exp().expand(best.shape)
    if consistency:
        own = torch.zeros_like(scores, dtype=torch.bool).scatter_(1, _best(scores.detach(), items), True)
        weights = weights + consistency * own.gather(1, best)
    weights = weights / weights.sum(dim=1, keepdim=True)
    given = scores.log_softmax(dim=1).gather(1, best)
    return (torch.xlogy(weights, weights) - weights * given).sum(dim=1).mean()


def _best(scores: Tensor, items: int) -> Tensor:
    """(P, min(items, C)) columns, best first."""
    return scores.topk(min(items, scores.shape[1]), dim=1).indices
