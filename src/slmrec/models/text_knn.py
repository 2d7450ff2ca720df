"""Text-kNN: items whose text is like that of the history's items, recent ones counting most.

    w(j, i) = exp(cos(t_j, t_i) / τ) / Σ_k exp(cos(t_j, t_k) / τ)        over j's K nearest; in `neighbours.py`

t: the items' text vectors (`text.py`), whitened as the item table reads them (`whitening.py`); τ: temperature. It knows
nothing of who chose what, so an item that training never saw is found like any other.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from slmrec.data import Dataset
from slmrec.models.neighbours import Block, Neighbours, NeighboursConfig
from slmrec.models.whitening import whiten, whitening

TOGETHER = 1024
"""Items that are compared with all others at once."""


class TextKNNConfig(NeighboursConfig):
    """Shape of a text-kNN."""

    model_type = "text-knn"
    temperature: float = 0.1
    """τ."""
    text_source: str = ""
    """What the text vectors came from, so that new items can get theirs."""
    text_dim: int = 0
    """Their width, e."""


class TextKNN(Neighbours):
    """Text-kNN over a catalogue; it keeps the items' texts, so that new items can be put among them."""

    kind = "text-knn"
    config_class = TextKNNConfig
    config: TextKNNConfig

    def __init__(self, config: TextKNNConfig) -> None:
        super().__init__(config)
        width = config.text_dim
        self.text = nn.Parameter(torch.zeros(config.num_items + 1, width), requires_grad=False)  # whitened
        self.whitening = nn.Parameter(torch.zeros(width + 1, width), requires_grad=False)

    @classmethod
    def from_data(
        cls,
        data: Dataset,
        vectors: Tensor,
        source: str = "",
        neighbours: int = 100,
        temperature: float = 0.1,
        decay: float = 0.7,
        max_length: int = 50,
    ) -> "TextKNN":
        """Compare the items' texts.

        Args:
            data: the data set.
            vectors: (N, e) the text vectors of its items; an item without text has zeros, and no neighbours.
            source: what they came from.
            neighbours: K.
            temperature: τ.
            decay: δ.
            max_length: most recent items of a history that are read.
        """
        neighbours = min(neighbours, max(1, data.num_items - 1))
        config = TextKNNConfig(
            num_items=data.num_items,
            neighbours=neighbours,
            decay=decay,
            max_length=max_length,
            temperature=temperature,
            text_source=source,
            text_dim=vectors.shape[1],
        )
        model = cls(config)
        model.whitening.copy_(whitening(vectors))
        model.text[1:] = whiten(vectors, model.whitening)
        model.catalogue = data.catalogue
        return model._fill(_blocks(model.text[1:], neighbours, temperature))

    @property
    def known_by_text(self) -> tuple[str, int]:
        return self.config.text_source, self.config.text_dim

    def _append(self, text: Tensor) -> None:
        self.text = nn.Parameter(torch.cat([self.text, whiten(text, self.whitening)]), requires_grad=False)
        self._clear(len(self.text) - 1)
        self._fill(_blocks(self.text[1:], self.config.neighbours, self.config.temperature))


def _blocks(texts: Tensor, count: int, temperature: float) -> Iterator[Block]:
    """Neighbours by (N, e) whitened texts."""
    some = texts.any(dim=1)
    for start in range(0, len(texts), TOGETHER):
        cosines = texts[start : start + TOGETHER] @ texts.T  # (M, N)
        cosines[:, ~some] = -torch.inf
        cosines[torch.arange(len(cosines)), torch.arange(start, start + len(cosines))] = -torch.inf  # itself
        best, columns = cosines.topk(min(count, len(texts)), dim=1)
        weights = torch.softmax(best / temperature, dim=1)
        rows, places = torch.nonzero(some[start : start + TOGETHER, None] & best.isfinite(), as_tuple=True)
        yield rows + start + 1, places, columns[rows, places].to(torch.int32) + 1, weights[rows, places]
