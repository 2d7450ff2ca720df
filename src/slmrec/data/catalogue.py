"""The items: external ids, their text, and the indices that stand for them everywhere else."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl

from slmrec.data.parquet import read_parquet, write_parquet
from slmrec.errors import UserError
from slmrec.files import whole_file
from slmrec.runtime.catalogue import Indexed


class Catalogue(Indexed):
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

    def ids(self, indices: Iterable[int]) -> pl.Series:
        """Return the external ids of indices 1..N, in the source's dtype."""
        return self.frame["item_id"].gather(self._rows(indices))

    def texts(self, indices: Iterable[int]) -> list[str]:
        """Return the texts of indices 1..N; an item without one is shown by its id."""
        rows = self.frame[self._rows(indices)]
        return rows["text"].fill_null(rows["item_id"].cast(pl.String)).to_list()

    def _spelled(self) -> list[str]:
        return self.frame["item_id"].cast(pl.String).to_list()

    def _rows(self, indices: Iterable[int]) -> np.ndarray:
        indices = np.asarray(indices, dtype=np.int64)
        if indices.size and not 1 <= indices.min() <= indices.max() <= len(self):
            raise IndexError(f"item indices are 1..{len(self)}, found {indices.min()}..{indices.max()}")
        return indices - 1
