"""The items: external ids, their text, and the indices that stand for them everywhere else."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from slmrec.data.parquet import read_parquet, write_parquet
from slmrec.errors import UserError
from slmrec.files import whole_file

PADDING = 0
"""The index that stands for no item; items have 1..N."""


class Catalogue:
    """External item ids with their text; the item with index i (1..N) is row i - 1 of `frame`."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """Take ``frame``: `item_id` (String or Int64, unique), `text` (String or null), any attributes."""
        if frame.schema.get("item_id") not in (pl.String, pl.Int64) or "text" not in frame.columns:
            raise UserError(f"the columns are {frame.schema}, not item_id (String or Int64), text (String), …")
        if frame["item_id"].null_count() or frame["item_id"].is_duplicated().any():
            raise UserError("an item_id is null or stands there twice")
        self.frame = frame.with_columns(pl.col("text").cast(pl.String))

    def __len__(self) -> int:
        return len(self.frame)

    @classmethod
    def load(cls, path: Path) -> "Catalogue":
        """Read what `save` wrote. Raises `UserError` if the file is missing or damaged."""
        frame = read_parquet(path)
        try:
            return cls(frame)
        except UserError as error:
            raise UserError(f"{path} is no items table of ours: {error}") from error

    def save(self, path: Path) -> None:
        """Write the frame as Parquet, whole or not at all. Raises `UserError` if it cannot be written."""
        with whole_file(Path(path)) as scratch:
            write_parquet(self.frame, scratch)

    def index(self, ids: Iterable[object], unknown: Literal["error", "skip"] = "error") -> np.ndarray:
        """Return the indices of external ids, (len(ids),) int32; integers and their decimal spelling are one.

        Raises `UserError` naming unknown ids; with ``unknown="skip"`` they are left out instead.
        """
        spelled = [str(item_id) for item_id in ids]
        found = [self._index_of.get(item_id, PADDING) for item_id in spelled]
        if unknown == "error" and PADDING in found:
            missing = [item_id for item_id, index in zip(spelled, found, strict=True) if index == PADDING]
            named = ", ".join(f"'{item_id}'" for item_id in missing[:5]) + (", …" if len(missing) > 5 else "")
            raise UserError(
                f"{len(missing)} of {len(spelled)} items are not in the catalogue of {len(self)}: {named}; "
                "remove them, or ask for unknown items to be skipped"
            )
        return np.array([index for index in found if index != PADDING], dtype=np.int32)

    def ids(self, indices: Iterable[int]) -> pl.Series:
        """Return the external ids of indices 1..N, in the source's dtype."""
        return self.frame["item_id"].gather(self._rows(indices))

    def texts(self, indices: Iterable[int]) -> list[str]:
        """Return the texts of indices 1..N; an item without one is shown by its id."""
        rows = self.frame[self._rows(indices)]
        return rows["text"].fill_null(rows["item_id"].cast(pl.String)).to_list()

    @cached_property
    def _index_of(self) -> dict[str, int]:
        spelled = self.frame["item_id"].cast(pl.String).to_list()
        return {item_id: index for index, item_id in enumerate(spelled, start=1)}

    def _rows(self, indices: Iterable[int]) -> np.ndarray:
        indices = np.asarray(indices, dtype=np.int64)
        if indices.size and not 1 <= indices.min() <= indices.max() <= len(self):
            raise IndexError(f"item indices are 1..{len(self)}, found {indices.min()}..{indices.max()}")
        return indices - 1
