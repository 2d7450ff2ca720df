"""Recommenders whose scores are dot products of user vectors and item vectors."""

import copy
from collections.abc import Sequence
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from slmrec.data import PADDING
from slmrec.engine import ItemIndex, in_order, like_lengths, top_k
from slmrec.errors import UserError
from slmrec.models.base import Recommender, at_rest
from slmrec.models.items import ItemTable

TOKENS = 16_384
"""Positions that run together through a small model."""


class DotProductRecommender(Recommender):
    """Subclasses give `forward` and `item_vectors`; scores are the dot products of the two."""

    index: ItemIndex | None = None
    items: ItemTable
    """Of those that have one; a residual LLM's two parts have one each."""

    def forward(self, input_ids: Tensor, lengths: Tensor) -> Tensor:
        """User vectors.

        Args:
            input_ids: (B, L) int, item indices, padded with `PADDING` on the right.
            lengths: (B,) int, how many of each row are items.

        Returns:
            (B, R, d) float: R = L where every position is read out (it knows its own item and the earlier ones),
            R = 1 where the model reads once a history.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def item_vectors(self) -> Tensor:
        """(N, d) float: row j belongs to item index j + 1."""
        raise NotImplementedError(f"{type(self).__name__} defines no item_vectors")

    @torch.inference_mode()
    def encode(self, histories: Sequence[np.ndarray]) -> Tensor:
        """(B, d) float: the user vector after each history's last item."""
        histories = [np.asarray(history) for history in histories]
        empty = [place for place, history in enumerate(histories) if len(history) == 0]
        if empty:
            raise UserError(f"history {empty[0]} is empty; a history needs at least one item")
        return self._encode(histories)

    def _encode(self, histories: Sequence[np.ndarray]) -> Tensor:
        """`encode` of histories of which none is empty."""
        longest = self.config.max_length
        rows = [torch.from_numpy(history[-longest:].astype(np.int64)) for history in histories]
        batches = list(like_lengths([len(row) for row in rows], TOKENS))
        found = []
        for batch in batches:
            picked = [rows[i] for i in batch]
            lengths = torch.tensor([len(row) for row in picked], device=self.device)
            input_ids = pad_sequence(picked, batch_first=True, padding_value=PADDING).to(self.device)  # (B, L)
            states = self(input_ids, lengths)  # (B, R, d)
            read = (lengths - 1).clamp(max=states.shape[1] - 1)
            found.append(states[torch.arange(len(picked), device=self.device), read])
        return in_order(batches, found)

    @torch.inference_mode()
    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        return self.encode(histories).float() @ self.item_vectors().float().T

    def position_scores(self, input_ids: Tensor, lengths: Tensor, candidates: Tensor) -> Tensor:
        return self(input_ids, lengths) @ self.item_vectors()[candidates - 1].T

    def similarities(self, indices: Tensor) -> Tensor:
        """(M, N) float: cosines of the items' vectors."""
        vectors = F.normalize(self.item_vectors().float(), dim=1)
        return vectors[indices - 1] @ vectors.T

    def _top_k(
        self, histories: Sequence[np.ndarray], k: int, excluded: Sequence[np.ndarray] | None, allowed: np.ndarray | None
    ) -> tuple[Tensor, Tensor]:
        vectors = self.encode(histories).float()
        if self.index is not None:
            return self.index.top_k(vectors, k, excluded=excluded, allowed=allowed)
        return top_k(vectors, self.item_vectors().float(), k, excluded=excluded, allowed=allowed)

    def build_index(self, histories: Sequence[np.ndarray], *, recall: float = 0.98) -> ItemIndex:
        """Recommend by an approximate index from now on; its `recall` says what it finds of the exact ten best.

        It pays for single requests over catalogues of a million items and more, see docs/performance.md. Set
        ``model.index = None`` to be exact again, and build it anew when the model changes.

        Args:
            histories: item indices of some users, to tune and measure it on; a thousand are plenty.
            recall: what to reach.
        """
        with at_rest(self), torch.inference_mode():
            self.index = ItemIndex(self.item_vectors(), self.encode(histories), recall=recall)
        return self.index

    def with_low_rank_items(self, rank: int) -> Self:
        """A copy whose item table is the nearest of this rank; nothing is trained, and new items can't be added to it.

        Raises:
            UserError: a model without an item table, or a rank that is not below its width.
        """
        items = getattr(self, "items", None)
        if not isinstance(items, ItemTable):
            raise UserError(f"a model of kind {self.kind} has no item vectors")
        low = items.low_rank(rank)
        self.train(self.training)  # forgets what it keeps of its weights, which need not be copied
        model = copy.deepcopy(self)
        model.items, model.index = low, None
        model.config.item_rank, model.config.text_dim, model.config.text_source = rank, 0, ""
        model.config.id_dropout = 0.0
        return model.requires_grad_(False).eval()

    @property
    def known_by_text(self) -> tuple[str, int] | None:
        items = getattr(self, "items", None)
        if items is None or items.text is None:
            return None
        return items.text_source, items.text.shape[1]

    def _append(self, text: Tensor) -> None:
        self.items = self.items.extended(text)
        self.index = None
