"""A modern SASRec in the manner of eSASRec (Tikhonovich et al., RecSys 2025): SASRec with LiGR's blocks.

    x' = x  + σ(W_a x)  ⊙ Attention(norm(x))
    y  = x' + σ(W_f x') ⊙ SwiGLU(norm(x'))          SwiGLU(z) = W_3 (SiLU(W_1 z) ⊙ W_2 z)

LiGR: Borisyuk et al., 2025; SwiGLU: Shazeer, 2020. eSASRec's third part, sampled softmax, is `training.loss`; what else
differs from SASRec here is nothing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmrec.models.sasrec import Block, SASRec, SASRecConfig


class ESASRecConfig(SASRecConfig):
    """Shape of an eSASRec."""

    model_type = "esasrec"


class LiGRBlock(Block):
    """A block that weighs, from its input, what each branch adds to each dimension; its feed-forward is SwiGLU."""

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__(config)
        size = config.hidden_size
        self.gate = nn.Linear(size, 4 * size)
        self.attention_share = nn.Linear(size, size)
        self.feed_forward_share = nn.Linear(size, size)

    def forward(self, states: Tensor, visible: Tensor | None = None) -> Tensor:
        share = torch.sigmoid(self.attention_share(states))
        states = states + share * self.dropout(self.attention(self.attention_norm(states), visible))
        share = torch.sigmoid(self.feed_forward_share(states))
        return states + share * self.dropout(self.feed_forward(self.feed_forward_norm(states)))

    def feed_forward(self, states: Tensor) -> Tensor:
        """SwiGLU."""
        return self.down(self.dropout(F.silu(self.gate(states)) * self.up(states)))


class ESASRec(SASRec):
    """eSASRec over a catalogue of N items with D = hidden_size."""

    kind = "esasrec"
    config_class = ESASRecConfig
    block = LiGRBlock
