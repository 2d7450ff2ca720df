"""Shape and training of the classic neural models."""

from dataclasses import dataclass, field

from slmrec.errors import UserError
from slmrec.training.options.checks import check_counts, check_rates
from slmrec.training.options.training import TrainingOptions


def _patient(epochs: int = 100, patience: int = 5) -> TrainingOptions:
    """Training until validation gets no better."""
    return TrainingOptions(epochs=epochs, patience=patience)


@dataclass(frozen=True)
class ClassicOptions:
    """What the shape and training of all classic neural models have."""

    hidden_size: int = 128
    """Width of item vectors and states."""
    dropout: float = 0.5
    """Rate of dropout on inputs and inside."""
    item_dropout: float = 0.0
    """Rate of dropout on item vectors, those read and those scored with: slower to learn, and less is learnt by heart
    where items are many and histories short."""
    max_length: int = 50
    """Most recent items of a history that are read."""
    item_text: str = ""
    """What items' text vectors come from: minilm-l6, an encoder's Hugging Face name or folder, or a Parquet file with
    item_id and vector; empty: items have ids alone. LLM recommenders that start from this item table take it over."""
    id_dropout: float = 0.0
    """Share of items whose id part is left out in training, so that text alone learns to carry one; only with text."""
    training: TrainingOptions = field(default_factory=_patient)
    """Its training."""

    def __post_init__(self) -> None:
        if self.id_dropout and not self.item_text:
            raise UserError(f"id_dropout is {self.id_dropout}, but items have no text to do without ids; set item_text")
        check_rates(self, "dropout", "item_dropout", "id_dropout")
        check_counts(self, "hidden_size", "max_length")


@dataclass(frozen=True)
class TransformerOptions(ClassicOptions):
    """What those of transformers over item vectors have."""

    num_blocks: int = 2
    """Transformer blocks."""
    num_heads: int = 1
    """Attention heads."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_heads < 1 or self.hidden_size % self.num_heads:
            raise UserError(f"hidden_size {self.hidden_size} is not a multiple of num_heads {self.num_heads}")


@dataclass(frozen=True)
class SASRecOptions(TransformerOptions):
    """Shape and training of SASRec."""

    hidden_size: int = 64
    """Width of item vectors and states."""
    dropout: float = 0.3
    """Rate of dropout on inputs, attention and feed-forward."""
    training: TrainingOptions = field(default_factory=TrainingOptions)
    """Its training."""


@dataclass(frozen=True)
class ESASRecOptions(TransformerOptions):
    """Shape and training of eSASRec."""

    num_heads: int = 4
    """Attention heads."""


@dataclass(frozen=True)
class BERT4RecOptions(TransformerOptions):
    """Shape and training of BERT4Rec."""

    dropout: float = 0.2
    """Rate of dropout on inputs, attention and feed-forward."""
    num_heads: int = 2
    """Attention heads."""
    mask_share: float = 0.2
    """Share of a training sequence's items that are left out for the model to fill in, one at least."""
    last_share: float = 0.1
    """Share of training sequences in which the last item alone is left out, as at inference."""
    training: TrainingOptions = field(default_factory=lambda: _patient(epochs=200, patience=10))
    """Its training; few positions of a sequence are targets, so it wants more epochs than the others."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.mask_share < 1:
            raise UserError(f"mask_share is {self.mask_share}, but must lie between 0 and 1")
        if not 0 <= self.last_share <= 1:
            raise UserError(f"last_share is {self.last_share}, but must be at least 0 and at most 1")


@dataclass(frozen=True)
class GRU4RecOptions(ClassicOptions):
    """Shape and training of GRU4Rec."""

    state_size: int = 128
    """Width of the GRU's states."""
    num_layers: int = 1
    """GRU layers."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "state_size", "num_layers")


@dataclass(frozen=True)
class CaserOptions(ClassicOptions):
    """Shape and training of Caser."""

    window: int = 5
    """Most recent items that a position sees."""
    horizontal_filters: int = 16
    """Filters of each height from 1 to the window's."""
    vertical_filters: int = 4
    """Weighted sums of the window's vectors."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, "window", "horizontal_filters", "vertical_filters")
        if self.window > self.max_length:
            raise UserError(
                f"window is {self.window}, but only the {self.max_length} items of max_length are read; "
                "lower the one or raise the other"
            )
