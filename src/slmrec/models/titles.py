"""Items read by their titles' words: what enters the decoder is of the kind it was trained on.

    x_i = (1 / n_i) Σ_j E[w_ij] + s (A v_i + b)

w_i1, …, w_in: the tokens of item i's title; E: the decoder's own word table; A, b: the input adapter; v_i: the item's
vector; s: learned, small at first, so that training begins from words. The means are kept, the word table is not.
An item without a title has the second part alone.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from slmrec.data import PADDING

START = 0.1
"""s before training."""
LONGEST = 64
"""Tokens of a title that are read."""


class Titles(nn.Module):
    """(N + 1, D) means of the titles' word vectors, row 0 the padding, and the scale s.

    Args:
        num_items: N.
        width: D, width of the decoder.
    """

    def __init__(self, num_items: int, width: int) -> None:
        super().__init__()
        self.means = nn.Parameter(torch.zeros(num_items + 1, width), requires_grad=False)
        self.scale = nn.Parameter(torch.tensor(START))

    def forward(self, input_ids: Tensor, projected: Tensor) -> Tensor:
        """(…) item indices and (…, D) their projected vectors to (…, D)."""
        return F.embedding(input_ids, self.means, PADDING) + self.scale * projected

    def describe(self, means: Tensor) -> None:
        """Put in (N, D) means."""
        with torch.no_grad():
            self.means[1:] = means

    def extended(self, means: Tensor) -> "Titles":
        """These with (M, D) new items' behind their own."""
        titles = Titles(len(self.means) - 1 + len(means), self.means.shape[1]).to(self.means.device)
        with torch.no_grad():
            titles.means.copy_(torch.cat([self.means, means.to(self.means)]))
            titles.scale.copy_(self.scale)
        return titles.requires_grad_(False).train(self.training)


def mean_word_vectors(table: Tensor, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str]) -> Tensor:
    """(M, D): the mean of each text's rows of a (V, D) word table; zeros for an empty text."""
    found = torch.zeros(len(texts), table.shape[1], dtype=table.dtype)
    for row, text in enumerate(texts):
        tokens = tokenizer(text, add_special_tokens=False, truncation=True, max_length=LONGEST).input_ids
        if tokens:
            found[row] = table[tokens].mean(dim=0)
    return found
