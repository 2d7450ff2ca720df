"""Is one model better than another, or was it luck? A paired comparison over users.

Users are the unit drawn: the cases of one session or one history depend on each other.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from slmrec.errors import UserError
from slmrec.evaluation.metrics import metric_values
from slmrec.evaluation.protocol import Evaluation

RESAMPLES = 2_000
_CHUNK = 4_000_000  # numbers drawn at once, which bounds the memory at any number of users


@dataclass(frozen=True)
class Comparison:
    """How far a model is above a baseline in one metric, and how sure that is."""

    model: str
    baseline: str
    metric: str
    users: int
    model_mean: float
    baseline_mean: float
    difference: float
    """model_mean − baseline_mean."""
    low: float
    """Lower end of the 95 % interval of the difference (percentile bootstrap over users)."""
    high: float
    """Upper end of it."""
    p_value: float
    """Two-sided, of the sign-flip test: how often chance alone gives a difference as large."""


def compare(
    model: Evaluation,
    baseline: Evaluation,
    metric: str = "NDCG@10",
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare two evaluations of the same cases.

    Args:
        model: the one in question.
        baseline: the other.
        metric: a metric of `slmrec.evaluation`.
        seed: draws the resamples.
        resamples: of bootstrap and test.

    Raises:
        UserError: they differ in data, cases, split, protocol or seen items (or, if sampled, in the negatives'
            seed), or the metric is unknown.
    """
    _check_same_cases(model, baseline)
    values, baseline_values = metric_values(metric, model.ranks), metric_values(metric, baseline.ranks)
    _, user_of_case = np.unique(model.cases.users, return_inverse=True)
    differences = np.bincount(user_of_case, weights=values - baseline_values)  # (U,) summed over a user's cases
    cases = np.bincount(user_of_case)
    low, high = bootstrap_interval(differences, cases, seed=seed, resamples=resamples)
    return Comparison(
        model=model.model,
        baseline=baseline.model,
        metric=metric,
        users=len(cases),
        model_mean=float(values.mean()),
        baseline_mean=float(baseline_values.mean()),
        difference=float(differences.sum() / cases.sum()),
        low=low,
        high=high,
        p_value=sign_flip_p_value(differences, seed=seed, resamples=resamples),
    )


def bootstrap_interval(
    differences: np.ndarray, cases: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """Return the 95 % percentile-bootstrap interval of the mean difference over cases, drawing whole users.

    differences: (U,) a user's differences, summed over the user's cases; cases: (U,) how many there are.
    """
    generator = np.random.default_rng(seed)
    means = []
    for rows in _chunks(resamples, len(cases)):
        drawn = generator.integers(len(cases), size=(rows, len(cases)), dtype=np.int32)
        means.append(differences[drawn].sum(axis=1) / cases[drawn].sum(axis=1))
    low, high = np.quantile(np.concatenate(means), [0.025, 0.975])
    return float(low), float(high)


def sign_flip_p_value(differences: np.ndarray, *, seed: int = 0, resamples: int = RESAMPLES) -> float:
    """Return the two-sided p-value of a paired permutation test on the summed difference.

    If neither model is better, swapping the two for any user changes nothing: each difference flips its sign
    at random. p = (1 + flips at least as extreme as what was observed) / (1 + flips), so it is never 0;
    without any difference it is 1.
    differences: (U,) a user's differences, summed over the user's cases.
    """
    generator = np.random.default_rng(seed)
    changed = differences[differences != 0]  # the others flip to themselves
    observed = abs(changed.sum()) * (1 - 1e-12)  # sums equal but for rounding count as equal
    extreme = 0
    for rows in _chunks(resamples, len(changed)):
        signs = generator.integers(2, size=(rows, len(changed)), dtype=np.int8) * 2.0 - 1
        extreme += int((np.abs(signs @ changed) >= observed).sum())
    return (1 + extreme) / (1 + resamples)


def _chunks(resamples: int, width: int) -> Iterator[int]:
    """Cut the resamples into pieces whose rows of `width` numbers fit in memory."""
    rows = max(1, _CHUNK // max(1, width))
    for start in range(0, resamples, rows):
        yield min(rows, resamples - start)


def _check_same_cases(model: Evaluation, baseline: Evaluation) -> None:
    pair = f"{model.model!r} and {baseline.model!r} cannot be compared"
    shared = ["data", "split", "protocol", "seen"] + ["seed"] * (model.protocol == "sampled")
    for field in shared:
        ours, theirs = getattr(model, field), getattr(baseline, field)
        if ours != theirs:
            raise UserError(f"{pair}: their {field} is {ours!r} and {theirs!r}; evaluate both in the same way")
    if model.fingerprint != baseline.fingerprint:
        raise UserError(f"{pair}: their data {model.data!r} was prepared in two ways; evaluate both on one dataset")
    if not np.array_equal(model.cases.positions, baseline.cases.positions):
        raise UserError(
            f"{pair}: they were evaluated on different cases, {len(model.ranks)} and {len(baseline.ranks)}; "
            "evaluate both with the same max_cases and seed"
        )
