"""Item-kNN (Sarwar et al., WWW 2001): what users of the history's items also have, recent items counting most.

    w(j, i) = c_ij / (√(c_i c_j) + λ)        in `neighbours.py`

c_i: users of the training split that have item i; c_ij: those that have both; λ: shrinkage, which takes from pairs that
few users have. With λ = 0, w is the cosine between the two items' columns of users.
"""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

from slmrec.data import Dataset
from slmrec.models.neighbours import Block, Neighbours, NeighboursConfig, strongest

PAIRS = 20_000_000
"""Pairs of items (with repetitions, one for each user) that are counted together."""


class ItemKNNConfig(NeighboursConfig):
    """Shape of an item-kNN."""

    model_type = "item-knn"


class ItemKNN(Neighbours):
    """Item-kNN over a catalogue."""

    kind = "item-knn"
    config_class = ItemKNNConfig

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
        config = ItemKNNConfig(num_items=data.num_items, neighbours=neighbours, decay=decay, max_length=max_length)
        return cls._of(config, data, _blocks(data, neighbours, shrinkage))


def _blocks(data: Dataset, count: int, shrinkage: float) -> Iterator[Block]:
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
        yield strongest(rows[other], items[other], weights[other], count)
