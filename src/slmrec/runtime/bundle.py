"""A bundle: an exported recommender that answers in external ids without torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from slmrec.errors import UserError
from slmrec.files import read_json
from slmrec.runtime.catalogue import Catalogue, Id
from slmrec.runtime.manifest import CATALOGUE, ITEMS, read_manifest
from slmrec.runtime.neighbours import Neighbours, together
from slmrec.runtime.ranking import largest, top_k
from slmrec.runtime.recommendation import Recommendation
from slmrec.runtime.sessions import Session, open_session

TOKENS = 2048
"""Positions that run together."""


@dataclass(frozen=True)
class _Items:
    """Ids and vectors of the same items: replaced together, so that no call ever sees one without the other."""

    catalogue: Catalogue
    vectors: np.ndarray
    """(N, d) float32: row j belongs to item index j + 1."""


class Bundle:
    """An exported recommender: N items, vectors of width d. Any number of threads may use one."""

    def __init__(
        self,
        manifest: dict[str, Any],
        catalogue: Catalogue,
        vectors: np.ndarray,
        session: Session,
        neighbours: Sequence[Neighbours] = (),
    ) -> None:
        """Take what `load` reads from a folder."""
        self.manifest = manifest
        """manifest.json as it stands, with the measured `parity` and `latency`."""
        self.kind: str = manifest["kind"]
        self.name: str = manifest["name"]
        self.precision: str = manifest["precision"]
        self.max_length: int = manifest["max_length"]
        """Most recent items of a history that are read."""
        self._items = _Items(catalogue, vectors)
        self._session = session
        self._neighbours = neighbours

    @classmethod
    def load(cls, folder: str | Path, *, threads: int | None = None) -> "Bundle":
        """Read a bundle, every file checked against its manifest.

        Args:
            folder: what `slmrec export` wrote.
            threads: threads that one call computes on; None: the library's own choice.

        Raises:
            UserError: it is missing, damaged, of another version, its parts do not fit one another, this machine
                cannot run it, or a package is missing.
        """
        folder = Path(folder)
        if threads is not None and threads < 1:
            raise UserError(f"threads is {threads}, but must be at least 1")
        manifest = read_manifest(folder)
        width = manifest["item_dim"]
        try:
            vectors = np.load(folder / ITEMS, allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise UserError(f"{folder / ITEMS} is no NumPy array ({error}); export the model again") from error
        wanted = (manifest["num_items"], width)
        if vectors.shape != wanted or vectors.dtype != np.float32:
            raise UserError(
                f"{folder / ITEMS} is {vectors.dtype} of shape {vectors.shape}, but the manifest says float32 of "
                f"{wanted}; copy or export the bundle again"
            )
        columns = read_json(folder / CATALOGUE, "bundle")
        try:
            catalogue = Catalogue(columns)
        except (UserError, TypeError, AttributeError) as error:
            raise UserError(f"{folder / CATALOGUE} is no catalogue ({error}); export the model again") from error
        if len(catalogue) != len(vectors):
            raise UserError(
                f"{folder / CATALOGUE} has {len(catalogue)} items and {ITEMS} {len(vectors)}; copy the bundle again"
            )
        return cls(
            manifest,
            catalogue,
            vectors,
            open_session(folder / manifest["graph"], manifest["precision"], width, threads),
            [Neighbours.load(folder, each, len(vectors)) for each in manifest["neighbours"]],
        )

    @property
    def catalogue(self) -> Catalogue:
        """External ids and texts of the items."""
        return self._items.catalogue

    def item_vectors(self) -> np.ndarray:
        """(N, d) float32: row j belongs to item index j + 1. Not to be written to."""
        return self._items.vectors

    # -- in external ids --------------------------------------------------------------------------------------

    def recommend(
        self,
        histories: Sequence[Sequence[Id]],
        *,
        k: int = 10,
        exclude_seen: bool = True,
        allow: Sequence[Id] | None = None,
        deny: Sequence[Id] | None = None,
        unknown: Literal["error", "skip"] = "error",
    ) -> list[list[Recommendation]]:
        """The k best next items for each history, as `Recommender.recommend` gives them.

        Args:
            histories: external item ids, oldest first, of any users.
            k: items a history; fewer come back where fewer are left.
            exclude_seen: leave out the items of the history, all of them and not only those that are read.
            allow: only these items may be recommended.
            deny: these items may not.
            unknown: what to do with an item of a history that the catalogue lacks: say so, or go on without it.

        Returns:
            For each history its list, best first; equal scores by the items' order in the catalogue.

        Raises:
            UserError: unknown items, an empty history, or k below 1.
        """
        if k < 1:
            raise UserError(f"k is {k}, but must be at least 1")
        items = self._items
        rows = []
        for user, history in enumerate(histories):
            if isinstance(history, str | int):
                raise UserError(f"history {user} is {history!r}, but must be a list of item ids, as [{history!r}]")
            row = items.catalogue.index(history, unknown=unknown)
            if len(row) == 0:
                why = "none of its items is known" if len(history) else "it is empty"
                raise UserError(f"the history of user {user} cannot be used: {why}; give at least one known item")
            rows.append(row)
        allowed = items.catalogue.competing(allow, deny)
        scores, columns = self._top_k(items, rows, k, exclude_seen, allowed)
        return _lists(items.catalogue, scores, columns)

    def similar_items(self, ids: Sequence[Id], k: int = 10) -> list[list[Recommendation]]:
        """The k items most like each of `ids`, by the cosine of their vectors; an item is never its own neighbour.

        Raises:
            UserError: an unknown item.
        """
        if k < 1:
            raise UserError(f"k is {k}, but must be at least 1")
        items = self._items
        columns = items.catalogue.index(ids) - 1
        lengths = np.linalg.norm(items.vectors, axis=1, keepdims=True)
        unit = items.vectors / np.maximum(lengths, 1e-12)
        scores = unit[columns] @ unit.T  # (M, N)
        scores[np.arange(len(columns)), columns] = -np.inf
        best = largest(scores, min(k, len(items.catalogue) - 1))
        return _lists(items.catalogue, np.take_along_axis(scores, best, axis=1), best)

    def add_items(self, ids: Sequence[Id], texts: Sequence[str | None], vectors: np.ndarray) -> None:
        """Let new items be read and recommended from now on; the folder stays as it is.

        Args:
            ids: M external ids, of the type that the catalogue's have.
            texts: M texts.
            vectors: (M, d) float, item vectors as the model that was exported makes them.

        Raises:
            UserError: an id is known or stands there twice, or the vectors do not fit.
        """
        items = self._items
        new = np.asarray(vectors, dtype=np.float32)
        if new.shape != (len(ids), items.vectors.shape[1]) or not np.isfinite(new).all():
            raise UserError(
                f"the vectors of {len(ids)} new items must be finite and of shape "
                f"({len(ids)}, {items.vectors.shape[1]}), but are {new.shape}"
            )
        catalogue = items.catalogue.extended(ids, texts)
        self._items = _Items(catalogue, np.concatenate([items.vectors, new]))

    # -- in indices -------------------------------------------------------------------------------------------

    def top_k(
        self, histories: Sequence[np.ndarray], k: int, *, exclude_seen: bool = True, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k best items of each history, without ids.

        Args:
            histories: item indices (from 1), oldest first.
            k: items a history.
            exclude_seen: leave out each history's own items, all of them and not only those that are read.
            allowed: (M,) int, columns (item index - 1) that compete; None: all.

        Returns:
            (B, k) float32 scores, best first, and (B, k) int64 columns; where no item is left the score is -inf.
        """
        return self._top_k(self._items, histories, k, exclude_seen, allowed)

    def score(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        """(B, N) float32: column j is the score of item index j + 1 after each history's last item."""
        items = self._items
        scores = self._encode(items, histories) @ items.vectors.T
        if self._neighbours:
            scores *= self.manifest["weight"]
            for row, history in zip(scores, histories, strict=True):
                columns, above, base = together(self._neighbours, history, scores.shape[1])
                row += base
                row[columns] += above
        return scores

    def encode(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        """(B, d) float32: the user vector after each history's last item; histories are item indices (from 1).

        Raises:
            UserError: a history is empty.
        """
        return self._encode(self._items, histories)

    def _top_k(
        self,
        items: _Items,
        histories: Sequence[np.ndarray],
        k: int,
        exclude_seen: bool,
        allowed: np.ndarray | None,
    ) -> tuple[np.ndarray, np.ndarray]:
        users = self._encode(items, histories)
        seen = [np.asarray(history) - 1 for history in histories] if exclude_seen else None
        k = min(k, len(items.catalogue))
        if not self._neighbours:
            return top_k(users, items.vectors, k, excluded=seen, allowed=allowed)
        told = [together(self._neighbours, history, len(items.catalogue)) for history in histories]
        users *= self.manifest["weight"]
        added = [(columns, above) for columns, above, _ in told]
        scores, columns = top_k(users, items.vectors, k, excluded=seen, allowed=allowed, added=added)
        return scores + np.array([[base] for *_, base in told], dtype=np.float32).reshape(-1, 1), columns

    def _encode(self, items: _Items, histories: Sequence[np.ndarray]) -> np.ndarray:
        rows = [np.asarray(history)[-self.max_length :] for history in histories]
        users = np.empty((len(rows), items.vectors.shape[1]), dtype=np.float32)
        for place, row in enumerate(rows):
            if len(row) == 0:
                raise UserError(f"history {place} is empty; a history needs at least one item")
            if row.min() < 1 or row.max() > len(items.catalogue):
                raise IndexError(f"item indices are 1..{len(items.catalogue)}, found {row.min()}..{row.max()}")
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        for batch in _like_lengths(lengths):
            longest = lengths[batch].max()
            places = np.zeros((len(batch), longest), dtype=np.int64)
            for place, row in enumerate(batch):
                places[place, : lengths[row]] = rows[row] - 1
            users[batch] = self._session(items.vectors[places], lengths[batch])
        return users


def _like_lengths(lengths: np.ndarray) -> Iterator[np.ndarray]:
    """Rows in batches of like length, at most TOKENS positions each, padding included."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > TOKENS:
            yield order[start:end]
            start = end


def _lists(catalogue: Catalogue, scores: np.ndarray, columns: np.ndarray) -> list[list[Recommendation]]:
    """(B, k) scores and columns in external ids, without the places that no item is left for."""
    found = []
    for row, places in zip(scores, columns, strict=True):
        left = int(np.isfinite(row).sum())  # they stand first
        ids = catalogue.ids(places[:left] + 1)
        found.append([Recommendation(item_id, float(row[i]), i + 1) for i, item_id in enumerate(ids)])
    return found
