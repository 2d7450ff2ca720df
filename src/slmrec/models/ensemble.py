"""Several models that score together: what a student is taught by, measured as a model of its own."""

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from slmrec.errors import UserError
from slmrec.models.base import Recommender


class Ensemble:
    """The weighted sum of its members' log-probabilities, up to a constant a user.

    It scores and is evaluated; it is no model folder, since it costs what its members cost together.
    """

    kind: ClassVar[str] = "ensemble"

    def __init__(self, members: Sequence[Recommender], weights: Sequence[float] | None = None) -> None:
        """Members of one catalogue, and how much each counts.

        Args:
            members: trained models.
            weights: one a member, 0 or more, in the members' order; a member of weight 0 is not asked. None: all
                alike, their mean.

        Raises:
            UserError: no member, or members of different catalogues.
            ValueError: weights that are negative, all 0, or not one a member.
        """
        if not members:
            raise UserError("an ensemble needs at least one member")
        self.members = list(members)
        self.weights = [1 / len(members)] * len(members) if weights is None else list(weights)
        if len(self.weights) != len(members) or min(self.weights) < 0 or not any(self.weights):
            raise ValueError(f"weights are {self.weights}, but must be {len(members)}, none negative and not all 0")
        self.catalogue = members[0].catalogue
        for place, member in enumerate(members[1:], 1):
            if not member.catalogue.frame["item_id"].equals(self.catalogue.frame["item_id"]):
                raise UserError(
                    f"members 0 and {place} of the ensemble rank different items; train them on one data set"
                )

    @torch.inference_mode()
    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """(B, N) float32: column j is the score of item index j + 1."""
        return self._sum(lambda member: member.log_scores(histories))

    @torch.no_grad()
    def position_scores(self, input_ids: Tensor, lengths: Tensor, candidates: Tensor) -> Tensor:
        """(B, L, C) float32: scores of (C,) items after every position; see `Recommender.position_scores`."""
        return self._sum(lambda member: member.position_scores(input_ids, lengths, candidates))

    def parameter_counts(self) -> dict[str, int]:
        """The members' together."""
        counts = [member.parameter_counts() for member in self.members]
        return {name: sum(count[name] for count in counts) for name in counts[0]}

    def weight_bytes(self) -> int:
        """The members' together."""
        return sum(member.weight_bytes() for member in self.members)

    def _sum(self, scores_of: Callable[[Recommender], Tensor]) -> Tensor:
        asked = [(member, weight) for member, weight in zip(self.members, self.weights, strict=True) if weight]
        (first, weight), *others = asked
        total = scores_of(first).float() * weight
        for member, weight in others:
            total.add_(scores_of(member), alpha=weight)
        return total
