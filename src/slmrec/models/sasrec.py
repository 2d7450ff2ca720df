"""SASRec (Kang & McAuley, ICDM 2018): a causal transformer over item vectors, scored by dot product with them.

The strong reading of it: pre-norm blocks, a final norm, one item table for input and output, and no alignment of the
sequence to its end: position i counts from the start of the window, so each position's state is exactly the one that
a history ending there has at inference.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from slmrec.models.base import Recommender, RecommenderConfig
from slmrec.models.items import ItemTable


class SASRecConfig(RecommenderConfig):
    """Shape of a SASRec."""

    model_type = "sasrec"

    hidden_size: int = 64
    """D, width of item vectors and states."""
    num_blocks: int = 2
    """Transformer blocks."""
    num_heads: int = 1
    """Attention heads."""
    dropout: float = 0.3
    """Rate of dropout on inputs, attention and feed-forward."""
    initializer_range: float = 0.02
    """Standard deviation of initial weights."""


class SASRec(Recommender):
    """SASRec over a catalogue of N items with D = hidden_size."""

    kind = "sasrec"
    config_class = SASRecConfig

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__(config)
        self.items = ItemTable(
            config.num_items, config.hidden_size, config.text_dim, config.id_dropout, config.text_source
        )
        self.positions = nn.Embedding(config.max_length, config.hidden_size)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(_Block(config) for _ in range(config.num_blocks))
        self.norm = nn.LayerNorm(config.hidden_size)
        self.post_init()

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        states = self.items(input_ids) * self.config.hidden_size**0.5  # (B, L, D)
        states = self.dropout(states + self.positions.weight[: input_ids.shape[1]])
        for block in self.blocks:
            states = block(states)
        return self.norm(states)

    def item_vectors(self) -> Tensor:
        return self.items.table()[1:]


class _Block(nn.Module):
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

    def forward(self, states: Tensor) -> Tensor:
        batch, length, size = states.shape
        heads = self.query_key_value(self.attention_norm(states)).view(batch, length, 3, self.num_heads, -1)
        query, key, value = heads.permute(2, 0, 3, 1, 4)  # (B, H, L, D/H) each
        rate = self.rate if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, dropout_p=rate, is_causal=True)
        mixed = mixed.transpose(1, 2).reshape(batch, length, size)
        states = states + self.dropout(self.output(mixed))
        inner = self.dropout(F.gelu(self.up(self.feed_forward_norm(states))))
        return states + self.dropout(self.down(inner))
