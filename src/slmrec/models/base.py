"""What every recommender here can do: score histories, recommend, be saved and loaded as one folder."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import numpy as np
import polars as pl
import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import PretrainedConfig, PreTrainedModel

from slmrec.data import Catalogue, Dataset
from slmrec.engine import Precision, best_of, check_precision
from slmrec.errors import UserError
from slmrec.files import whole_folder, write_text
from slmrec.models.card import model_card
from slmrec.models.folder import kind_of_folder
from slmrec.models.text import new_vectors

Id = str | int
SCORES = 16_000_000
"""Scores held at once while the best are picked, 64 MB."""


class Recommender(PreTrainedModel):
    """A sequential recommender over a catalogue.

    Subclasses give `score`, and where they can `position_scores` and `similarities`; those whose scores are dot
    products of vectors inherit all three from `DotProductRecommender`. Histories are arrays of item indices (from 1),
    oldest first; only the last `config.max_length` of them are read.
    """

    kind: ClassVar[str]
    catalogue: Catalogue
    accepts_loss_kwargs = False

    # -- what a subclass defines ------------------------------------------------------------------------------

    def score(self, histories: Sequence[np.ndarray]) -> Tensor:
        """(B, N) float32: column j is the score of item index j + 1 after each history's last item."""
        raise NotImplementedError(f"{type(self).__name__} defines no score")

    def log_scores(self, histories: Sequence[np.ndarray]) -> Tensor:
        """(B, N) float32: scores as log-probabilities up to a constant a history, so that kinds can be averaged."""
        return self.score(histories)

    @property
    def scores_every_position(self) -> bool:
        """Whether `position_scores` can be had."""
        return False

    def position_scores(self, input_ids: Tensor, lengths: Tensor, candidates: Tensor) -> Tensor:
        """Scores of some items as the next one after every position: what a student by scores learns from.

        Args:
            input_ids: (B, L) int, item indices, padded with `PADDING` on the right.
            lengths: (B,) int, how many of each row are items.
            candidates: (C,) int, item indices.

        Returns:
            (B, L, C) float, log-probabilities of the next item up to a constant a position; anything at padding.
        """
        raise NotImplementedError(f"a model of kind {self.kind} does not score every position")

    def similarities(self, indices: Tensor) -> Tensor:
        """(M, N) float: how alike the items of (M,) item indices are to each item; -inf where nothing is known.

        Raises:
            UserError: this kind of model does not compare items.
        """
        raise UserError(f"a model of kind {self.kind} does not compare items; take one of another kind")

    def vocabulary_parameters(self) -> int:
        """Parameters of a language model's word table that the full model has and this one need not hold."""
        return 0

    def use_precision(self, precision: Precision) -> Self:
        """Run the model's matrix products in this precision from now on; returns the model.

        Its weights stay as they are held and saved. What a reduced precision changes is measured in
        docs/performance.md.

        Raises:
            UserError: no such precision, or none but fp32 for this kind of model.
        """
        check_precision(precision)
        if precision != "fp32":
            raise UserError(
                f"precision '{precision}' is for LLM recommenders; a model of kind {self.kind} runs in fp32"
            )
        return self

    # -- recommending -----------------------------------------------------------------------------------------

    def recommend(
        self,
        histories: Sequence[Sequence[Id]] | Mapping[Id, Sequence[Id]] | None = None,
        *,
        users: Sequence[Id] | None = None,
        data: Dataset | None = None,
        k: int = 10,
        exclude_seen: bool = True,
        allow: Sequence[Id] | None = None,
        deny: Sequence[Id] | None = None,
        unknown: Literal["error", "skip"] = "error",
    ) -> pl.DataFrame:
        """The k best next items for each history or known user.

        Args:
            histories: external item ids, oldest first, of any users: a list of histories (their `user_id` is then
                their place in it, from 0) or a mapping from user id to history.
            users: ids of users in `data`, instead of `histories`; all of a user's events are their history.
            data: the data set that knows the users.
            k: items a user; fewer come back where fewer are left.
            exclude_seen: leave out the items of the history.
            allow: only these items may be recommended.
            deny: these items may not.
            unknown: what to do with an item of a history that the catalogue lacks: say so, or go on without it.

        Returns:
            A frame `user_id, item_id, score, rank`, best first; rank counts from 1.

        Raises:
            UserError: unknown users or items, an empty history, neither or both of `histories` and `users`.
        """
        if (histories is None) == (users is None):
            raise UserError("give either histories, or users together with data")
        if k < 1:
            raise UserError(f"k is {k}, but must be at least 1")
        user_ids: Sequence[Id]
        if users is not None:
            if data is None:
                raise UserError("users were given without data; pass the data set that holds their histories")
            user_ids = list(users)
            sequences = [data.catalogue.ids(data.full_history(data.user_index(user))) for user in users]
            histories = [list(sequence) for sequence in sequences]
        elif isinstance(histories, Mapping):
            user_ids, histories = list(histories), list(histories.values())
        else:
            assert histories is not None
            user_ids = range(len(histories))
        rows = [self.catalogue.index(history, unknown=unknown) for history in histories]
        for user, row, history in zip(user_ids, rows, histories, strict=True):
            if len(row) == 0:
                why = "none of its items is known" if len(history) else "it is empty"
                raise UserError(f"the history of user {user} cannot be used: {why}; give at least one known item")
        allowed = self.catalogue.competing(allow, deny)
        scores, columns = self.top_k(rows, k, exclude_seen=exclude_seen, allowed=allowed)
        return recommendations(pl.Series(list(user_ids)), self.catalogue, scores, columns)

    def top_k(
        self, histories: Sequence[np.ndarray], k: int, *, exclude_seen: bool = True, allowed: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k best items of each history, without ids and frames: what `recommend` and batch scoring stand on.

        Args:
            histories: item indices (from 1), oldest first.
            k: items a history.
            exclude_seen: leave out each history's own items, all of them and not only those that are read.
            allowed: (M,) int, columns (item index - 1) that compete; None: all.

        Returns:
            (B, k) float32 scores, best first, and (B, k) int64 columns; where no item is left the score is -inf.
        """
        with at_rest(self), torch.inference_mode():
            seen = [history - 1 for history in histories] if exclude_seen else None
            scores, columns = self._top_k(histories, min(k, len(self.catalogue)), seen, allowed)
        return scores.cpu().numpy(), columns.cpu().numpy()

    def _top_k(
        self, histories: Sequence[np.ndarray], k: int, excluded: Sequence[np.ndarray] | None, allowed: np.ndarray | None
    ) -> tuple[Tensor, Tensor]:
        """`top_k` with what is out of each list as columns; some users at a time, so that their scores fit."""
        users = max(1, min(256, SCORES // len(self.catalogue)))
        found = [
            best_of(
                self.score(histories[i : i + users]),
                k,
                excluded=excluded[i : i + users] if excluded else None,
                allowed=allowed,
            )
            for i in range(0, len(histories), users)
        ]
        return torch.cat([scores for scores, _ in found]), torch.cat([columns for _, columns in found])

    def similar_items(self, ids: Sequence[Id], k: int = 10) -> pl.DataFrame:
        """The k items most like each of `ids`: by the cosine of their vectors, where the model has vectors.

        Returns:
            A frame `target_item_id, item_id, score, rank`; an item is never its own neighbour. Fewer than k come back
            where the model knows fewer.

        Raises:
            UserError: an unknown item, or a kind of model that does not compare items.
        """
        indices = torch.from_numpy(self.catalogue.index(ids).astype(np.int64))
        with torch.inference_mode():
            scores = self.similarities(indices).clone()
            scores[torch.arange(len(indices)), indices - 1] = -torch.inf
        best, columns = scores.topk(min(k, len(self.catalogue) - 1), dim=1)
        targets = self.catalogue.ids(indices.numpy())  # spelled as the catalogue does
        frame = recommendations(targets, self.catalogue, best.cpu().numpy(), columns.cpu().numpy())
        return frame.rename({"user_id": "target_item_id"})

    # -- new items --------------------------------------------------------------------------------------------

    def add_items(self, frame: pl.DataFrame) -> None:
        """Let new items be read and recommended by their text; nothing is trained, and known ids stay as they are.

        Args:
            frame: `item_id` and `text`, or `vector` where the model's text vectors were the user's own; other columns
                are kept as attributes.

        Raises:
            UserError: the model has no item table with text, or an id is known, stands there twice, or has no text.
        """
        known_by = self.known_by_text
        if known_by is None:
            raise UserError(
                f"this {self.kind} model has no item table with text, and a new id alone says nothing; train a classic "
                "or an LLM model with item_text, or a text-knn, to let new items in"
            )
        if "item_id" not in frame.columns:
            raise UserError(f"the new items have the columns {', '.join(frame.columns)}; they need item_id")
        if "text" not in frame.columns:
            frame = frame.with_columns(pl.lit(None, dtype=pl.String).alias("text"))
        kind = self.catalogue.frame.schema["item_id"]
        try:
            new = Catalogue(frame.with_columns(pl.col("item_id").cast(kind)).drop("vector", strict=False))
        except pl.exceptions.PolarsError as error:
            raise UserError(f"item_id of the new items is not {kind} as in the catalogue") from error
        known = set(self.catalogue.frame["item_id"]) & set(new.frame["item_id"])
        if known:
            raise UserError(f"{len(known)} of the {len(new)} new items are known already, the first is '{min(known)}'")
        self._append(new_vectors(new, frame, *known_by).to(self.device))
        self.catalogue = Catalogue(pl.concat([self.catalogue.frame, new.frame], how="diagonal_relaxed"))
        self.config.num_items = len(self.catalogue)

    @property
    def known_by_text(self) -> tuple[str, int] | None:
        """What the text vectors that items are known by come from (`models/text.py`), and how wide they are.

        None: the model knows items by their ids alone, and takes no new ones.
        """
        return None

    def _append(self, text: Tensor) -> None:
        """Put new items, which have the text vectors (M, e), behind the model's own; only with `known_by_text`."""
        raise NotImplementedError(f"{type(self).__name__} takes no new items")

    # -- the folder -------------------------------------------------------------------------------------------

    def parameter_counts(self) -> dict[str, int]:
        """Parameters: `total` as a full model counts them, `without_vocabulary` as held here, `trained` by training."""
        held = sum(p.numel() for p in self.parameters())
        trained = getattr(self.config, "trained_parameters", None)
        return {
            "total": held + self.vocabulary_parameters(),
            "without_vocabulary": held,
            "trained": sum(p.numel() for p in self.parameters() if p.requires_grad) if trained is None else trained,
        }

    def weight_bytes(self) -> int:
        """Bytes of the weights in the precision that they are computed with, see `use_precision`."""
        return sum(p.numel() * p.element_size() for p in self.parameters())

    def save_pretrained(  # type: ignore[override]
        self, save_directory: str | Path, facts: Mapping[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Write the model folder: config.json, model.safetensors, items.parquet, README.md (its card), whole or not.

        Args:
            save_directory: the folder; an existing model folder is replaced.
            facts: what the card says beyond the model itself: `data`, `recipe`, `training`, `metrics`; each that is
                given is also written as JSON beside it.
        """
        facts = dict(facts or {})
        with whole_folder(Path(save_directory), marker="config.json") as folder:
            super().save_pretrained(folder, **kwargs)
            self.catalogue.save(folder / "items.parquet")
            for name in ("training", "metrics"):
                if name in facts:
                    write_text(folder / f"{name}.json", json.dumps(facts[name], indent=1) + "\n")
            write_text(folder / "README.md", model_card(self, Path(save_directory).name, facts))

    @classmethod
    def from_pretrained(cls, folder: str | Path, *args, **kwargs) -> Self:  # type: ignore[override]
        """Load a model folder written by `save_pretrained`.

        Raises:
            UserError: it is missing, damaged, truncated, or another kind of folder.
        """
        folder = Path(folder)
        kind_of_folder(folder, expected=cls.kind)
        try:
            loaded: Any = super().from_pretrained(folder, *args, output_loading_info=True, **kwargs)
            model, loading = loaded
            catalogue = Catalogue.load(folder / "items.parquet")
        except (SafetensorError, OSError, RuntimeError, TypeError, ValueError) as error:
            if isinstance(error, UserError):
                raise
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"{folder} is a damaged {cls.kind} model ({reason}); train or copy it again") from error
        wrong = sorted(set(loading["missing_keys"]) | set(loading["unexpected_keys"]))
        if wrong:
            raise UserError(
                f"{folder}: model.safetensors does not fit config.json ({len(wrong)} weights missing or unexpected, "
                f"the first is {wrong[0]}); train or copy it again"
            )
        if len(catalogue) != model.config.num_items:
            raise UserError(
                f"{folder}: items.parquet has {len(catalogue)} items, the model {model.config.num_items}; "
                "copy the folder again"
            )
        model.catalogue = catalogue
        return model.eval()


def recommendations(users: pl.Series, catalogue: Catalogue, scores: np.ndarray, columns: np.ndarray) -> pl.DataFrame:
    """What `Recommender.top_k` found for B users as a frame `user_id, item_id, score, rank`, rank from 1."""
    found = np.isfinite(scores)
    rows, places = np.nonzero(found)
    return pl.DataFrame(
        {
            "user_id": users.gather(rows),
            "item_id": catalogue.ids(columns[found] + 1),
            "score": scores[found],
            "rank": places + 1,
        }
    )


@contextmanager
def at_rest(model: PreTrainedModel) -> Iterator[None]:
    """Without dropout, whatever mode the model is in."""
    if not model.training:  # telling all modules so costs a tenth of a small request
        yield
        return
    model.eval()
    try:
        yield
    finally:
        model.train()


class RecommenderConfig(PretrainedConfig):
    """What all recommenders' configs hold."""

    num_items: int = 0
    """N, items of the catalogue."""
    text_dim: int = 0
    """Width of the items' text vectors; 0 where items have ids alone."""
    text_source: str = ""
    """What the text vectors came from."""
    id_dropout: float = 0.0
    """Share of items whose id part is left out in training, where they have text."""
    item_rank: int = 0
    """Rank of the ids' part of the item table; 0: its width."""
    max_length: int = 50
    """Most recent items of a history that are read."""
    trained_parameters: int | None = None
    """Parameters that training changed; unset while it has not ended."""
