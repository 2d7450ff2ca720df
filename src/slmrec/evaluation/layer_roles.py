"""What each layer of an LLM recommender does, from its states on real histories.

Block influence (Men et al., ShortGPT, 2024):   BI_l = 1 - E[ cos(h_{l-1}, h_l) ],     how far layer l turns a state
Linear CKA (Kornblith et al., ICML 2019):       ‖H_aᵀ H_b‖²_F / (‖H_aᵀ H_a‖_F ‖H_bᵀ H_b‖_F),   how alike two layers are
Contribution:                                   c_l = E[ W diag(g) (h_l - h_{l-1}) / ρ · (v_y - v̄) ]

h_l: the state after layer l at a history's last item (h_0: what enters the first); H: those states, centred. A residual
stream is a sum, and once the final norm's scale ρ is held at its value the rest is linear: so the contributions of the
input and of all layers add up to the mean margin of the true item y over the mean item, exactly but for what biases
give to every history alike. W: output adapter; g: the norm's weight.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from slmrec.data.batches import Example, training_examples
from slmrec.data.dataset import Dataset
from slmrec.models.slmrec import SLMRec

HISTORIES = 512
_TOGETHER = 64
By = Literal["influence", "contribution"]


@dataclass(frozen=True)
class LayerRoles:
    """Of a model with L layers."""

    block_influence: list[float]
    """L numbers, 0 (the layer changes nothing of a state's direction) to 2."""
    cka: list[list[float]]
    """(L + 1) x (L + 1) numbers, 0 to 1; the first row and column are the input's."""
    contribution: list[float]
    """L + 1 numbers, the input's first, in the scores' unit."""

    def best(self, count: int, by: By) -> list[int]:
        """The layers that do most, by their place from 0, in rising order: what `SLMRec.with_layers` takes."""
        found = self.block_influence if by == "influence" else self.contribution[1:]
        return sorted(sorted(range(len(found)), key=lambda layer: (-found[layer], layer))[:count])


@torch.no_grad()
def layer_roles(
    model: SLMRec, data: Dataset, split: Literal["train", "test"] = "test", histories: int = HISTORIES, seed: int = 0
) -> LayerRoles:
    """Look at the layers on histories drawn by the seed: before test events, or before users' last training event."""
    examples = _examples(data, split, model.config.max_length)
    chosen = np.random.default_rng(seed).permutation(len(examples))[:histories]
    layers = tuple(range(model.num_layers + 1))
    found, targets = [], []
    for start in range(0, len(chosen), _TOGETHER):
        part = [examples[i] for i in chosen[start : start + _TOGETHER]]
        rows = [torch.from_numpy(example.inputs.astype(np.int64)) for example in part]
        lengths = torch.tensor([len(row) for row in rows], device=model.device)
        ids = nn.utils.rnn.pad_sequence(rows, batch_first=True).to(model.device)
        states = model.hidden(ids, lengths, layers)  # (L + 1, B, R, D)
        read = (lengths - 1).clamp(max=states.shape[2] - 1)
        found.append(states[:, torch.arange(len(rows), device=model.device), read])
        targets += [example.targets.astype(np.int64) for example in part]
    states = torch.cat(found, dim=1).double()  # (L + 1, H, D)
    influence = 1 - torch.cosine_similarity(states[:-1], states[1:], dim=-1).mean(dim=1)
    return LayerRoles(
        influence.tolist(), _cka(states), _contributions(model, states, torch.from_numpy(np.concatenate(targets)))
    )


def _examples(data: Dataset, split: Literal["train", "test"], max_length: int) -> list[Example]:
    if split == "train":
        return training_examples(data, max_length, "last-position")
    cases = data.cases("test")
    return [
        Example(data.history(user, position)[-max_length:], data.sequence[position : position + 1])
        for user, position in zip(cases.users, cases.positions, strict=True)
    ]


def _cka(states: Tensor) -> list[list[float]]:
    centred = states - states.mean(dim=1, keepdim=True)
    products = torch.stack([torch.stack([(a.T @ b).square().sum() for b in centred]) for a in centred])
    own = products.diagonal().sqrt()
    return (products / (own[:, None] * own)).tolist()


def _contributions(model: SLMRec, states: Tensor, targets: Tensor) -> list[float]:
    last, steps = states[-1], torch.cat([states[:1], states[1:] - states[:-1]])  # (H, D), (L + 1, H, D)
    norm = model.final_norm
    if isinstance(norm, nn.LayerNorm):
        steps = steps - steps.mean(dim=-1, keepdim=True)
        scale = (last.var(dim=-1, correction=0) + norm.eps).sqrt()
    else:
        scale = (last.square().mean(dim=-1) + norm.variance_epsilon).sqrt()
    vectors = model.item_vectors().double()
    margin = vectors[targets.to(vectors.device) - 1] - vectors.mean(dim=0)  # (H, d)
    weight = model.output_adapter.weight.double() * norm.weight.double()  # (d, D)
    user = steps / scale[:, None] @ weight.T  # (L + 1, H, d)
    return (user * margin).sum(dim=-1).mean(dim=1).tolist()
