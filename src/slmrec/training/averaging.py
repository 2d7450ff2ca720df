"""Averaged weights: what is validated and kept is a moving average of the weights instead of the last step's.

At a constant learning rate the last steps wander around what they have found; their mean lies nearer to it (Polyak and
Juditsky, SIAM Journal on Control and Optimization 30, 1992).
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average(nn.Module):
    """Exponential moving average of weights over about n steps, in which the start counts as any other step does.

    With w_t the weights after step t and d = 1 − 1/n:

        a_t = Σ_{s ≤ t} d^(t−s) w_s / Σ_{s ≤ t} d^(t−s) = a_{t−1} + (1 − d) / (1 − d^t) · (w_t − a_{t−1})

    It is kept as buffers: as a part of the module under training it is in that one's checkpoints. torch's AveragedModel
    would copy the whole module, the teachers beside a student included.
    """

    def __init__(self, weights: Iterable[nn.Parameter], steps: float) -> None:
        super().__init__()
        self.weights: list[Tensor] = [weight for weight in weights if weight.requires_grad]  # a list registers nothing
        self.decay = max(0.0, 1 - 1 / steps)
        for place, weight in enumerate(self.weights):
            self.register_buffer(str(place), weight.detach().clone())

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after a step; steps count from 1."""
        share = (1 - self.decay) / (1 - self.decay**step)
        for average, weight in zip(self.buffers(), self.weights, strict=True):
            average.lerp_(weight, share)

    @torch.no_grad()
    def swap(self) -> None:
        """Put the average where the weights are, and the weights where the average is."""
        for average, weight in zip(self.buffers(), self.weights, strict=True):
            held = weight.clone()
            weight.copy_(average)
            average.copy_(held)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within it the module has its averaged weights."""
        self.swap()
        try:
            yield
        finally:
            self.swap()
