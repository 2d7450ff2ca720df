"""What comes out."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One place of a list."""

    item_id: str | int
    """External id, as the catalogue spells it."""
    score: float
    """The higher the better; its unit is the model's own."""
    rank: int
    """From 1."""
