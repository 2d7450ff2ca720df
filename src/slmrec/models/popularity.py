"""The floor: every user gets the items that were interacted with most often in training."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from slmrec.data import Dataset
from slmrec.models.base import Recommender, RecommenderConfig


class PopularityConfig(RecommenderConfig):
    model_type = "popularity"

    max_length: int = 1_000_000_000
    """It reads no item, so every history is short enough."""


class Popularity(Recommender):
    """Score of an item = its interactions in the training split."""

    kind = "popularity"
    config_class = PopularityConfig

    def __init__(self, config: PopularityConfig) -> None:
        super().__init__(config)
        self.counts = nn.Parameter(torch.zeros(config.num_items), requires_grad=False)  # (N,)
        self.post_init()

    @classmethod
    def from_data(cls, data: Dataset) -> "Popularity":
        """Count the training split."""
        model = cls(PopularityConfig(num_items=data.num_items, trained_parameters=data.num_items))
        model.counts.data.copy_(torch.from_numpy(data.item_counts()[1:]))
        model.catalogue = data.catalogue
        return model.eval()

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        return self.counts.repeat(len(histories), 1)

    @property
    def scores_every_position(self) -> bool:
        return True

    def log_scores(self, histories: Sequence[np.ndarray]) -> Tensor:
        return (1 + self.score(histories)).log()

    def position_scores(self, input_ids: Tensor, lengths: Tensor, candidates: Tensor) -> Tensor:
        """(B, L, C): the logarithm of one more than the counts, for an item never seen is not impossible."""
        return (1 + self.counts[candidates - 1]).log().expand(*input_ids.shape, -1)
