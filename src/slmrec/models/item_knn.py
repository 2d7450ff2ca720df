"""Item-kNN (Sarwar et al., WWW 2001): what users of the history's items also have, recent items counting most.

    w_ij = c_ij / (√(c_i c_j) + λ)              the K largest of each item's are kept
    s_i  = Σ_{p=1..L} δ^(L-p) w_{i, x_p}        over the history x_1 … x_L

c_i: users of the training split that have item i; c_ij: those that have both; λ: shrinkage, which takes from pairs that
few users have; δ: decay a position. With λ = 0, w is the cosine between the two items' columns of users.
"""

from collections.abc import Sequence

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn

from slmrec.data import PADDING, Dataset
from slmrec.data.batches import pad
from slmrec.models.base import Recommender, RecommenderConfig

PAIRS = 20_000_000
"""Pairs of items (with repetitions, one for each user) that are counted together."""


class ItemKNNConfig(RecommenderConfig):
    """Shape of an item-kNN."""

    model_type = "item-knn"

    neighbours: int = 100
    """K, most similar items that are kept of each item."""
    decay: float = 1.0
    """δ, by which an item counts less for each later one in the history."""


class ItemKNN(Recommender):
    """Item-kNN over a catalogue of N items; rows of its tables are item indices, the padding's included."""

    kind = "item-knn"
    config_class = ItemKNNConfig

    def __init__(self, config: ItemKNNConfig) -> None:
        super().__init__(config)
        shape = (config.num_items + 1, config.neighbours)
        # (N + 1, K) each; where an item has fewer neighbours, the padding stands with similarity 0.
        self.nearest = nn.Parameter(torch.full(shape, PADDING, dtype=torch.int32), requires_grad=False)
        self.weights = nn.Parameter(torch.zeros(shape), requires_grad=False)
        self.post_init()

    @classmethod
    def from_data(
        cls, data: Dataset, neighbours: int = 100, shrinkage: float = 0.0, decay: float = 1.0, max_length: int = 50
    ) -> "ItemKNN":
        """Compare the items of the training split.

        Args:
            data: the data set.
            neighbours: K.
            shrinkage: λ.
            decay: δ.
            max_length: most recent items of a history that are read.
        """
        neighbours = min(neighbours, max(1, data.num_items - 1))
        config = ItemKNNConfig(
            num_items=data.num_items, neighbours=neighbours, decay=decay, max_length=max_length, trained_parameters=0
        )
        model = cls(config)
        model.catalogue = data.catalogue
        for rows, places, items, weights in _neighbours(data, neighbours, shrinkage):
            model.nearest[rows, places], model.weights[rows, places] = items, weights
        config.trained_parameters = int((model.weights > 0).sum())
        return model.eval()

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
        mean = weights.sum(dim=2, keepdim=True) / self.config.num_items
        scores = torch.cat([scores[..., :-1], mean], dim=2)
        for position in range(1, input_ids.shape[1]):
            scores[:, position] += self.config.decay * scores[:, position - 1]
        tiny = torch.finfo(scores.dtype).tiny  # a history without a neighbour says nothing of any item
        return (scores[..., :-1] + scores[..., -1:]).clamp(min=tiny).log()

    def similarities(self, indices: Tensor) -> Tensor:
        """(M, N): the neighbours' similarities, -inf for all other items."""
        found = self.weights.new_full((len(indices), self.config.num_items + 1), -torch.inf)
        found.scatter_(1, self.nearest[indices].long(), self.weights[indices])
        return found[:, 1:]


def _neighbours(data: Dataset, count: int, shrinkage: float):
    """Blocks of found neighbours: rows, places in them, items and weights, (n,) each."""
    sequences = data.train_sequences()
    users = np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])
    pairs = (np.ones(len(users), dtype=np.float32), (users, np.concatenate(sequences)))
    has = sparse.csc_array(pairs, shape=(len(sequences), data.num_items + 1))
    has.sum_duplicates()
    has.data[:] = 1  # whether, not how often
    roots = np.sqrt(np.diff(has.indptr).astype(np.float32))  # √c_i
    work = np.cumsum(has.T @ has.sum(axis=1))  # pairs that an item and those before it are in
    edges = np.searchsorted(work, np.arange(PAIRS, work[-1], PAIRS))
    for start, end in zip([0, *edges], [*edges, len(roots)], strict=True):
        together = sparse.coo_array(has[:, start:end].T @ has)
        rows, items = together.coords
        rows = rows + start
        weights = together.data / (roots[rows] * roots[items] + shrinkage)
        other = rows != items
        rows, items, weights = rows[other], items[other], weights[other]
        order = np.lexsort((items, -weights, rows))  # best first; of equal ones the earlier item
        rows, items, weights = rows[order], items[order], weights[order]
        places = np.arange(len(rows)) - np.searchsorted(rows, rows)
        kept = places < count
        yield tuple(torch.from_numpy(found[kept]) for found in (rows, places, items.astype(np.int32), weights))
