"""SASRec (Kang & McAuley, ICDM 2018): a causal transformer over item vectors, scored by dot product with them.

The strong reading of it: pre-norm blocks, a final norm, one item table for input and output, and no alignment of the
sequence to its end: position i counts from the start of the window, so each position's state is exactly the one that
a history ending there has at inference.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from slmrec.models.classic import Classic, ClassicConfig


class SASRecConfig(ClassicConfig):
    """Shape of a SASRec."""

    model_type = "sasrec"

    num_blocks: int = 2
    """Transformer blocks."""
    num_heads: int = 1
    """Attention heads."""


class Block(nn.Module):
    """x + Attention(norm(x)), then x + FeedForward(norm(x)). Padding is on the right, where causality hides it."""

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        size = config.hidden_size
        self.num_heads = config.num_heads
        self.rate = config.dropout
        self.attention_norm = nn.LayerNorm(size)
        self.query_key_value = nn.Linear(size, 3 * size)
        self.output = nn.Linear(size, size)
        self.feed_forward_norm = nn.LayerNorm(size)
        self.up = nn.Linear(size, 4 * size)
        self.down = nn.Linear(4 * size, size)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, states: Tensor, visible: Tensor | None = None) -> Tensor:
        """One block.

        Args:
            states: (B, L, D) float.
            visible: (B, L) bool, the positions that every position sees; None: itself and the earlier ones.
        """
        states = states + self.dropout(self.attention(self.attention_norm(states), visible))
        return states + self.dropout(self.feed_forward(self.feed_forward_norm(states)))

    def attention(self, states: Tensor, visible: Tensor | None) -> Tensor:
        """Multi-head attention over (B, L, D)."""
        batch, length, size = states.shape
        heads = self.query_key_value(states).view(batch, length, 3, self.num_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # (B, H, L, D/H) each
        rate = self.rate if self.training else 0.0
        mask = None if visible is None else visible[:, None, None]  # (B, 1, 1, L)
        mixed = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask, dropout_p=rate, is_causal=visible is None
        )
        return self.output(mixed.transpose(1, 2).reshape(batch, length, size))

    def feed_forward(self, states: Tensor) -> Tensor:
        """Each position by itself: a layer four times as wide, GELU, and back."""
        return self.down(self.dropout(F.gelu(self.up(states))))


class SASRec(Classic):
    """SASRec over a catalogue of N items with D = hidden_size."""

    kind = "sasrec"
    config_class = SASRecConfig
    block = Block

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__(config)
        self.positions = nn.Embedding(config.max_length, config.hidden_size)
        self.blocks = nn.ModuleList(self.block(config) for _ in range(config.num_blocks))
        self.norm = nn.LayerNorm(config.hidden_size)
        self.post_init()

    def states(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        states = self.dropout(self.scaled(vectors) + self.positions.weight[: vectors.shape[1]])  # (B, L, D)
        for block in self.blocks:
            states = block(states)
        return self.norm(states)
