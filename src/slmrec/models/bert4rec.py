"""BERT4Rec (Sun et al., CIKM 2019): a transformer that sees both sides of an item left out, trained to fill it in.

At inference a mask stands behind the history and is read; so it reads a history once, not at every position, and
teaches none by scores. Positions count from the end, where that mask stands. Training is `training.modules.Cloze`.
What differs from the paper: pre-norm blocks, those of SASRec without their causality, and no bias for each item.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmrec.models.classic import Classic
from slmrec.models.sasrec import Block, SASRecConfig


class BERT4RecConfig(SASRecConfig):
    """Shape and cloze task of a BERT4Rec."""

    model_type = "bert4rec"

    mask_share: float = 0.2
    """Share of a training sequence's items that are left out."""
    last_share: float = 0.1
    """Share of training sequences in which the last item alone is left out, as at inference."""


class BERT4Rec(Classic):
    """BERT4Rec over a catalogue of N items with D = hidden_size."""

    kind = "bert4rec"
    config_class = BERT4RecConfig

    def __init__(self, config: BERT4RecConfig) -> None:
        super().__init__(config)
        size = config.hidden_size
        self.mask = nn.Parameter(torch.empty(size).normal_(std=config.initializer_range * size**0.5))
        self.positions = nn.Embedding(config.max_length + 1, size)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_blocks))
        self.norm = nn.LayerNorm(size)
        self.output = nn.Linear(size, size)
        self.output_norm = nn.LayerNorm(size)
        self.post_init()

    @property
    def scores_every_position(self) -> bool:
        return False

    def states(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """(B, 1, D): the mask behind each history, read."""
        vectors = F.pad(vectors, (0, 0, 0, 1))  # (B, L + 1, D)
        masked = torch.arange(vectors.shape[1], device=vectors.device) == lengths[:, None]  # (B, L + 1)
        last = lengths[:, None, None].expand(-1, 1, vectors.shape[2])
        return self._filled(vectors, lengths + 1, masked).gather(1, last)

    def fill(self, input_ids: Tensor, lengths: Tensor, masked: Tensor) -> Tensor:
        """States from which what is masked can be told.

        Args:
            input_ids: (B, L) int, item indices, padded with `PADDING` on the right.
            lengths: (B,) int, how many of each row are items or masks.
            masked: (B, L) bool, True where an item is left out.

        Returns:
            (B, L, D) float.
        """
        return self._filled(self.items(input_ids), lengths, masked)

    def _filled(self, vectors: Tensor, lengths: Tensor, masked: Tensor) -> Tensor:
        places = torch.arange(vectors.shape[1], device=vectors.device)
        visible = places < lengths[:, None]  # (B, L)
        vectors = torch.where(masked[..., None], self.mask, self.scaled(vectors))  # (B, L, D)
        from_end = (lengths[:, None] - 1 - places).clamp(min=0)  # (B, L), 0 for the last item or mask
        states = self.dropout(vectors + self.positions(from_end))
        for block in self.blocks:
            states = block(states, visible)
        return self.output_norm(F.gelu(self.output(self.norm(states))))
