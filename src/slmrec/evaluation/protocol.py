"""Where each case's target ranks among the catalogue, under one rule for every model.

Full protocol: all N items compete, cold ones too. Sampled protocol (the paper's): the target and 999 items
drawn uniformly from those the user never meets; for comparison with papers alone, since it flatters models.
Ties count against the target, so a model that scores everything alike hits nothing. Seen items, which are the
case's whole history and not only the part a model reads, are out of the list when masked; a target among them
then counts as not found.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, get_args

import numpy as np
import torch

from slmrec.data.catalogue import Catalogue
from slmrec.data.dataset import Cases, Dataset
from slmrec.errors import UserError, nearest
from slmrec.evaluation.metrics import NOT_FOUND, mean_metrics

logger = logging.getLogger(__name__)

SAMPLED_NEGATIVES = 999
SCORES = 64_000_000
"""Scores held at once by default, 256 MB."""

Split = Literal["valid", "test"]
Ranking = Literal["full", "sampled"]
Seen = Literal["masked", "kept"]


class Scorer(Protocol):
    """What evaluation asks of a model; every `Recommender` is one."""

    kind: ClassVar[str]
    catalogue: Catalogue

    def score(self, histories: Sequence[np.ndarray]) -> torch.Tensor:
        """Return (B, N) scores, column j for item index j + 1."""

    def parameter_counts(self) -> dict[str, int]:
        """Return the counts `total`, `without_vocabulary` and `trained`."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The ranks of one model on the cases of one split, and what they were measured with."""

    model: str
    """Name shown in tables."""
    kind: str
    """The model's kind, as "sasrec"."""
    data: str
    """Name of the dataset."""
    fingerprint: str
    """Fingerprint of the dataset: two evaluations compare only if it is the same."""
    split: Split
    protocol: Ranking
    seen: Seen
    seed: int
    """Drew the subset of cases and the sampled negatives."""
    users: int
    """Users with at least one case."""
    cold_targets: int
    """Cases whose target never occurs in train."""
    negatives: int
    """Fewest negatives that a case was ranked among under the sampled protocol; 0 under the full one."""
    metrics: dict[str, float]
    """Means over cases."""
    parameters: dict[str, int]
    seconds: float
    """Wall-clock time of scoring and ranking all cases."""
    cases: Cases
    ranks: np.ndarray
    """(C,) float64, each target's 0-based rank; `NOT_FOUND`, infinity, where it is out of the list."""

    def to_json(self) -> dict:
        """Return what `slmrec evaluate --json` writes for one model."""
        return {
            "model": self.model,
            "kind": self.kind,
            "data": self.data,
            "split": self.split,
            "protocol": self.protocol,
            "seen": self.seen,
            "users": self.users,
            "cases": len(self.ranks),
            "cold_targets": self.cold_targets,
            "seed": self.seed,
            "metrics": self.metrics,
            "parameters": self.parameters,
            "seconds": self.seconds,
        }


