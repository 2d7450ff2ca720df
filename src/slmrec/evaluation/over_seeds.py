"""Is one way of training better than another? Several seeds of each, compared over the same users.

A difference has two sources of chance: which users were met, and which seeds were drawn. The interval resamples both;
the test swaps the two models' seed means user by user; many comparisons at once are corrected by Holm's method.

A model that was made from its baseline, as a student from its teacher, shares that one's luck: seed by seed they go up
and down together. Such two are compared over the seeds that both have, since one of the baseline's that the model never
saw would pass for a difference between them. The interval draws their seeds apart all the same, which makes it too wide
rather than too narrow.
"""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from slmrec.errors import UserError
from slmrec.evaluation.comparison import RESAMPLES, sign_flip_p_value
from slmrec.evaluation.metrics import metric_values


@dataclass(frozen=True)
class SeedComparison:
    """How far a model is above a baseline in one metric, over all seeds of both."""

    model: str
    baseline: str
    metric: str
    seeds: tuple[int, int]
    """How many seeds of the model and of the baseline are compared."""
    cases: int
    model_mean: float
    baseline_mean: float
    difference: float
    """model_mean − baseline_mean."""
    relative: float | None
    """The difference as a share of baseline_mean; None where that is 0."""
    low: float
    """Lower end of the 95 % interval of the difference (percentile bootstrap over users and seeds)."""
    high: float
    """Upper end of it."""
    effect: float
    """Cohen's d of paired samples: mean of the users' differences over their standard deviation."""
    p_value: float
    """Two-sided, of the sign-flip test over users, each user's value being the mean over seeds."""
    p_corrected: float
    """The same by Holm's method for all comparisons that were asked for together."""


def compare_over_seeds(
    ranks: pl.DataFrame,
    pairs: Sequence[tuple[str, str]],
    metric: str = "NDCG@10",
    *,
    paired: Container[tuple[str, str]] = (),
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> list[SeedComparison]:
    """Compare models pair by pair.

    Args:
        ranks: `ranks_frame`s of all models, with a column `seed`, concatenated.
        pairs: (model, baseline) by the frame's column `model`.
        metric: a metric of `slmrec.evaluation`.
        paired: those of the pairs that are compared over the seeds that both have; the others over all of each.
        seed: draws the resamples.
        resamples: of bootstrap and test.

    Raises:
        UserError: the frame lacks a model, two seeds were ranked on different cases, or two paired models have no seed
            in common.
    """
    names = sorted({name for pair in pairs for name in pair})
    values = {name: _values(ranks.filter(model=name), name, metric) for name in names}
    found = []
    for model, baseline in pairs:
        ours, theirs = values[model], values[baseline]
        if (model, baseline) in paired:
            common = sorted({*ours.seeds} & {*theirs.seeds})
            if not common:
                raise UserError(f"'{model}' and '{baseline}' have no seed in common; evaluate one of the same seed")
            ours, theirs = ours.of(common), theirs.of(common)
        found.append(_compare(model, baseline, ours, theirs, metric, seed, resamples))
    corrected = holm([comparison.p_value for comparison in found])
    return [replace(comparison, p_corrected=p) for comparison, p in zip(found, corrected, strict=True)]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values by Holm's step-down method (Scandinavian Journal of Statistics 6, 1979).

    The k-th smallest of m is multiplied by m - k + 1; none may then be below one before it, nor above 1.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(np.asarray(p_values)[order] * np.arange(len(order), 0, -1))
    return np.minimum(adjusted, 1).tolist()


@dataclass(frozen=True)
class _Values:
    cases: pl.DataFrame
    """user, position: what was ranked, in one order for all seeds."""
    seeds: list[int]
    """S of them."""
    by_seed: np.ndarray
    """(C, S) the metric."""

    def of(self, seeds: Sequence[int]) -> "_Values":
        """Some of the seeds."""
        return replace(self, seeds=list(seeds), by_seed=self.by_seed[:, [self.seeds.index(seed) for seed in seeds]])


def _values(ranks: pl.DataFrame, name: str, metric: str) -> _Values:
    if ranks.is_empty():
        raise UserError(f"there are no ranks of '{name}' to compare")
    cases, seeds, columns = None, [], []
    for (number,), seed in ranks.group_by("seed", maintain_order=True):
        seed = seed.sort("user", "position")
        here = seed.select("user", "position")
        if cases is not None and not here.equals(cases):
            raise UserError(f"the seeds of '{name}' were ranked on different cases; evaluate them in the same way")
        cases = here
        seeds.append(number)
        columns.append(metric_values(metric, seed["rank"].to_numpy()))
    assert cases is not None
    return _Values(cases, seeds, np.stack(columns, axis=1))


def _compare(
    model: str, baseline: str, ours: _Values, theirs: _Values, metric: str, seed: int, resamples: int
) -> SeedComparison:
    if not ours.cases.equals(theirs.cases):
        raise UserError(f"'{model}' and '{baseline}' were ranked on different cases; evaluate them in the same way")
    _, user = np.unique(ours.cases["user"].to_numpy(), return_inverse=True)
    cases = np.bincount(user)  # (U,)
    mine, other = (_by_user(found.by_seed, user) for found in (ours, theirs))  # (U, S) each
    means = mine.mean(axis=1) - other.mean(axis=1)  # (U,) summed over a user's cases
    difference = means.sum() / cases.sum()
    low, high = _interval(mine, other, cases, seed, resamples)
    spread = (means / cases).std(ddof=1) if len(means) > 1 else 0.0
    base = theirs.by_seed.mean()
    return SeedComparison(
        model=model,
        baseline=baseline,
        metric=metric,
        seeds=(mine.shape[1], other.shape[1]),
        cases=len(user),
        model_mean=float(ours.by_seed.mean()),
        baseline_mean=float(base),
        difference=float(difference),
        relative=float(difference / base) if base else None,
        low=low,
        high=high,
        effect=float((means / cases).mean() / spread) if spread else 0.0,
        p_value=sign_flip_p_value(means, seed=seed, resamples=resamples),
        p_corrected=1.0,
    )


def _by_user(values: np.ndarray, user: np.ndarray) -> np.ndarray:
    """Sum (C, S) values over each user's cases: (U, S)."""
    return np.stack([np.bincount(user, weights=column) for column in values.T], axis=1)


def _interval(
    ours: np.ndarray, theirs: np.ndarray, cases: np.ndarray, seed: int, resamples: int
) -> tuple[float, float]:
    """95 % percentile bootstrap of the mean difference a case; users and, for each model, seeds are drawn."""
    generator = np.random.default_rng(seed)
    found = np.empty(resamples)
    for place in range(resamples):
        users = np.bincount(generator.integers(len(cases), size=len(cases)), minlength=len(cases))
        drawn = [
            (users @ values)[generator.integers(values.shape[1], size=values.shape[1])].mean()
            for values in (ours, theirs)
        ]
        found[place] = (drawn[0] - drawn[1]) / (users @ cases)
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
