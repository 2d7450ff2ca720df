"""Several models that score together: what a student is taught by, measured as a model of its own."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from slmrec.errors import UserError
from slmrec.models.base import Recommender


class Ensemble:
    """The mean of its members' log-probabilities, up to a constant a user.

    It scores and is evaluated; it is no model folder, since it costs what its members cost together.
    """

    kind: ClassVar[str] = "ensemble"

    def __init__(self, members: Sequence[Recommender]) -> None:
        """Raises `UserError` for no member, or members of different catalogues."""
        if not members:
            raise UserError("an ensemble needs at least one member")
        self.members = list(members)
        self.catalogue = members[0].catalogue
        for place, member in enumerate(members[1:], 1):
            if not member.catalogue.frame["item_id"].equals(self.catalogue.frame["item_id"]):
                raise UserError(
                    f"members 0 and {place} of the ensemble rank different items; train them on one data set"
                )

    @torch.inference_mode()
    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """(B, N) float32: column j is the score of item index j + 1."""
        total = self.members[0].log_scores(histories).clone()
        for member in self.members[1:]:
            total += member.log_scores(histories)
        return total / len(self.members)

    def parameter_counts(self) -> dict[str, int]:
        """The members' together."""
        counts = [member.parameter_counts() for member in self.members]
        return {name: sum(count[name] for count in counts) for name in counts[0]}
