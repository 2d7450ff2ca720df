"""Caser (Tang & Wang, WSDM 2018): convolutions over the matrix of the last W items' vectors.

    horizontal filters, n_h of each height h = 1..W:  o = max over places of ReLU(conv), what happened somewhere in it
    vertical filters, n_v of them:                    õ = weighted sums of the W vectors, dimension by dimension
    z = ReLU(W [o; õ] + b)                            scored as norm(V z + c) · v_i

What differs from the paper: no user embedding, so that users never seen work and a history is all that is needed; z is
computed at every position, mapped to the one item table's width, where the paper has a second table, and normed, or the
first epochs would learn popularity alone; every position is supervised over the whole catalogue. Before its first item
a window is filled with zeros, as in the paper.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmrec.models.classic import Classic, ClassicConfig


class CaserConfig(ClassicConfig):
    """Shape of a Caser."""

    model_type = "caser"

    window: int = 5
    """W, most recent items that a position sees."""
    horizontal_filters: int = 16
    """n_h, filters of each height."""
    vertical_filters: int = 4
    """n_v."""


class Caser(Classic):
    """Caser over a catalogue of N items with D = hidden_size."""

    kind = "caser"
    config_class = CaserConfig

    def __init__(self, config: CaserConfig) -> None:
        super().__init__(config)
        size, window = config.hidden_size, config.window
        self.horizontal = nn.ModuleList(
            nn.Conv1d(size, config.horizontal_filters, height) for height in range(1, window + 1)
        )
        self.vertical = nn.Conv1d(1, config.vertical_filters, window)
        found = config.horizontal_filters * window + config.vertical_filters * size
        self.hidden = nn.Linear(found, size)
        self.output = nn.Linear(size, size)
        self.norm = nn.LayerNorm(size)
        self.post_init()

    def states(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        batch, length, size = vectors.shape
        window = self.config.window
        vectors = self.scaled(vectors).transpose(1, 2)  # (B, D, L)
        padded = F.pad(vectors, (window - 1, 0))  # position p's window: places p to p + W - 1
        found = []
        for height, conv in enumerate(self.horizontal, 1):
            places = F.relu(conv(padded))  # (B, n_h, L + W - height)
            found.append(F.max_pool1d(places, window - height + 1, stride=1))  # (B, n_h, L)
        sums = self.vertical(padded.reshape(batch * size, 1, -1))  # (B D, n_v, L)
        found.append(sums.view(batch, -1, length))
        states = self.dropout(torch.cat(found, dim=1).transpose(1, 2))  # (B, L, n_h W + n_v D)
        return self.norm(self.output(self.dropout(F.relu(self.hidden(states)))))
