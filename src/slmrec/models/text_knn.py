"""Text-kNN: items whose text is like that of the history's items, recent ones counting most.

    w(j, i) = exp(cos(t_j, t_i) / τ) / Σ_k exp(cos(t_j, t_k) / τ)        over j's K nearest; in `neighbours.py`

t: the items' text vectors (`text.py`), whitened as the item table reads them (`whitening.py`); τ: temperature. It knows
nothing of who chose what, so an item that training never saw is found like any other.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from slmrec.data import Dataset
from slmrec.models.neighbours import Block, Neighbours, NeighboursConfig
from slmrec.models.whitening import whiten, whitening

TOGETHER = 1024
"""Items that are compared with all others at once."""


class TextKNNConfig(NeighboursConfig):
    """Shape of a text-kNN."""

    model_type = "text-knn"


class TextKNN(Neighbours):
    """Text-kNN over a catalogue."""

    kind = "text-knn"
    config_class = TextKNNConfig

    @classmethod
    def from_data(
        cls,
        data: Dataset,
        vectors: Tensor,
        neighbours: int = 100,
        temperature: float = 0.1,
        decay: float = 0.7,
        max_length: int = 50,
    ) -> "TextKNN":
        """Compare the items' texts.

        Args:
            data: the data set.
            vectors: (N, e) the text vectors of its items; an item without text has zeros, and no neighbours.
            neighbours: K.
            temperature: τ.
            decay: δ.
            max_length: most recent items of a history that are read.
        """
        neighbours = min(neighbours, max(1, data.num_items - 1))
        config = TextKNNConfig(num_items=data.num_items, neighbours=neighbours, decay=decay, max_length=max_length)
        return cls._of(config, data, _blocks(vectors, neighbours, temperature))


def _blocks(vectors: Tensor, count: int, temperature: float) -> Iterator[Block]:
    texts = whiten(vectors, whitening(vectors))
    some = texts.any(dim=1)
    for start in range(0, len(texts), TOGETHER):
        cosines = texts[start : start + TOGETHER] @ texts.T  # (M, N)
        cosines[:, ~some] = -torch.inf
        cosines[torch.arange(len(cosines)), torch.arange(start, start + len(cosines))] = -torch.inf  # itself
        best, columns = cosines.topk(min(count, len(texts)), dim=1)
        weights = torch.softmax(best / temperature, dim=1)
        rows, places = torch.nonzero(some[start : start + TOGETHER, None] & best.isfinite(), as_tuple=True)
        yield rows + start + 1, places, columns[rows, places].to(torch.int32) + 1, weights[rows, places]
