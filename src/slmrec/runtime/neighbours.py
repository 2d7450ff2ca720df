"""What stands beside a graph and trains nothing: items that point to others, each counted by a weight.

    s_i = w_0 u·v_i + Σ_t w_t log(n_{t,i} + n̄_t),    n_{t,i} = Σ_p δ_t^(L-p) w_t(x_p, i)

u, v: the graph's user vector and the item's; w_t(j, i): how strongly item j of the history points to i, n̄_t: the mean
of n_t over the catalogue. The sum of `models/ensemble.py` over `models/neighbours.py`, computed where n_t is not 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from slmrec.errors import UserError

PARTS = ("offsets", "columns", "strengths")


@dataclass(frozen=True)
class Neighbours:
    """One such model over N items: item index j points to the columns between its two offsets."""

    offsets: np.ndarray
    """(N + 1,) int64: item index j's are those from offsets[j - 1] to offsets[j]."""
    columns: np.ndarray
    """(n,) int32: the items that are pointed to, index - 1."""
    strengths: np.ndarray
    """(n,) float32: w(j, i), above 0."""
    weight: float
    """How much the model counts."""
    decay: float
    """δ."""
    max_length: int
    """Most recent items of a history that are read."""

    @classmethod
    def load(cls, folder: Path, facts: dict[str, Any], num_items: int) -> "Neighbours":
        """Read one of a bundle's.

        Args:
            folder: the bundle.
            facts: what its manifest says of this one.
            num_items: of the bundle.

        Raises:
            UserError: a file is damaged, or they do not fit.
        """
        arrays = {}
        for part in PARTS:
            path = folder / facts["files"][part]
            try:
                arrays[part] = np.load(path, allow_pickle=False)
            except (ValueError, EOFError) as error:
                raise UserError(f"{path} is no NumPy array ({error}); export the model again") from error
        offsets, columns, strengths = arrays.values()
        if len(offsets) != num_items + 1 or not offsets[-1] == len(columns) == len(strengths):
            raise UserError(
                f"{folder / facts['files']['offsets']} does not fit the bundle's {num_items} items; copy or export the "
                "bundle again"
            )
        return cls(offsets, columns, strengths, facts["weight"], facts["decay"], facts["max_length"])

    def save(self, folder: Path, name: str) -> dict[str, Any]:
        """Write what `load` reads, into files that begin with a name; return what the manifest has to say."""
        files = {part: f"{name}-{part}.npy" for part in PARTS}
        for part, file in files.items():
            np.save(folder / file, getattr(self, part))
        return {"files": files, "weight": self.weight, "decay": self.decay, "max_length": self.max_length}

    def votes(self, history: np.ndarray, num_items: int) -> tuple[np.ndarray, np.ndarray, float]:
        """What is added to the scores of so many items after a history of item indices.

        Returns:
            (m,) int64 columns, each once; (m,) float64, what each gets; and what every other item gets.
        """
        read = np.asarray(history, dtype=np.int64)[-self.max_length :]
        shares = self.decay ** np.arange(len(read) - 1, -1, -1)
        known = read < len(self.offsets)  # items that came later point nowhere
        read, shares = read[known], shares[known]
        starts = self.offsets[read - 1]
        counts = self.offsets[read] - starts
        places = np.arange(counts.sum()) + np.repeat(starts - (counts.cumsum() - counts), counts)
        columns, where = np.unique(self.columns[places], return_inverse=True)
        found = np.bincount(where, self.strengths[places] * np.repeat(shares, counts), minlength=len(columns))
        mean = found.sum() / num_items
        floor = np.log(max(mean, float(np.finfo(np.float32).tiny)))
        return columns.astype(np.int64), self.weight * np.log(found + mean), float(self.weight * floor)


def together(models: Sequence[Neighbours], history: np.ndarray, num_items: int) -> tuple[np.ndarray, np.ndarray, float]:
    """The same of several models: what each column gets above the others, and what all get."""
    told = [model.votes(history, num_items) for model in models]
    base = sum(floor for *_, floor in told)
    columns, where = np.unique(np.concatenate([columns for columns, *_ in told]), return_inverse=True)
    above = np.concatenate([found - floor for _, found, floor in told])
    return columns, np.bincount(where, above, minlength=len(columns)).astype(np.float32), base
