"""Recommenders by neighbours."""

from dataclasses import dataclass

from slmrec.errors import UserError
from slmrec.training.options.checks import check_counts


@dataclass(frozen=True)
class NeighboursOptions:
    """What recommenders by neighbours have in common; they count or compare, and train nothing."""

    neighbours: int = 100
    """Items that are kept of each item, those that it points to most."""
    decay: float = 0.6
    """Factor by which an item of the history counts less for each later one; 1: all count alike."""
    max_length: int = 50
    """Most recent items of a history that are read."""

    def __post_init__(self) -> None:
        check_counts(self, "neighbours", "max_length")
        if not 0 < self.decay <= 1:
            raise UserError(f"decay is {self.decay}, but must be above 0 and at most 1")


@dataclass(frozen=True)
class ItemKNNOptions(NeighboursOptions):
    """Item-kNN: items that users have together."""

    shrinkage: float = 2.0
    """Added to the cosine's denominator: pairs that few users have count less."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shrinkage < 0:
            raise UserError(f"shrinkage is {self.shrinkage}, but cannot be negative")


@dataclass(frozen=True)
class SequentialRulesOptions(NeighboursOptions):
    """Sequential rules: items that come soon after each other."""

    decay: float = 0.8
    window: int = 3
    """Later events that an event makes a rule with; one that comes n events later counts 1 / n."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "window")


@dataclass(frozen=True)
class TextKNNOptions(NeighboursOptions):
    """Text-kNN: items whose texts are alike."""

    decay: float = 0.7
    item_text: str = "minilm-l6"
    """Where text vectors come from: `minilm-l6`, a Hugging Face encoder's name or folder, or a Parquet file with
    `item_id` and `vector`."""
    temperature: float = 0.1
    """By which cosines are divided before they become weights: a low one leaves all to the nearest."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.item_text:
            raise UserError("item_text is empty, but text-knn compares items by nothing else; name an encoder")
        if self.temperature <= 0:
            raise UserError(f"temperature is {self.temperature}, but must be above 0")
