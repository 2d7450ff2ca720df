"""The item table that every model shares: a vector for each id, and where wanted one from the item's text.

    v_i = m_i e_i + W t_i

e_i: the id's own vector; t_i: a frozen vector of the item's text, whitened (`models/whitening.py`); W: a learned
projection; m_i: 1, or 0 for an item that training never saw, whose id says nothing yet, and for a random share of rows
in training (id dropout), so that text alone learns to carry an item. How much text contributes is learned in the size
of W.

In training a share of v_i's numbers can be left out (`dropout`), where items are read as where they are scored with.

With a rank r below d the ids' own vectors are products, e_i = B a_i with a_i of r numbers: N r + r d and not N d.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from slmrec.data import PADDING
from slmrec.engine.weights import Stamp, stamp
from slmrec.errors import UserError
from slmrec.models.whitening import whiten, whitening

FROZEN = ("text", "known", "whitening")
"""What of a table training never changes."""


class ItemTable(nn.Embedding):
    """(N + 1, d) item vectors, row 0 the padding.

    Args:
        num_items: N.
        dim: d.
        text_dim: width of the text vectors; 0 where items have ids alone.
        id_dropout: share of rows whose id part is left out in training; only with text.
        text_source: what the text vectors came from, so that new items can get theirs (`slmrec.models.text`).
        rank: r; 0 for vectors that are no products.
        dropout: rate of dropout on the vectors, those read and those scored with; each draws its own.
    """

    def __init__(
        self,
        num_items: int,
        dim: int,
        text_dim: int = 0,
        id_dropout: float = 0.0,
        text_source: str = "",
        rank: int = 0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(num_items + 1, rank or dim, padding_idx=PADDING)
        self.embedding_dim, self.rank = dim, rank
        self.basis = nn.Linear(rank, dim, bias=False) if rank else None
        self.id_dropout, self.text_source = id_dropout, text_source
        self.dropout = nn.Dropout(dropout)
        self.text: nn.Parameter | None = None
        if text_dim:
            self.text = nn.Parameter(torch.zeros(num_items + 1, text_dim), requires_grad=False)
            self.known = nn.Parameter(torch.ones(num_items + 1, 1), requires_grad=False)
            self.whitening = nn.Parameter(torch.zeros(text_dim + 1, text_dim), requires_grad=False)
            self.projection = nn.Linear(text_dim, dim, bias=False)
        self._kept: Tensor | None = None
        self._kept_weights: Stamp = ()

    @classmethod
    def of(cls, vectors: Tensor) -> "ItemTable":
        """A table of ids alone that starts from (N, d) vectors."""
        table = cls(*vectors.shape)
        with torch.no_grad():
            table.weight[1:] = vectors
        return table

    def forward(self, input: Tensor) -> Tensor:
        """(…) int item indices to (…, d)."""
        own = self._own(F.embedding(input, self.weight, self.padding_idx))
        if self.text is not None:
            own = own * self._mask(F.embedding(input, self.known)) + self.projection(F.embedding(input, self.text))
        return self.dropout(own)

    def table(self) -> Tensor:
        """(N + 1, d): all of it; computed once for as long as no weight changes where no gradient is asked for."""
        if self.text is None and self.basis is None:
            return self.dropout(self.weight)
        if torch.is_grad_enabled() or self.training:
            return self._table()
        weights = stamp(self.parameters())
        if self._kept is None or weights != self._kept_weights:
            self._kept, self._kept_weights = self._table(), weights
        return self._kept

    def train(self, mode: bool = True) -> "ItemTable":
        """Switch to training or back; what was computed from the weights so far is forgotten.

        The weights' version counters would tell of a change, but torch's fused optimisers do not move them.
        """
        self._kept = None
        return super().train(mode)

    def describe(self, text: Tensor, known: Tensor) -> None:
        """Put in what is known of the items.

        Args:
            text: (N, text_dim) float, as it comes from the encoder.
            known: (N,) bool, whether training sees the item.
        """
        assert self.text is not None
        with torch.no_grad():
            self.whitening.copy_(whitening(text))
            self.text[1:] = whiten(text, self.whitening)
            self.known[1:, 0] = known.to(self.known.dtype)

    def extended(self, text: Tensor) -> "ItemTable":
        """This table with new items behind its own, which have text (M, text_dim) and no id part."""
        assert self.text is not None
        old, new = self.num_embeddings - 1, len(text)
        table = ItemTable(
            old + new,
            self.embedding_dim,
            self.text.shape[1],
            self.id_dropout,
            self.text_source,
            self.rank,
            self.dropout.p,
        )
        state = table.state_dict()
        for name, values in self.state_dict().items():
            if name in ("weight", "text", "known"):  # a row an item
                state[name].zero_()[: old + 1] = values
            else:
                state[name] = values
        state["text"][old + 1 :] = whiten(text, self.whitening)
        table.load_state_dict(state)
        return table.requires_grad_(False).train(self.training)

    def low_rank(self, rank: int) -> "ItemTable":
        """The table of rank r that is nearest to this one, ids and text folded into one; items can't be added to it.

        Raises:
            UserError: a rank that is not below the table's width.
        """
        if not 1 <= rank < self.embedding_dim:
            raise UserError(
                f"rank {rank} was asked for, but the item table is {self.embedding_dim} wide; give 1 to "
                f"{self.embedding_dim - 1}"
            )
        training = self.training
        with torch.no_grad():
            left, values, right = torch.linalg.svd(self.eval().table()[1:].float(), full_matrices=False)
        self.train(training)
        table = ItemTable(self.num_embeddings - 1, self.embedding_dim, rank=rank).to(self.weight.device)
        assert table.basis is not None
        with torch.no_grad():
            table.weight.zero_()
            table.weight[1:, : len(values)] = left[:, :rank] * values[:rank]
            table.basis.weight.zero_()
            table.basis.weight[:, : len(values)] = right[:rank].T
        return table.requires_grad_(False).eval()

    def _own(self, vectors: Tensor) -> Tensor:
        """(…, r or d) of ids to (…, d)."""
        return vectors if self.basis is None else self.basis(vectors)

    def _table(self) -> Tensor:
        own = self._own(self.weight)
        if self.text is not None:
            own = own * self._mask(self.known) + self.projection(self.text)
        return self.dropout(own)

    def _mask(self, known: Tensor) -> Tensor:
        if not (self.training and self.id_dropout):
            return known
        return known * (torch.rand_like(known) >= self.id_dropout)
