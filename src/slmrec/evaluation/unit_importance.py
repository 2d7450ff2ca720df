"""Which feed-forward neurons and attention heads of an LLM recommender matter, on training histories.

    activation:  I_u = E‖ W_u a_u ‖            what unit u adds to the residual stream
    taylor:      I_u = E| a_u · ∂L/∂a_u |      how much the loss would change without it, to first order

a_u: what unit u gives (a number of a neuron, a vector of a group of heads), W_u: the columns of the layer's last map
that take it up; L: cross-entropy of the next item (Molchanov et al., CVPR 2019, for the second). Both are means over
positions; units are compared within a layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from slmrec.data import Dataset
from slmrec.data.batches import IGNORED, collate, training_examples
from slmrec.losses import softmax_cross_entropy
from slmrec.models.slmrec import SLMRec
from slmrec.models.width import widths

HISTORIES = 256
_TOGETHER = 32
By = Literal["activation", "taylor"]


@dataclass(frozen=True)
class UnitImportance:
    """Of a model with K layers."""

    neurons: Tensor
    """(K, n) float64."""
    groups: Tensor
    """(K, g) float64, of key-value heads with their query heads."""

    def best(self, neurons: int, groups: int) -> tuple[list[Tensor], list[Tensor]]:
        """The most important ones of each layer, in rising order of place: what `SLMRec.with_width` takes."""
        chosen = []
        for scores, number in ((self.neurons, neurons), (self.groups, groups)):
            chosen.append([row.topk(min(number, len(row))).indices.sort().values for row in scores])
        return chosen[0], chosen[1]


def unit_importance(
    model: SLMRec, data: Dataset, *, by: By = "activation", histories: int = HISTORIES, seed: int = 0
) -> UnitImportance:
    """Measure all units on training histories drawn by the seed; the model stays as it is.

    Raises:
        UserError: a decoder of a family whose parts are not known.
    """
    own = widths(model.backbone.config)
    reading = model.config.reading
    supervise: Any = "every-position" if reading == "every-position" else "last-position"
    examples = training_examples(data, model.config.max_length, supervise)
    order = np.random.default_rng(seed).permutation(len(examples))[:histories]
    layers: Any = model.backbone.layers
    probes = [_Probe(layer.mlp.down_proj, 1, by) for layer in layers]
    probes += [_Probe(layer.self_attn.o_proj, own.heads * own.head_dim, by) for layer in layers]
    training, bias = model.training, model.input_adapter.bias
    needed = bias.requires_grad
    model.eval()
    bias.requires_grad_(by == "taylor" or needed)  # a graph that begins where items enter
    try:
        for start in range(0, len(order), _TOGETHER):
            batch = collate([examples[i] for i in order[start : start + _TOGETHER]])
            batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
            _look(model, batch, probes, by)
    finally:
        for probe in probes:
            probe.remove()
        bias.requires_grad_(needed)
        model.train(training)
    found = [probe.total / probe.positions for probe in probes]
    return UnitImportance(torch.stack(found[: len(layers)]), torch.stack(found[len(layers) :]))


def _look(model: SLMRec, batch: dict[str, Tensor], probes: Sequence["_Probe"], by: By) -> None:
    ids, lengths, labels = batch["input_ids"], batch["lengths"], batch["labels"]
    after = model.config.prompt_lengths[1]
    steps = torch.arange(ids.shape[1] + after, device=ids.device)
    for probe in probes:
        probe.begin(steps < (lengths + after)[:, None])
    with torch.set_grad_enabled(by == "taylor"):
        states = model(ids, lengths)
        if by == "taylor":
            valid = labels != IGNORED
            loss = softmax_cross_entropy(states[valid], labels[valid], model.items.table())
            inputs = [probe.entered[-1] for probe in probes]  # after the text before the items, if that is there too
            # Times the targets: the mean over them would make a large batch's positions count less.
            gradients = torch.autograd.grad(loss * int(valid.sum()), inputs)
            for probe, gradient in zip(probes, gradients, strict=True):
                probe.take(probe.entered[-1].detach() * gradient)


class _Probe:
    """Looks at what enters a layer's last map, in pieces of one unit each."""

    def __init__(self, target: torch.nn.Linear, size: int, by: By) -> None:
        self.target, self.size, self.by = target, size, by
        self.total = torch.zeros(target.in_features // size, dtype=torch.float64, device=target.weight.device)
        self.positions = 0
        self.valid = torch.empty(0)
        self.entered: list[Tensor] = []
        self.handle = target.register_forward_pre_hook(self._enter)

    def begin(self, valid: Tensor) -> None:
        """A batch begins, whose (B, L) valid positions count."""
        self.valid, self.entered = valid, []

    def remove(self) -> None:
        """Look no more."""
        self.handle.remove()

    def take(self, products: Tensor) -> None:
        """Count (B, L, in) products of what entered and its gradient."""
        self._add(products[self.valid].unflatten(-1, (-1, self.size)).sum(dim=-1).abs())

    def _enter(self, module: torch.nn.Module, arguments: tuple[Tensor, ...]) -> None:
        (entered,) = arguments
        if self.by == "taylor":
            if entered.requires_grad:
                self.entered.append(entered)
            return
        # A single row is whole: a batch of one, or the text before the items, which is run once a batch.
        rows = entered[0] if len(entered) == 1 else entered[self.valid]
        pieces = rows.unflatten(-1, (-1, self.size))  # (P, units, size)
        columns = self.target.weight.unflatten(-1, (-1, self.size))  # (D, units, size)
        if self.size == 1:
            self._add(pieces[..., 0].abs() * columns[..., 0].norm(dim=0))
        else:
            self._add(torch.einsum("pus,dus->pud", pieces, columns).norm(dim=-1))

    def _add(self, importance: Tensor) -> None:
        """Count (P, units)."""
        self.total += importance.double().sum(dim=0)
        self.positions += len(importance)
