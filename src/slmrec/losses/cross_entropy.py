"""Softmax cross-entropy over the whole catalogue (the paper's L_ce).

    L_ce = -(1/P) Σ_p  log( exp(h_p · v_{y_p}) / Σ_{i=1..N} exp(h_p · v_i) )

h_p: user vector at position p; v_i: row i of the item table; y_p: the next item. The padding row takes no part.
The logits (P × N) are never held: positions go through in chunks and each chunk's gradient is computed while
its logits are at hand, so a step costs the three matrix products of the plain form and no recomputation.
"""

import torch
from torch import Tensor

CHUNK_ELEMENTS = 4_000_000
"""Logits held at once: 16 MB in fp32, small enough to stay near the caches and large enough to keep GEMM busy."""


def softmax_cross_entropy(states: Tensor, targets: Tensor, table: Tensor) -> Tensor:
    """Mean cross-entropy of each position's target among all items.

    Args:
        states: (P, D) float, user vectors.
        targets: (P,) int, item indices from 1.
        table: (N+1, D) float, item vectors; row 0 is the padding and is left out.

    Returns:
        A float32 scalar; 0 when there is no position.
    """
    return _ChunkedCrossEntropy.apply(states, targets, table)


class _ChunkedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, states: Tensor, targets: Tensor, table: Tensor) -> Tensor:
        positions = max(1, states.shape[0])
        vectors = table[1:].float()  # (N, D)
        grad_states = torch.zeros_like(states, dtype=torch.float32) if ctx.needs_input_grad[0] else None
        grad_table = torch.zeros_like(table, dtype=torch.float32) if ctx.needs_input_grad[2] else None
        total = torch.zeros((), dtype=torch.float32, device=states.device)
        size = max(1, CHUNK_ELEMENTS // max(1, vectors.shape[0]))
        # The sums want fp32, whatever autocast would make of the products.
        with torch.autocast(states.device.type, enabled=False):
            _chunks(states, targets, vectors, size, total, grad_states, grad_table)
        ctx.grads = (grad_states, grad_table)
        ctx.scale = 1 / positions
        ctx.dtypes = (states.dtype, table.dtype)
        return total / positions

    @staticmethod
    def backward(ctx, upstream: Tensor):
        scale = upstream * ctx.scale
        grad_states, grad_table = (
            None if grad is None else (grad * scale).to(dtype)
            for grad, dtype in zip(ctx.grads, ctx.dtypes, strict=True)
        )
        return grad_states, None, grad_table


def _chunks(
    states: Tensor,
    targets: Tensor,
    vectors: Tensor,
    size: int,
    total: Tensor,
    grad_states: Tensor | None,
    grad_table: Tensor | None,
) -> None:
    """Add the summed loss to ``total`` and its gradients to the two buffers, ``size`` positions at a time."""
    for start in range(0, states.shape[0], size):
        chunk = states[start : start + size].float()  # (p, D)
        columns = (targets[start : start + size] - 1).unsqueeze(1)  # (p, 1)
        logits = chunk @ vectors.T  # (p, N)
        target = logits.gather(1, columns)
        top = logits.amax(dim=1, keepdim=True)
        exponentials = logits.sub_(top).exp_()
        # Dividing the small sides of the products below by the sums is cheaper than dividing the exponentials.
        sums = exponentials.sum(dim=1, keepdim=True)
        total += (sums.log() + top - target).sum()
        if grad_states is None and grad_table is None:
            continue
        exponentials.scatter_add_(1, columns, -sums)
        if grad_states is not None:
            torch.mm(exponentials, vectors, out=grad_states[start : start + size])
            grad_states[start : start + size] /= sums
        if grad_table is not None:
            grad_table[1:].addmm_(exponentials.T, chunk / sums)
