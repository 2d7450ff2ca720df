"""The items of a bundle: external ids, their text, and the indices that stand for them inside.

The same questions as `slmrec.data.Catalogue` answers, without a data frame library.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np

from slmrec.errors import UserError

PADDING = 0
"""The index that stands for no item; items have 1..N."""
Id = str | int


class Indexed:
    """External ids with an index (1..N) each."""

    def __len__(self) -> int:
        return len(self._index_of)

    def _spelled(self) -> list[str]:
        """The ids as text, by index."""
        raise NotImplementedError

    @cached_property
    def _index_of(self) -> dict[str, int]:
        return {item_id: index for index, item_id in enumerate(self._spelled(), start=1)}

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

    def competing(self, allow: Iterable[object] | None, deny: Iterable[object] | None) -> np.ndarray | None:
        """Return the (M,) sorted columns (index - 1) of the ids in ``allow`` that ``deny`` does not name.

        None stands for all: every id is allowed, or none denied; if both are None, so is what is returned.
        Raises `UserError` naming unknown ids.
        """
        if allow is None and deny is None:
            return None
        competing = self.index(allow) if allow is not None else np.arange(1, len(self) + 1)
        return np.setdiff1d(competing, self.index(deny) if deny is not None else ()) - 1


class Catalogue(Indexed):
    """N items; the one with index i (1..N) stands at place i - 1 of every column."""

    def __init__(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Take ``columns``: `item_id` (all strings or all integers, unique), `text` (strings or None), attributes.

        Raises:
            UserError: they are not that.
        """
        for name in ("item_id", "text"):
            if name not in columns:
                raise UserError(f"the items have the columns {', '.join(columns)}; they need item_id and text")
        ids = columns["item_id"]
        for name, column in columns.items():
            if len(column) != len(ids):
                raise UserError(f"there are {len(ids)} item ids, but column {name} has {len(column)} values")
        kinds = {type(item_id) for item_id in ids}
        if kinds not in ({str}, {int}):
            named = ", ".join(sorted(kind.__name__ for kind in kinds)) or "none"
            raise UserError(f"item ids are all strings or all integers, but these are of the types {named}")
        self.columns = {name: list(column) for name, column in columns.items()}
        if len(self) < len(ids):
            raise UserError(f"there are {len(ids)} item ids, but only {len(self)} different ones")

    def ids(self, indices: Iterable[int]) -> list[Id]:
        """Return the external ids of indices 1..N, in the source's type."""
        column = self.columns["item_id"]
        return [column[place] for place in self._places(indices)]

    def texts(self, indices: Iterable[int]) -> list[str]:
        """Return the texts of indices 1..N; an item without one is shown by its id."""
        texts, ids = self.columns["text"], self.columns["item_id"]
        return [str(ids[place]) if texts[place] is None else texts[place] for place in self._places(indices)]

    def extended(self, ids: Sequence[Id], texts: Sequence[str | None]) -> "Catalogue":
        """This catalogue with new items behind its own; what else is known of items is None for them.

        Raises:
            UserError: an id is known already, stands there twice, or is of another type than the others.
        """
        known = [item_id for item_id in ids if str(item_id) in self._index_of]
        if known:
            raise UserError(f"{len(known)} of the {len(ids)} new items are known already, the first is '{known[0]}'")
        new: dict[str, Sequence[Any]] = {name: [None] * len(ids) for name in self.columns}
        new |= {"item_id": ids, "text": texts}
        return Catalogue({name: [*column, *new[name]] for name, column in self.columns.items()})

    def _spelled(self) -> list[str]:
        return [str(item_id) for item_id in self.columns["item_id"]]

    def _places(self, indices: Iterable[int]) -> list[int]:
        places = (np.asarray(indices, dtype=np.int64) - 1).tolist()
        if places and not 0 <= min(places) <= max(places) < len(self):
            raise IndexError(f"item indices are 1..{len(self)}, found {min(places) + 1}..{max(places) + 1}")
        return places
