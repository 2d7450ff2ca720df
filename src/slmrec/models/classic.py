"""What the classic neural models share: the one item table, which is read and scored with."""

from torch import Tensor, nn

from slmrec.models.base import RecommenderConfig
from slmrec.models.dot_product import DotProductRecommender
from slmrec.models.items import ItemTable


class ClassicConfig(RecommenderConfig):
    """What all classic models' shapes hold."""

    hidden_size: int = 64
    """D, width of item vectors and states."""
    dropout: float = 0.3
    """Rate of dropout."""
    item_dropout: float = 0.0
    """Rate of dropout on item vectors."""
    initializer_range: float = 0.02
    """Standard deviation of initial weights."""


class Classic(DotProductRecommender):
    """A network from item vectors to user vectors of the same width. Subclasses give `states`."""

    config_class: type[ClassicConfig] = ClassicConfig

    def __init__(self, config: ClassicConfig) -> None:
        super().__init__(config)
        self.items = ItemTable(
            config.num_items,
            config.hidden_size,
            config.text_dim,
            config.id_dropout,
            config.text_source,
            config.item_rank,
            config.item_dropout,
        )
        self.dropout = nn.Dropout(config.dropout)

    @property
    def scores_every_position(self) -> bool:
        return True

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        return self.states(self.items(input_ids), lengths)

    def states(self, vectors: Tensor, lengths: Tensor) -> Tensor:
        """The network alone, without the item table: what an exported graph computes.

        Args:
            vectors: (B, L, D) float, rows of the item table; anything at padding.
            lengths: (B,) int.

        Returns:
            (B, R, D) float, see `forward`.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no states")

    def scaled(self, vectors: Tensor) -> Tensor:
        """(B, L, D) item vectors at the scale that a network wants."""
        return vectors * self.config.hidden_size**0.5

    def item_vectors(self) -> Tensor:
        return self.items.table()[1:]
