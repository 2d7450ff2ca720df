"""The floor: every user gets the items that were interacted with most often in training."""

import torch
from torch import Tensor, nn

from slmrec.data import Dataset
from slmrec.models.base import Recommender, RecommenderConfig


class PopularityConfig(RecommenderConfig):
    model_type = "popularity"


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

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        return self.counts.new_ones(input_ids.shape[0], 1, 1)

    def item_vectors(self) -> Tensor:
        return self.counts[:, None]
