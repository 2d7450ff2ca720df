"""A language model beside a classic one: it has only to add what the classic model does not know.

    score of item i = u_c · v_i + g (u_l · w_i)

u_c, v: user vector and item vectors of the classic model; u_l, w: those of the LLM recommender, whose table starts from
the classic one's; g: a learned gate, small at first, so that training begins from the classic model's ranking. Written
as one dot product, (u_c, g u_l) · (v_i, w_i), it is encoded and ranked by the fast paths of both.
"""

from collections.abc import Sequence
from dataclasses import field
from typing import Any

import numpy as np
import polars as pl
import torch
from torch import Tensor, nn

from slmrec.engine import Precision
from slmrec.errors import UserError
from slmrec.models.base import RecommenderConfig
from slmrec.models.caser import Caser
from slmrec.models.classic import Classic
from slmrec.models.dot_product import DotProductRecommender
from slmrec.models.esasrec import ESASRec
from slmrec.models.gru4rec import GRU4Rec
from slmrec.models.items import FROZEN
from slmrec.models.sasrec import SASRec
from slmrec.models.slmrec import SLMRec, SLMRecConfig

KINDS: dict[str, type[Classic]] = {cls.kind: cls for cls in (GRU4Rec, Caser, SASRec, ESASRec)}
"""Classic models that know every position."""
START = 0.1
"""g before training."""


class ResidualConfig(RecommenderConfig):
    """The two models' shapes."""

    model_type = "residual"

    classic: dict[str, Any] = field(default_factory=dict)
    """The classic model's configuration."""
    llm: dict[str, Any] = field(default_factory=dict)
    """The LLM recommender's."""
    train_classic: bool = False
    """Whether training changes the classic model too."""


class Residual(DotProductRecommender):
    """A classic model and an LLM recommender that score together."""

    kind = "residual"
    config_class = ResidualConfig

    def __init__(self, config: ResidualConfig) -> None:
        super().__init__(config)
        cls = KINDS[config.classic["model_type"]]
        self.classic = cls(cls.config_class(**config.classic))
        self.llm = SLMRec(SLMRecConfig(**config.llm))
        self.gate = nn.Parameter(torch.tensor(START))
        self.post_init()

    @classmethod
    def of(cls, classic: Classic, llm: SLMRec, *, train_classic: bool) -> "Residual":
        """The two together, the LLM to be trained; they become part of it.

        Args:
            classic: a trained model; it stays as it is unless ``train_classic``.
            llm: a recommender over the same items.
            train_classic: train the classic model on.

        Raises:
            UserError: a classic model that does not know every position, an LLM that does not, or models that read
                histories of different lengths.
        """
        if classic.kind not in KINDS or not llm.scores_every_position:
            what = (
                f"the classic model is a {classic.kind}"
                if classic.kind not in KINDS
                else "the llm reads once a history"
            )
            raise UserError(f"a residual llm adds at every position, but {what}; take one of {', '.join(KINDS)}")
        lengths = classic.config.max_length, llm.config.max_length
        if lengths[0] != lengths[1]:
            raise UserError(
                f"the classic model reads {lengths[0]} items, the llm {lengths[1]}; give the llm --max-length "
                f"{lengths[0]}"
            )
        lora, llm.config.lora = llm.config.lora, None  # its adapters are in the model that is put in
        config = ResidualConfig(
            num_items=llm.config.num_items,
            max_length=lengths[0],
            classic=classic.config.to_dict(),
            llm=llm.config.to_dict(),
            train_classic=train_classic,
        )
        model = cls(config)
        llm.config.lora = lora
        model.classic, model.llm = classic, llm
        model.catalogue = llm.catalogue
        classic.requires_grad_(train_classic)
        if train_classic:
            for name, parameter in classic.items.named_parameters():
                parameter.requires_grad = name not in FROZEN
        return model

    @property
    def num_layers(self) -> int:
        """Decoder layers."""
        return self.llm.num_layers

    @property
    def scores_every_position(self) -> bool:
        return True

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        return self._together(self.classic(input_ids, lengths), self.llm(input_ids, lengths))

    def item_vectors(self) -> Tensor:
        return self.table()[1:]

    def table(self) -> Tensor:
        """(N + 1, d): both item tables side by side, row 0 the padding."""
        return torch.cat([self.classic.items.table(), self.llm.items.table()], dim=1)

    def _encode(self, histories: Sequence[np.ndarray]) -> Tensor:
        return self._together(self.classic.encode(histories), self.llm.encode(histories))

    def _together(self, classic: Tensor, llm: Tensor) -> Tensor:
        return torch.cat([classic, self.gate * llm], dim=-1)

    def train(self, mode: bool = True) -> "Residual":
        """Switch to training or back; a classic model that stays as it is has no dropout either."""
        super().train(mode)
        if not self.config.train_classic:
            self.classic.eval()
        return self

    def use_precision(self, precision: Precision) -> "Residual":
        self.llm.use_precision(precision)
        return self

    def weight_bytes(self) -> int:
        return self.llm.weight_bytes() + self.classic.weight_bytes() + self.gate.element_size()

    def vocabulary_parameters(self) -> int:
        return self.llm.vocabulary_parameters()

    @property
    def known_by_text(self) -> tuple[str, int] | None:
        return self.classic.known_by_text

    def add_items(self, frame: pl.DataFrame) -> None:
        for part in (self.llm, self.classic):  # the LLM's may refuse more, and then nothing is changed
            part.catalogue = self.catalogue
            part.add_items(frame)
        self.catalogue, self.index = self.llm.catalogue, None
        self.config.num_items = len(self.catalogue)

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        self.config.classic, self.config.llm = self.classic.config.to_dict(), self.llm.config.to_dict()
        super().save_pretrained(*args, **kwargs)
