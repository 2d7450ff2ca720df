"""How much each of several models counts when they score together: as the validation split would have it.

    w = argmin_{w ≥ 0}  -(1/P) Σ_p  log softmax_C( Σ_t w_t z_{t,p} )[y_p]

z_{t,p}: scores of the candidates C by model t after validation history p, whose next item is y_p. The weights' sum is
free: it sets how sure the models are together. A model that adds nothing to the others gets nothing, and is not asked.
One number a model, out of a thousand cases or two, leaves little to learn by heart.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmrec.data import Dataset
from slmrec.engine import device_of
from slmrec.models import Recommender

CASES = 2_048
"""Validation cases that decide."""
CANDIDATES = 16_384
"""Items drawn beside the targets; all, where there are no more."""
LEAST = 0.02
"""Share of the weights' sum below which a model is left out."""
BATCH = 64


def ensemble_weights(models: Sequence[Recommender], data: Dataset, seed: int = 0) -> list[float]:
    """A weight for each model, 0 or more.

    Args:
        models: trained on the data set's training split.
        data: whose validation split decides; where it has no case, all count alike.
        seed: of the cases and items drawn, where there are too many.
    """
    cases = data.cases("valid")
    if len(models) == 1 or not len(cases.users):
        return [1 / len(models)] * len(models)
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.permutation(len(cases.users))[:CASES])
    places = list(zip(cases.users[chosen].tolist(), cases.positions[chosen].tolist(), strict=True))
    histories = [data.history(user, position) for user, position in places]
    targets = np.array([int(data.sequence[position]) for _, position in places])
    drawn = generator.permutation(data.num_items)[:CANDIDATES] + 1
    items = np.union1d(targets, drawn)
    columns = torch.from_numpy(items - 1)
    wanted = torch.from_numpy(np.searchsorted(items, targets))
    scores = torch.stack([_scores(model, histories, columns) for model in models])  # (T, P, C)
    # Rounded, so that a training that goes on with another number of threads is still the same one.
    return [float(f"{weight:.3g}") for weight in _fitted(scores, wanted).tolist()]


def _scores(model: Recommender, histories: Sequence[np.ndarray], columns: Tensor) -> Tensor:
    """(P, C) float32, on the CPU; the model is where it was."""
    before = model.device
    nn.Module.to(model, device_of())
    batches = [histories[start : start + BATCH] for start in range(0, len(histories), BATCH)]
    scores = torch.cat([model.log_scores(batch).float().cpu()[:, columns] for batch in batches])
    nn.Module.to(model, before)
    return scores


def _fitted(scores: Tensor, targets: Tensor) -> Tensor:
    """(T,) weights of (T, P, C) scores under which (P,) targets are most likely."""
    models = len(scores)
    raw = torch.full((models,), 1 / models).expm1().log().requires_grad_()  # softplus(raw) = 1 / T
    optimiser = torch.optim.LBFGS([raw], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        together = torch.einsum("t,tpc->pc", F.softplus(raw), scores)
        found = F.cross_entropy(together, targets)
        found.backward()
        return found

    optimiser.step(loss)
    weights = F.softplus(raw.detach())
    return weights.where(weights >= LEAST * weights.sum(), 0)
