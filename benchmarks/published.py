"""The published layout, to measure against: every user runs 99 positions through transformers' own forward.

69 constant text tokens and 30 item slots, filled from the right, empty ones masked but computed; no cache, no length
buckets; positions count every slot. Facts: the published code of arXiv 2405.17890. The text itself costs what any
text of its length does, so its word vectors are drawn.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

BEFORE, SLOTS, AFTER = 66, 30, 3


class PublishedLayout(nn.Module):
    """(B, d) user vectors of histories in the published layout, with the layers of a recommender of ours.

    Args:
        backbone: decoder whose final norm has been taken out.
        items, input_adapter, output_adapter, final_norm: the recommender's parts.
    """

    def __init__(
        self,
        backbone: PreTrainedModel,
        items: nn.Embedding,
        input_adapter: nn.Linear,
        output_adapter: nn.Linear,
        final_norm: nn.Module,
    ) -> None:
        super().__init__()
        self.backbone, self.items = backbone, items
        self.input_adapter, self.output_adapter, self.final_norm = input_adapter, output_adapter, final_norm
        generator = torch.Generator().manual_seed(0)
        words = torch.randn(BEFORE + AFTER, backbone.config.hidden_size, generator=generator) * 0.1
        self.register_buffer("before", words[:BEFORE])
        self.register_buffer("after", words[BEFORE:])

    def forward(self, histories: Sequence[np.ndarray]) -> Tensor:
        rows = len(histories)
        ids = torch.zeros(rows, SLOTS, dtype=torch.int64)
        mask = torch.ones(rows, BEFORE + SLOTS + AFTER, dtype=torch.int64)
        for row, history in enumerate(histories):
            kept = history[-SLOTS:].astype(np.int64)
            ids[row, SLOTS - len(kept) :] = torch.from_numpy(kept)
            mask[row, BEFORE : BEFORE + SLOTS - len(kept)] = 0
        device = self.before.device
        items = self.input_adapter(self.items(ids.to(device)))
        inputs = torch.cat([self.before.expand(rows, -1, -1), items, self.after.expand(rows, -1, -1)], dim=1)
        states = self.backbone(inputs_embeds=inputs, attention_mask=mask.to(device), use_cache=False).last_hidden_state
        return self.output_adapter(self.final_norm(states[:, -1]))


def published_layout(model) -> PublishedLayout:
    """Of an `SLMRec`, sharing its weights."""
    return PublishedLayout(model.backbone, model.items, model.input_adapter, model.output_adapter, model.final_norm)
