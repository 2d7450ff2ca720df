"""Several models that score together: what a student is taught by, and a model of its own.

    s_i = Σ_t w_t log p_t(i)        over the members t, up to a constant a user

p_t: a member's probability of item i, w_t: how much it counts (`training/ensemble_weights.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from slmrec.data import Catalogue
from slmrec.errors import UserError
from slmrec.models.base import Recommender, RecommenderConfig
from slmrec.models.neighbours import Neighbours


class EnsembleConfig(RecommenderConfig):
    """The members' shapes, and how much each counts."""

    model_type = "ensemble"

    members: list[dict[str, Any]] = field(default_factory=list)
    """Each member's configuration."""
    weights: list[float] = field(default_factory=list)
    """w, one a member."""


class Ensemble(Recommender):
    """Models of one catalogue; what it costs is what its members cost together."""

    kind = "ensemble"
    config_class = EnsembleConfig
    config: EnsembleConfig

    def __init__(self, config: EnsembleConfig) -> None:
        super().__init__(config)
        self.members: Any = nn.ModuleList(map(_untrained, config.members))
        self.post_init()

    @classmethod
    def of(cls, members: Sequence[Recommender], weights: Sequence[float] | None = None) -> "Ensemble":
        """Trained models together; they become part of it.

        Args:
            members: models of one catalogue.
            weights: one a member, 0 or more, in the members' order; a member of weight 0 is not asked. None: all
                alike, their mean.

        Raises:
            UserError: no member, or members of different catalogues.
            ValueError: weights that are negative, all 0, or not one a member.
        """
        if not members:
            raise UserError("an ensemble needs at least one member")
        counts = [1 / len(members)] * len(members) if weights is None else list(weights)
        if len(counts) != len(members) or min(counts) < 0 or not any(counts):
            raise ValueError(f"weights are {counts}, but must be {len(members)}, none negative and not all 0")
        for place, member in enumerate(members[1:], 1):
            if not member.catalogue.frame["item_id"].equals(members[0].catalogue.frame["item_id"]):
                raise UserError(
                    f"members 0 and {place} of the ensemble rank different items; train them on one data set"
                )
        model = cls(
            EnsembleConfig(
                num_items=members[0].config.num_items,
                max_length=max(member.config.max_length for member in members),
                trained_parameters=sum(member.parameter_counts()["trained"] for member in members),
            )
        )
        model.members.extend(members)
        model.config.members = [member.config.to_dict() for member in members]
        model.config.weights = counts
        model.catalogue = members[0].catalogue
        return model.eval()

    @property
    def catalogue(self) -> Catalogue:
        """The items, the same for every member."""
        return self._catalogue

    @catalogue.setter
    def catalogue(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        for member in self.members:
            member.catalogue = catalogue

    @property
    def weights(self) -> list[float]:
        """How much each member counts."""
        return self.config.weights

    @torch.inference_mode()
    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        return self._sum(lambda member: member.log_scores(histories))

    @property
    def scores_every_position(self) -> bool:
        return all(member.scores_every_position for member in self.members)

    @torch.no_grad()
    def position_scores(self, input_ids: Tensor, lengths: Tensor, candidates: Tensor) -> Tensor:
        return self._sum(lambda member: member.position_scores(input_ids, lengths, candidates))

    def similarities(self, indices: Tensor) -> Tensor:
        """(M, N): as the member that counts most has them."""
        most = max(range(len(self.members)), key=self.weights.__getitem__)
        return self.members[most].similarities(indices)

    def vocabulary_parameters(self) -> int:
        return sum(member.vocabulary_parameters() for member in self.members)

    def weight_bytes(self) -> int:
        return sum(member.weight_bytes() for member in self.members)

    @property
    def known_by_text(self) -> tuple[str, int] | None:
        """The first's that knows items by text, as long as all others but neighbours do, too."""
        known, others = self._by_text()
        return None if others or not known else known[0].known_by_text

    def add_items(self, frame: pl.DataFrame) -> None:
        known, others = self._by_text()
        if others:
            raise UserError(
                f"the {others[0].kind} in this ensemble knows items by their ids alone and takes no new ones; add them "
                "to each of the other models"
            )
        if not known:
            super().add_items(frame)  # which says that none can
        for member in known:
            member.add_items(frame)
        catalogue = known[0].catalogue
        for member in self.members:
            if isinstance(member, Neighbours) and member not in known:
                member.make_room(catalogue)
        self.catalogue = catalogue
        self.config.num_items = len(catalogue)

    def _by_text(self) -> tuple[list[Recommender], list[Recommender]]:
        """The members that know items by text, and those of the others that are no neighbours."""
        known = [member for member in self.members if member.known_by_text]
        return known, [each for each in self.members if not each.known_by_text and not isinstance(each, Neighbours)]

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        self.config.members = [member.config.to_dict() for member in self.members]
        super().save_pretrained(*args, **kwargs)

    def _sum(self, scores_of: Callable[[Recommender], Tensor]) -> Tensor:
        asked = [(member, weight) for member, weight in zip(self.members, self.weights, strict=True) if weight]
        (first, weight), *others = asked
        total = scores_of(first).float() * weight
        for member, weight in others:
            total.add_(scores_of(member), alpha=weight)
        return total


def _untrained(config: dict[str, Any]) -> Recommender:
    """A model of a configuration, whose weights are to come."""
    from slmrec.models import KINDS

    cls: Any = KINDS[config["model_type"]]
    return cls(cls.config_class(**config))
