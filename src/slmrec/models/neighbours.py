"""Recommenders that keep each item's nearest items and train nothing.

    s_i = Σ_{p=1..L} δ^(L-p) w(x_p, i)        over the history x_1 … x_L

w(j, i): how strongly item j points to item i, of the K strongest that are kept of each j; δ: decay a position. The
kinds differ in w alone: `item_knn.py`, `sequential_rules.py`, `text_knn.py`.
"""

from collections.abc import Iterable, Sequence
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from slmrec.data import PADDING, Catalogue, Dataset
from slmrec.data.batches import pad
from slmrec.models.base import Recommender, RecommenderConfig

Block = tuple[Tensor, Tensor, Tensor, Tensor]
"""Neighbours: rows of the tables, places in them, items and weights, (n,) each."""


class NeighboursConfig(RecommenderConfig):
    """Shape of a recommender by neighbours."""

    neighbours: int = 100
    """K, items that are kept of each item."""
    decay: float = 1.0
    """δ, by which an item counts less for each later one in the history."""


class Neighbours(Recommender):
    """Neighbours over a catalogue of N items; rows of its tables are item indices, the padding's included."""

    config: NeighboursConfig

    def __init__(self, config: NeighboursConfig) -> None:
        super().__init__(config)
        self._clear(config.num_items)
        self.post_init()

    @classmethod
    def _of(cls, config: NeighboursConfig, data: Dataset, blocks: Iterable[Block]) -> Self:
        """A model with found neighbours."""
        model = cls(config)
        model.catalogue = data.catalogue
        return model._fill(blocks)

    def _clear(self, num_items: int) -> None:
        """Forget the neighbours, and make room for those of so many items."""
        # (N + 1, K) each; where an item has fewer neighbours, the padding stands with weight 0.
        shape = (num_items + 1, self.config.neighbours)
        self.nearest = nn.Parameter(torch.full(shape, PADDING, dtype=torch.int32), requires_grad=False)
        self.weights = nn.Parameter(torch.zeros(shape), requires_grad=False)

    def _fill(self, blocks: Iterable[Block]) -> Self:
        """Put found neighbours into the empty tables; returns the model."""
        for rows, places, items, weights in blocks:
            self.nearest[rows, places], self.weights[rows, places] = items, weights
        self.config.trained_parameters = int((self.weights > 0).sum())
        return self.eval()

    def make_room(self, catalogue: Catalogue) -> None:
        """Take over a catalogue that has new items behind its own; it knows nothing of them.

        They point to no item and none to them, so beside a model that knows them they neither gain nor lose by it.
        """
        new = len(catalogue) - self.config.num_items
        none = self.nearest.new_full((new, self.config.neighbours), PADDING)
        self.nearest = nn.Parameter(torch.cat([self.nearest, none]), requires_grad=False)
        self.weights = nn.Parameter(torch.cat([self.weights, torch.zeros_like(none, dtype=self.weights.dtype)]), False)
        self.catalogue, self.config.num_items = catalogue, len(catalogue)

    @torch.inference_mode()
    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        read = [np.asarray(history)[-self.config.max_length :] for history in histories]
        input_ids = pad(read, PADDING).to(self.device)  # (B, L)
        lengths = torch.tensor([len(history) for history in read], device=self.device)
        ages = lengths[:, None] - 1 - torch.arange(input_ids.shape[1], device=self.device)
        shares = self.config.decay ** ages.clamp(min=0)  # (B, L); the padding's neighbours weigh nothing anyhow
        scores = self.weights.new_zeros(len(read), self.config.num_items + 1)
        votes = self.weights[input_ids] * shares[..., None]  # (B, L, K)
        scores.scatter_add_(1, self.nearest[input_ids].flatten(1).long(), votes.flatten(1))
        return scores[:, 1:]

    def log_scores(self, histories: Sequence[np.ndarray]) -> Tensor:
        """(B, N): as `position_scores` has them after the last item."""
        scores = self.score(histories)
        return (scores + scores.mean(dim=1, keepdim=True)).clamp(min=torch.finfo(scores.dtype).tiny).log()

    @property
    def scores_every_position(self) -> bool:
        return True

    def position_scores(self, input_ids: Tensor, lengths: Tensor, candidates: Tensor) -> Tensor:
        """(B, L, C): log(s_i + s̄), s̄ the mean score over the catalogue.

        So half of the probability goes to items by their scores and half to all alike, whatever the scores' unit.
        """
        place = torch.full((self.config.num_items + 1,), len(candidates), device=input_ids.device)
        place[candidates] = torch.arange(len(candidates), device=input_ids.device)
        weights = self.weights[input_ids]  # (B, L, K)
        scores = weights.new_zeros(*input_ids.shape, len(candidates) + 1)
        scores.scatter_add_(2, place[self.nearest[input_ids].long()], weights)  # what is no candidate falls in the last
        scores[..., -1] = weights.sum(dim=2) / self.config.num_items
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        ages = positions[:, None] - positions  # of column's event at row's position
        scores = (self.config.decay ** ages.clamp(min=0)).tril() @ scores  # (L, L) by (B, L, C + 1)
        tiny = torch.finfo(scores.dtype).tiny  # a history without a neighbour says nothing of any item
        return (scores[..., :-1] + scores[..., -1:]).clamp(min=tiny).log()

    def similarities(self, indices: Tensor) -> Tensor:
        """(M, N): the neighbours' weights, -inf for all other items."""
        found = self.weights.new_full((len(indices), self.config.num_items + 1), -torch.inf)
        found.scatter_(1, self.nearest[indices].long(), self.weights[indices])
        return found[:, 1:]


def strongest(rows: np.ndarray, items: np.ndarray, weights: np.ndarray, count: int) -> Block:
    """The strongest of some rows' (n,) neighbours: rows, items and weights in any order; of equal ones the earlier."""
    order = np.lexsort((items, -weights, rows))
    rows, items, weights = rows[order], items[order], weights[order]
    places = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept = places < count
    return (
        torch.from_numpy(rows[kept]),
        torch.from_numpy(places[kept]),
        torch.from_numpy(items[kept].astype(np.int32)),
        torch.from_numpy(weights[kept]),
    )
