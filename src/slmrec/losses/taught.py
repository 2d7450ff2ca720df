"""The loss of a student that is taught by scores, at the cost of its matrix products.

    loss = w L_ce + L_kl

L_ce: the targets' cross-entropy, and L_kl (`score_kl.py`, whose fast twin this is), both over the same C candidates.

Its gradient by a student's scores s_p is  w (softmax(s_p) - 1_y) + T (softmax(s_p / T) - softmax(z_p / T)),  over P.
As in `cross_entropy.py`, positions go through in chunks and each chunk's gradient is computed while its scores are at
hand, so that none of the P × C softmaxes is ever held.
"""

import torch
from torch import Tensor

CHUNK_ELEMENTS = 4_000_000
"""Scores held at once."""


def taught_loss(
    states: Tensor,
    vectors: Tensor,
    targets: Tensor,
    teachers: Tensor,
    *,
    cross_entropy: float,
    temperature: float = 1.0,
) -> dict[str, Tensor]:
    """The loss and its parts.

    Args:
        states: (P, D) float, the student's user vectors.
        vectors: (C, D) float, its item vectors of the candidates.
        targets: (P,) int, each position's next item by its place among the candidates, from 0.
        teachers: (P, C) float, the mean of the teachers' scores z; no gradient flows to it.
        cross_entropy: w.
        temperature: T > 0.

    Returns:
        float32 scalars under "loss", "cross_entropy" and "score_kl"; the parts carry no gradient.
    """
    loss, entropy, divergence = _Taught.apply(states, vectors, targets, teachers, cross_entropy, temperature)
    return {"loss": loss, "cross_entropy": entropy, "score_kl": divergence}


class _Taught(torch.autograd.Function):
    @staticmethod
    def forward(ctx, states, vectors, targets, teachers, weight, temperature):
        positions, candidates = max(1, len(states)), len(vectors)
        items = vectors.float()
        grad_states = torch.zeros_like(states, dtype=torch.float32)
        grad_vectors = torch.zeros_like(items)
        entropy = torch.zeros((), dtype=torch.float32, device=states.device)
        divergence = torch.zeros_like(entropy)
        size = max(1, CHUNK_ELEMENTS // max(1, candidates))
        with torch.autocast(states.device.type, enabled=False):
            for start in range(0, len(states), size):
                rows = slice(start, start + size)
                chunk, columns = states[rows].float(), targets[rows, None]
                scores = chunk @ items.T  # (p, C)
                wanted = (teachers[rows].float() / temperature).log_softmax(dim=1)
                logs = scores.log_softmax(dim=1)
                entropy -= logs.gather(1, columns).sum()
                softened = logs if temperature == 1 else (scores / temperature).log_softmax(dim=1)
                given = wanted.exp()
                divergence += temperature**2 * (given * wanted.sub_(softened)).sum()
                gradient = softened.exp().sub_(given).mul_(temperature)
                gradient.add_(logs.exp_(), alpha=weight)
                gradient.scatter_add_(1, columns, gradient.new_full(columns.shape, -weight))
                torch.mm(gradient, items, out=grad_states[rows])
                grad_vectors.addmm_(gradient.T, chunk)
        ctx.grads, ctx.scale, ctx.dtypes = (grad_states, grad_vectors), 1 / positions, (states.dtype, vectors.dtype)
        entropy, divergence = entropy / positions, divergence / positions
        ctx.mark_non_differentiable(entropy, divergence)
        return weight * entropy + divergence, entropy, divergence

    @staticmethod
    def backward(ctx, upstream, *_):
        scale = upstream * ctx.scale
        states, vectors = ((grad * scale).to(dtype) for grad, dtype in zip(ctx.grads, ctx.dtypes, strict=True))
        return states, vectors, None, None, None, None
