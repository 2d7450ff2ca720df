"""A model that is being served: a model folder through the engine, or a bundle through the runtime.

Both give the same few things over item indices: histories encoded (a user vector each, or a score an item where a
kind has no vectors), ranked, scored, and items compared. Everything about ids is here once for both.
"""

import copy
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from slmrec.errors import UserError, nearest
from slmrec.serving.filters import Attribute

Id = str | int
Unknown = Literal["error", "skip"]
TIMED = 9
"""Requests from which a model's time is told."""


class Served(ABC):
    """What the routes know of a model. Histories are arrays of item indices from 1, columns are item indices from 0."""

    name: str
    kind: str
    layers: int | None
    parameters: int
    precision: str
    adds_items: bool
    """Whether it knows items by text and so takes new ones."""
    compares: bool
    """Whether it compares items; `likeness` and `similar` need it."""
    max_length: int
    ids: list[Id]
    """Item ids, as the catalogue spells them."""
    texts: list[str]
    """Item texts; an item without one has its id."""
    columns: dict[str, list[Any]]
    """The items' attributes."""
    milliseconds: float
    """Median time of one request of 10 items, alone."""

    # -- what the two kinds give ------------------------------------------------------------------------------

    @abstractmethod
    def encode(self, histories: Sequence[np.ndarray]) -> Any:
        """(B, …): what `rank` and `scores` take."""

    def encode_users(self, histories: Mapping[str, np.ndarray]) -> Any:
        """`encode` of users who come again, in the order of the mapping."""
        return self.encode(list(histories.values()))

    @abstractmethod
    def rank(
        self, encoded: Any, k: int, excluded: Sequence[np.ndarray] | None, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `Recommender.top_k`, which it agrees with: (B, k) scores, best first, and (B, k) columns."""

    @abstractmethod
    def scores(self, encoded: Any, columns: np.ndarray | None = None) -> np.ndarray:
        """(B, C) float32: scores of some items, or of all."""

    @abstractmethod
    def likeness(self, columns: np.ndarray) -> np.ndarray:
        """(M, M) float32: how alike items are to each other."""

    @abstractmethod
    def similar(self, column: int, k: int) -> list[tuple[int, float]]:
        """The k items most like one, as `Recommender.similar_items`: columns and scores."""

    def forget(self, user: str) -> None:  # noqa: B027 - most models keep nothing of users
        """Drop what is kept of a user."""

    @property
    def state_bytes(self) -> int:
        """Memory that users' states take."""
        return 0

    def extended(self, items: Sequence[Mapping[str, Any]]) -> "Served":
        """This model with new items behind its own; this one stays as it is.

        Raises:
            UserError: it has no item table with text, or an item cannot be added.
        """
        raise UserError(f"model '{self.name}' cannot take new items; serve a model folder trained with item_text")

    # -- what both have ---------------------------------------------------------------------------------------

    @cached_property
    def place(self) -> dict[str, int]:
        """Columns by the spelling of the item's id."""
        return {str(item): column for column, item in enumerate(self.ids)}

    def index(self, ids: Sequence[Id], unknown: Unknown = "error") -> np.ndarray:
        """Item indices of ids, as `Catalogue.index`."""
        found = [self.place.get(str(item), -1) + 1 for item in ids]
        if 0 in found:
            if unknown == "error":
                missing = [str(item) for item, index in zip(ids, found, strict=True) if not index]
                named = ", ".join(f"'{item}'" for item in missing[:5]) + (", …" if len(missing) > 5 else "")
                raise UserError(
                    f"{len(missing)} of {len(ids)} items are not in the catalogue of {len(self.ids)}: {named}; "
                    "remove them, or ask for unknown items to be skipped"
                )
            found = [index for index in found if index]
        return np.array(found, dtype=np.int32)

    def attribute(self, name: str) -> Attribute:
        """One attribute of the items.

        Raises:
            UserError: the items have no such attribute.
        """
        if name not in self.columns:
            known = nearest(name, self.columns) if self.columns else "; they have none"
            raise UserError(f"the items of model '{self.name}' have no attribute '{name}'{known}")
        if name not in self._attributes:
            self._attributes[name] = Attribute(self.columns[name])
        return self._attributes[name]

    @cached_property
    def _attributes(self) -> dict[str, Attribute]:
        return {}

    def facts(self) -> dict[str, Any]:
        """What `GET /models` tells."""
        return {
            "name": self.name,
            "kind": self.kind,
            "layers": self.layers,
            "parameters": self.parameters,
            "items": len(self.ids),
            "precision": self.precision,
            "adds_items": self.adds_items,
            "milliseconds": self.milliseconds,
        }

    def measure(self) -> float:
        """Milliseconds of a request: 10 events in, 10 items out."""
        drawn = np.random.default_rng(0)
        taken = []
        for _ in range(TIMED + 3):
            history = drawn.integers(1, len(self.ids) + 1, size=min(10, self.max_length))
            started = time.perf_counter()
            self.rank(self.encode([history]), 10, [history - 1], None)
            taken.append(time.perf_counter() - started)
        return round(1e3 * statistics.median(taken[3:]), 2)


class ServedModel(Served):
    """A model folder; LLM recommenders keep the states of users who come again.

    Args:
        name: what requests call it.
        model: the model.
        precision: of an LLM recommender's matrix products.
        state_bytes: memory for users' states.
    """

    def __init__(self, name: str, model: Any, precision: str, state_bytes: int) -> None:
        from slmrec.engine import UserStates
        from slmrec.models import SLMRec

        model.use_precision(precision)
        self.model, self.name, self.kind, self.precision = model, name, model.kind, precision
        self.states = UserStates(model.encoder, max_bytes=state_bytes) if isinstance(model, SLMRec) else None
        self._describe()
        self.milliseconds = self.measure()

    def _describe(self) -> None:
        from slmrec.models import DotProductRecommender, Recommender, SLMRec

        model, frame = self.model, self.model.catalogue.frame
        self.layers = model.num_layers if isinstance(model, SLMRec) else getattr(model.config, "num_blocks", None)
        self.parameters = model.parameter_counts()["without_vocabulary"]
        self.adds_items = model.known_by_text is not None
        self.compares = type(model).similarities is not Recommender.similarities
        self.max_length = model.config.max_length
        self.ids = frame["item_id"].to_list()
        self.texts = model.catalogue.texts(range(1, len(frame) + 1))
        self.columns = {name: frame[name].to_list() for name in frame.columns if name not in ("item_id", "text")}
        self.has_vectors = isinstance(model, DotProductRecommender)
        if self.has_vectors:
            with _inference():
                self.table = model.item_vectors().float()

    def encode(self, histories: Sequence[np.ndarray]) -> Any:
        with _inference():
            return self.model.encode(histories).float() if self.has_vectors else self.model.score(histories)

    def encode_users(self, histories: Mapping[str, np.ndarray]) -> Any:
        if self.states is None:
            return super().encode_users(histories)
        return self.states.encode({user: row for user, row in histories.items()}).float()

    def rank(
        self, encoded: Any, k: int, excluded: Sequence[np.ndarray] | None, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        from slmrec.engine import best_of, top_k

        k = min(k, len(self.ids))
        with _inference():
            if self.has_vectors:
                scores, columns = top_k(encoded, self.table, k, excluded=excluded, allowed=allowed)
            else:
                scores, columns = best_of(encoded.clone(), k, excluded=excluded, allowed=allowed)
        return scores.numpy(), columns.numpy()

    def scores(self, encoded: Any, columns: np.ndarray | None = None) -> np.ndarray:
        with _inference():
            if self.has_vectors:
                return (encoded @ (self.table if columns is None else self.table[columns]).T).numpy()
            return (encoded if columns is None else encoded[:, columns]).numpy()

    def likeness(self, columns: np.ndarray) -> np.ndarray:
        import torch

        with _inference():
            if self.has_vectors:
                vectors = torch.nn.functional.normalize(self.table[columns], dim=1)
                return (vectors @ vectors.T).numpy()
            return self.model.similarities(torch.from_numpy(columns + 1))[:, columns].nan_to_num(neginf=0.0).numpy()

    def similar(self, column: int, k: int) -> list[tuple[int, float]]:
        frame = self.model.similar_items([self.ids[column]], k=k)
        return [(self.place[str(item)], score) for item, score in frame["item_id", "score"].iter_rows()]

    def forget(self, user: str) -> None:
        if self.states is not None:
            self.states.forget(user)

    @property
    def state_bytes(self) -> int:
        return 0 if self.states is None else self.states.nbytes

    def extended(self, items: Sequence[Mapping[str, Any]]) -> Served:
        if not self.adds_items:
            return super().extended(items)
        model = copy.deepcopy(self.model)
        model.use_precision(self.precision)  # its encoder is that of the model it was copied from
        model.add_items(_frame(items, model.catalogue.frame))
        other = copy.copy(self)
        for cached in ("place", "_attributes"):
            other.__dict__.pop(cached, None)
        other.model = model
        other._describe()
        return other

    def adopted(self) -> None:
        """Go on with the states of the model that this one was extended from: known items keep their vectors."""
        if self.states is not None:
            self.states.encoder = self.model.encoder


class ServedBundle(Served):
    """A bundle, without torch.

    Args:
        name: what requests call it.
        bundle: a `slmrec.runtime.Bundle`.
    """

    adds_items = False
    compares = True

    def __init__(self, name: str, bundle: Any) -> None:
        self.name, self.bundle = name, bundle
        self.kind, self.precision, self.max_length = bundle.kind, bundle.precision, bundle.max_length
        self.layers, self.parameters = bundle.manifest["layers"], bundle.manifest["parameters"]
        columns = bundle.catalogue.columns
        self.ids = columns["item_id"]
        self.texts = bundle.catalogue.texts(range(1, len(self.ids) + 1))
        self.columns = {name: values for name, values in columns.items() if name not in ("item_id", "text")}
        self.table = bundle.item_vectors()
        self.milliseconds = self.measure()

    def encode(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        return self.bundle.encode(histories)

    def rank(
        self, encoded: np.ndarray, k: int, excluded: Sequence[np.ndarray] | None, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        from slmrec.runtime.ranking import top_k

        return top_k(encoded, self.table, min(k, len(self.ids)), excluded=excluded, allowed=allowed)

    def scores(self, encoded: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
        return encoded @ (self.table if columns is None else self.table[columns]).T

    def likeness(self, columns: np.ndarray) -> np.ndarray:
        vectors = self.table[columns]
        vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors @ vectors.T

    def similar(self, column: int, k: int) -> list[tuple[int, float]]:
        found = self.bundle.similar_items([self.ids[column]], k=k)[0]
        return [(self.place[str(one.item_id)], one.score) for one in found]


class ServedCombination(ServedBundle):
    """A bundle with neighbours beside its graph: histories are encoded to scores, (B, N), for a vector is not all."""

    def encode(self, histories: Sequence[np.ndarray]) -> np.ndarray:
        return self.bundle.score(histories)

    def rank(
        self, encoded: np.ndarray, k: int, excluded: Sequence[np.ndarray] | None, allowed: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        from slmrec.runtime.ranking import best_of

        return best_of(encoded, min(k, len(self.ids)), excluded=excluded, allowed=allowed)

    def scores(self, encoded: np.ndarray, columns: np.ndarray | None = None) -> np.ndarray:
        return encoded if columns is None else encoded[:, columns]


def load_served(name: str, folder: Path, *, precision: str = "fp32", state_bytes: int = 2**28) -> Served:
    """A model folder or a bundle, ready to answer.

    Args:
        name: what requests call it.
        folder: the folder.
        precision: of an LLM recommender's matrix products; a bundle and the other kinds have their own.
        state_bytes: memory for the states of an LLM recommender's users.

    Raises:
        UserError: it is neither, or damaged.
    """
    if (folder / "manifest.json").is_file():
        from slmrec.runtime import Bundle

        bundle = Bundle.load(folder)
        return (ServedCombination if bundle.manifest["neighbours"] else ServedBundle)(name, bundle)
    from slmrec.models import load

    model = load(folder)
    return ServedModel(name, model, precision if model.kind == "slmrec" else "fp32", state_bytes)


def _inference() -> Any:
    import torch

    return torch.inference_mode()


def _frame(items: Sequence[Mapping[str, Any]], like: Any) -> Any:
    """New items as a frame with the types of a catalogue's; an attribute that it lacks keeps its own type."""
    import polars as pl

    columns = {}
    for name in dict.fromkeys(name for item in items for name in item):
        values = [item.get(name) for item in items]
        if name == "item_id":
            values = [str(value) for value in values]
        try:
            column = pl.Series(name, values)
            columns[name] = column.cast(like.schema.get(name, column.dtype))
        except (pl.exceptions.PolarsError, TypeError) as error:
            wanted = f"that fit its type, {like.schema[name]}" if name in like.columns else "of one type"
            raise UserError(f"'{name}' of the new items does not hold values {wanted}") from error
    return pl.DataFrame(columns)
