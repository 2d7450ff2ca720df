"""An approximate index over item vectors (FAISS, inverted lists), for catalogues too large to score whole per request.

It answers as `top_k` does, filters included, but may miss an item; how often is measured when it is built and told.
Where its lists hold too few items that pass the filters, the exact search answers instead.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from slmrec.engine.ranking import top_k
from slmrec.errors import UserError

SPARSE = 0.1
"""Where fewer of the items are allowed than this share, scoring them all is cheaper than filtering lists."""


class ItemIndex:
    """The item table in inverted lists.

    Args:
        table: (N, d) float, items; a copy is kept.
        queries: (Q, d) float, user vectors to tune on: the number of lists that are searched grows until their
            recall is reached.
        recall: share of the exact k best items that must be found, on average over the queries.
        k: list length at which recall is measured.
        seed: draws the lists' centres.

    Raises:
        UserError: FAISS is not installed.
    """

    def __init__(self, table: Tensor, queries: Tensor, *, recall: float = 0.98, k: int = 10, seed: int = 0) -> None:
        faiss = _faiss()
        self.table = table.detach().cpu().float().contiguous()
        items, width = self.table.shape
        lists = max(1, min(int(2 * items**0.5), items // 40))
        quantiser = faiss.IndexFlatIP(width)
        self._index: Any = faiss.IndexIVFFlat(quantiser, width, lists, faiss.METRIC_INNER_PRODUCT)
        self._index.cp.seed = seed
        self._index.cp.min_points_per_centroid = 1  # tiny catalogues are no reason to warn
        self._index.cp.max_points_per_centroid = 64
        self._index.train(self.table.numpy())
        self._index.add(self.table.numpy())
        exact = top_k(queries.cpu().float(), self.table, k)[1]
        self._index.nprobe = 1
        self.recall = _recall(self.top_k(queries, k)[1], exact)
        """Share of the exact k best items that it finds for the queries it was built with."""
        while self.recall < recall and self._index.nprobe < lists:
            self._index.nprobe = min(lists, 2 * self._index.nprobe)
            self.recall = _recall(self.top_k(queries, k)[1], exact)

    @property
    def searched(self) -> float:
        """Share of the lists that a search looks into."""
        return self._index.nprobe / self._index.nlist

    def top_k(
        self,
        vectors: Tensor,
        k: int,
        *,
        excluded: Sequence[np.ndarray] | None = None,
        allowed: np.ndarray | None = None,
    ) -> tuple[Tensor, Tensor]:
        """As `slmrec.engine.top_k`."""
        faiss = _faiss()
        vectors = vectors.cpu().float()
        if allowed is not None and len(allowed) < SPARSE * len(self.table):
            return top_k(vectors, self.table, k, excluded=excluded, allowed=allowed)
        options = {"nprobe": self._index.nprobe}
        if allowed is not None:
            mask = np.zeros(len(self.table), dtype=bool)
            mask[allowed] = True
            bits = np.packbits(mask, bitorder="little")
            options["sel"] = faiss.IDSelectorBitmap(bits)
        most = max(map(len, excluded), default=0) if excluded else 0
        asked = min(k + most, len(self.table))
        values, rows = self._index.search(vectors.numpy(), asked, params=faiss.SearchParametersIVF(**options))
        values[rows < 0] = -np.inf
        for row, own in enumerate(excluded or ()):
            values[row, np.isin(rows[row], own)] = -np.inf
        order = np.argsort(-values, axis=1, kind="stable")[:, :k]
        scores = torch.from_numpy(np.take_along_axis(values, order, axis=1))
        items = torch.from_numpy(np.take_along_axis(rows, order, axis=1))
        short = torch.nonzero(torch.isinf(scores).any(dim=1) | (asked < k))[:, 0]
        if len(short):
            theirs = [excluded[i] for i in short.tolist()] if excluded else None
            if scores.shape[1] < k:
                scores, items = (torch.nn.functional.pad(found, (0, k - asked)) for found in (scores, items))
            scores[short], items[short] = top_k(vectors[short], self.table, k, excluded=theirs, allowed=allowed)
        return scores, items


def _recall(found: Tensor, exact: Tensor) -> float:
    hits = (found[:, :, None] == exact[:, None, :]).any(dim=1)
    return hits.float().mean().item()


def _faiss() -> Any:
    try:
        import faiss
    except ImportError:
        raise UserError("an approximate index needs FAISS; install it with: pip install 'slmrec[ann]'") from None
    return faiss
