"""GRU4Rec (Hidasi et al., ICLR 2016): a recurrent network over item vectors.

The strong reading of it: every position is supervised by the next item over the whole catalogue instead of one pairwise
loss with the batch's other items as negatives, the input is the item's vector and not a one-hot code, and the GRU's
state goes through a linear map to the width of the one item table, which scores it, and a final norm: without it all
scores begin so near to one another that the first epochs learn popularity alone.
"""

from torch import Tensor, nn

from slmrec.models.classic import Classic, ClassicConfig


class GRU4RecConfig(ClassicConfig):
    """Shape of a GRU4Rec."""

    model_type = "gru4rec"

    state_size: int = 128
    """Width of the GRU's states."""
    num_layers: int = 1
    """GRU layers."""


class GRU4Rec(Classic):
    """GRU4Rec over a catalogue of N items with D = hidden_size."""

    kind = "gru4rec"
    config_class = GRU4RecConfig

    def __init__(self, config: GRU4RecConfig) -> None:
        super().__init__(config)
        self.gru = nn.GRU(
            config.hidden_size,
            config.state_size,
            config.num_layers,
            batch_first=True,
            dropout=config.dropout if config.num_layers > 1 else 0.0,
        )
        self.output = nn.Linear(config.state_size, config.hidden_size)
        self.norm = nn.LayerNorm(config.hidden_size)
        self.post_init()

    def states(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        # Padding is on the right: no state of an item has seen it.
        states, _ = self.gru(self.dropout(self.scaled(vectors)))  # (B, L, state_size)
        return self.norm(self.output(self.dropout(states)))