def evaluate(
    model: Scorer,
    data: Dataset,
    split: Split = "test",
    protocol: Ranking = "full",
    seen: Seen = "masked",
    *,
    name: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    max_cases: int | None = None,
    newest: int | None = None,
    shuffled: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Rank every target of a split with a model.

    Args:
        model: any recommender of the data's catalogue.
        data: the data set.
        split: "valid", which choices are made by, or "test".
        protocol: "full", or "sampled": among 999 drawn items, as the paper does.
        seen: "masked" takes the history's items out of the list, "kept" leaves them in.
        name: what tables call the model; its kind when not given.
        seed: the same seed gives every model the same negatives and the same subset of cases.
        batch_size: cases scored at once; changes speed and memory (B × N scores), never a rank. By default 256, and
            fewer for a large catalogue.
        max_cases: rank for a subset of this many cases, drawn by the seed.
        newest: the model gets only so many events of each history, as if the user had just come; what is masked stays.
        shuffled: the model gets each history in an order that the seed and the case draw, which tells what order is
            worth.
        progress: called after each batch with the number of cases done and their total.

    Raises:
        UserError: a request that is not one of the choices, a split without cases, a model of another catalogue,
            a score that is NaN or infinite.
    """
    _one_of("split", split, Split)
    _one_of("protocol", protocol, Ranking)
    _one_of("seen", seen, Seen)
    batch_size = max(1, min(256, SCORES // data.num_items)) if batch_size is None else batch_size
    _at_least("batch_size", batch_size, 1)
    _at_least("seed", seed, 0)
    if newest is not None:
        _at_least("newest", newest, 1)
    name = name or model.kind
    _check_catalogue(model, data, name)
    cases = _choose_cases(data, split, max_cases, seed)

    total = len(cases.positions)
    targets = data.sequence[cases.positions]
    # Batches of like length need little padding; longest first, so that memory runs out at once or never.
    order = np.argsort(data.offsets[cases.users] - cases.positions, kind="stable")
    ranks = np.empty(total)
    fewest_negatives = SAMPLED_NEGATIVES if protocol == "sampled" else 0
    started = time.perf_counter()
    with _at_rest(model):
        for start in range(0, total, batch_size):
            batch = order[start : start + batch_size]
            users, positions = cases.users[batch], cases.positions[batch]
            histories = [data.history(user, position) for user, position in zip(users, positions, strict=True)]
            given = histories if newest is None else [history[-newest:] for history in histories]
            if shuffled:
                given = [_shuffled(history, p, seed) for history, p in zip(given, positions, strict=True)]
            scores = model.score(given)  # (B, N)
            _check_scores(scores, data, name, users, positions)
            seen_columns = [history - 1 if seen == "masked" else history[:0] for history in histories]
            rivals = None
            if protocol == "sampled":
                rivals = [_negatives(data, u, p, seed) for u, p in zip(users, positions, strict=True)]
                fewest_negatives = min(fewest_negatives, *map(len, rivals))
            ranks[batch] = _ranks(scores, targets[batch].astype(np.int64) - 1, seen_columns, rivals)
            if progress:
                progress(min(start + batch_size, total), total)
    seconds = time.perf_counter() - started

    if protocol == "sampled" and fewest_negatives < SAMPLED_NEGATIVES:
        logger.warning(
            "%s has too few items for %d negatives that a user never meets: all there are were used, "
            "%d in the smallest case, so these numbers compare with no paper's",
            data.name,
            SAMPLED_NEGATIVES,
            fewest_negatives,
        )
    return Evaluation(
        model=name,
        kind=model.kind,
        data=data.name,
        fingerprint=data.fingerprint,
        split=split,
        protocol=protocol,
        seen=seen,
        seed=seed,
        users=len(np.unique(cases.users)),
        cold_targets=int((data.item_counts()[targets] == 0).sum()),
        negatives=fewest_negatives,
        metrics=mean_metrics(ranks),
        parameters=model.parameter_counts(),
        seconds=seconds,
        cases=cases,
        ranks=ranks,
    )


def _ranks(
    scores: torch.Tensor,
    targets: np.ndarray,
    seen: Sequence[np.ndarray],
    rivals: Sequence[np.ndarray] | None,
) -> np.ndarray:
    """Return each target's 0-based rank, (B,) float64: how many items score at least as high.

    scores: (B, N), only read, since a model may return a view of something that it keeps; targets: (B,)
    columns; seen: B arrays of columns that are out of the list, repeats allowed; rivals: B arrays of the only
    columns that compete, or None where the whole catalogue does.
    """
    seen_rows, seen_columns = _pairs(seen)
    if rivals is None:
        thresholds = scores[np.arange(len(targets)), targets]
        everyone = (scores >= thresholds[:, None]).sum(dim=1, dtype=torch.int32).cpu().numpy() - 1.0
        distinct = np.unique(seen_rows * scores.shape[1] + seen_columns)
        ranks = everyone - _count(scores, targets, *np.divmod(distinct, scores.shape[1]))
    else:
        ranks = _count(scores, targets, *_pairs(rivals))
    ranks[seen_rows[seen_columns == targets[seen_rows]]] = NOT_FOUND
    return ranks


def _count(scores: torch.Tensor, targets: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Count, row by row, the (row, column) pairs that score at least as high as the target: (B,) float64."""
    at_least = (scores[rows, columns] >= scores[rows, targets[rows]]).cpu().numpy()
    return np.bincount(rows[at_least], minlength=len(targets)).astype(np.float64)


def _pairs(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Flatten B arrays of columns into rows and columns, both int64."""
    rows = np.repeat(np.arange(len(columns)), [len(row) for row in columns])
    return rows, np.concatenate(columns).astype(np.int64)


def _negatives(data: Dataset, user: int, position: int, seed: int) -> np.ndarray:
    """Draw columns of items that the user never meets, before or after the case, without repetition.

    Seeded by the case alone: its position in the dataset's sequence is its identity.
    """
    own = np.unique(data.full_history(user)) - 1
    eligible = data.num_items - len(own)
    generator = np.random.default_rng((seed, position))
    drawn = generator.choice(eligible, min(SAMPLED_NEGATIVES, eligible), replace=False, shuffle=False)
    # The d-th eligible column lies d plus the number of own columns before it from the start; this avoids an
    # array of the catalogue's size in every case.
    return drawn + np.searchsorted(own - np.arange(len(own)), drawn, side="right")


def _shuffled(history: np.ndarray, position: int, seed: int) -> np.ndarray:
    """Return a history in another order, drawn for the case."""
    return np.random.default_rng((seed, position)).permutation(history)


def _choose_cases(data: Dataset, split: Split, max_cases: int | None, seed: int) -> Cases:
    cases = data.cases(split)
    if not len(cases.positions):
        raise UserError(
            f"{data.name} has no {split} cases: no user has an interaction in {split} with one before it; "
            "prepare it again with another split"
        )
    if max_cases is None:
        return cases
    _at_least("max_cases", max_cases, 1)
    if max_cases >= len(cases.positions):
        return cases
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.choice(len(cases.positions), max_cases, replace=False))
    return Cases(users=cases.users[chosen], positions=cases.positions[chosen])


def _check_catalogue(model: Scorer, data: Dataset, name: str) -> None:
    known, asked = model.catalogue, data.catalogue
    if not known.frame["item_id"].equals(asked.frame["item_id"]):
        raise UserError(
            f"the model {name!r} ranks a catalogue of {len(known)} items and {data.name} has another one, of "
            f"{len(asked)} items; evaluate it on the dataset that it was trained on"
        )


def _check_scores(scores: torch.Tensor, data: Dataset, name: str, users: np.ndarray, positions: np.ndarray) -> None:
    expected = (len(users), data.num_items)
    if tuple(scores.shape) != expected:
        raise ValueError(f"the model {name!r} gave scores of shape {tuple(scores.shape)}, expected {expected}")
    if torch.isfinite(torch.stack(scores.aminmax())).all():  # NaN is carried through both
        return
    row, column = torch.isfinite(scores).logical_not().nonzero()[0].tolist()
    user_id, item_id = data.users["user_id"][int(users[row])], data.catalogue.ids([column + 1])[0]
    event = positions[row] - data.offsets[users[row]] + 1
    raise UserError(
        f"the model {name!r} scored item {item_id!r} as {scores[row, column].item()} for user {user_id!r} "
        f"before event {event}; its weights have diverged, train it again with a lower learning rate"
    )


@contextmanager
def _at_rest(model: Scorer) -> Iterator[None]:
    """No gradients and no dropout; a model in training goes on as it was."""
    training = isinstance(model, torch.nn.Module) and model.training
    if isinstance(model, torch.nn.Module):
        model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        if isinstance(model, torch.nn.Module):
            model.train(training)


def _one_of(option: str, value: str, choices: object) -> None:
    if value not in get_args(choices):
        raise UserError(f"{option} is {value!r}{nearest(value, get_args(choices))}")


def _at_least(option: str, value: int, least: int) -> None:
    if value < least:
        raise UserError(f"{option} is {value}, but must be at least {least}")
