"""Truth: scipy's bootstrap and exact permutation test, planted answers, properties."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from slmrec.data.dataset import Cases
from slmrec.errors import UserError
from slmrec.evaluation import Evaluation, compare, comparison, evaluate
from slmrec.evaluation.comparison import bootstrap_interval, sign_flip_p_value


def with_ranks(evaluation: Evaluation, name: str, ranks) -> Evaluation:
    return dataclasses.replace(evaluation, model=name, ranks=np.asarray(ranks, dtype=float))


@pytest.fixture(scope="module")
def evaluation(random_data, random_scorer) -> Evaluation:
    return evaluate(random_scorer, random_data, name="base")


def test_scipy_gives_the_same_interval() -> None:
    differences = np.random.default_rng(0).exponential(size=50) - 0.7
    ours = bootstrap_interval(differences, np.ones(50), resamples=20_000)
    theirs = stats.bootstrap(
        (differences,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.03 * width)


def test_scipy_gives_the_same_interval_for_users_with_several_cases() -> None:
    rng = np.random.default_rng(2)
    cases = rng.integers(1, 6, size=40)
    differences = rng.normal(3, 1, size=40) * cases  # so that the number of cases drawn matters
    ours = bootstrap_interval(differences, cases, resamples=20_000)
    theirs = stats.bootstrap(
        (differences, cases),
        lambda d, n, axis: d.sum(axis) / n.sum(axis),
        paired=True,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(3),
    ).confidence_interval
    assert ours == pytest.approx((theirs.low, theirs.high), abs=0.03 * (theirs.high - theirs.low))


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.8, -0.8])
def test_scipy_gives_the_same_p_value(shift: float) -> None:
    differences = np.random.default_rng(4).normal(shift, 1, size=12)
    theirs = stats.permutation_test(  # all 4,096 sign flips
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    ).pvalue
    ours = sign_flip_p_value(differences, resamples=40_000)
    assert ours == pytest.approx(theirs, abs=4 * np.sqrt(theirs * (1 - theirs) / 40_000) + 1e-4)


def test_ties_with_the_observed_sum_count_as_extreme() -> None:
    # Rounding must not hide them: of the 8 flips of three equal differences 2 are as extreme as the observed.
    assert sign_flip_p_value(np.array([0.1, 0.1, 0.1]), resamples=40_000) == pytest.approx(1 / 4, abs=0.01)


def test_equal_models_do_not_differ(evaluation: Evaluation) -> None:
    result = compare(evaluation, with_ranks(evaluation, "same", evaluation.ranks))
    assert (result.difference, result.low, result.high, result.p_value) == (0, 0, 0, 1)


def test_a_planted_difference_is_found(evaluation: Evaluation) -> None:
    model = with_ranks(evaluation, "good", [0] * 30 + [50] * 10)
    baseline = with_ranks(evaluation, "bad", [50] * 40)
    result = compare(model, baseline, "HR@10")
    assert (result.model, result.baseline, result.metric, result.users) == ("good", "bad", "HR@10", 40)
    assert (result.model_mean, result.baseline_mean, result.difference) == (0.75, 0, 0.75)
    # 40 coins of 0.75: a standard error of 0.068
    assert result.low == pytest.approx(0.75 - 1.96 * 0.068, abs=0.03)
    assert result.high == pytest.approx(0.75 + 1.96 * 0.068, abs=0.03)
    assert result.p_value == 1 / 2001  # no flip of 30 equal differences reaches their sum but with luck 2^-29


def test_swapping_the_models_mirrors_the_difference(evaluation: Evaluation) -> None:
    other = with_ranks(evaluation, "other", np.random.default_rng(6).integers(0, 30, size=40))
    ours, mirrored = compare(evaluation, other), compare(other, evaluation)
    assert ours.difference == pytest.approx(-mirrored.difference)
    assert (ours.low, ours.high) == pytest.approx((-mirrored.high, -mirrored.low))
    assert ours.p_value == mirrored.p_value
    assert ours.low < ours.difference < ours.high


def test_the_seed_fixes_the_result(evaluation: Evaluation) -> None:
    other = with_ranks(evaluation, "other", np.random.default_rng(6).integers(0, 30, size=40))
    assert compare(evaluation, other, seed=1) == compare(evaluation, other, seed=1)
    assert compare(evaluation, other, seed=1).low != compare(evaluation, other, seed=2).low


def test_repeated_cases_of_a_user_add_no_certainty(evaluation: Evaluation) -> None:
    rng = np.random.default_rng(7)
    ours, theirs = rng.integers(0, 20, size=40), rng.integers(0, 20, size=40)
    single = compare(with_ranks(evaluation, "a", ours), with_ranks(evaluation, "b", theirs), "MRR")
    cases = Cases(np.repeat(evaluation.cases.users, 5), np.repeat(evaluation.cases.positions, 5))
    repeated = dataclasses.replace(evaluation, cases=cases)
    fivefold = compare(
        with_ranks(repeated, "a", np.repeat(ours, 5)), with_ranks(repeated, "b", np.repeat(theirs, 5)), "MRR"
    )
    assert dataclasses.astuple(fivefold) == pytest.approx(dataclasses.astuple(single))


def test_two_models_of_equal_quality_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(8)
    p_values = [sign_flip_p_value(rng.normal(size=30), resamples=200, seed=n) for n in range(400)]
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.035)  # 3 standard errors


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    differences, cases = np.random.default_rng(9).normal(size=30), np.ones(30)
    whole = bootstrap_interval(differences, cases), sign_flip_p_value(differences)
    monkeypatch.setattr(comparison, "_CHUNK", 30 * 512)
    assert bootstrap_interval(differences, cases) == pytest.approx(whole[0])
    assert sign_flip_p_value(differences) == pytest.approx(whole[1])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"data": "other"}, "their data is 'toy' and 'other'"),
        ({"split": "valid"}, "their split is 'test' and 'valid'"),
        ({"protocol": "sampled"}, "their protocol is 'full' and 'sampled'"),
        ({"seen": "kept"}, "their seen is 'masked' and 'kept'"),
        ({"fingerprint": "0"}, "their data 'toy' was prepared in two ways"),
        (
            {"cases": Cases(np.arange(3), np.arange(3)), "ranks": np.zeros(3)},
            "they were evaluated on different cases, 40 and 3",
        ),
    ],
)
def test_what_is_not_comparable_is_refused(evaluation: Evaluation, change: dict, sentence: str) -> None:
    other = dataclasses.replace(evaluation, model="other", **change)
    with pytest.raises(UserError, match=f"^'base' and 'other' cannot be compared: {sentence}"):
        compare(evaluation, other)


def test_other_negatives_are_refused(evaluation: Evaluation) -> None:
    sampled = dataclasses.replace(evaluation, protocol="sampled")
    with pytest.raises(UserError, match="their seed is 0 and 1"):
        compare(sampled, dataclasses.replace(sampled, seed=1))
    compare(evaluation, dataclasses.replace(evaluation, seed=1))  # all items rank, so nothing was drawn


def test_an_unknown_metric_is_refused(evaluation: Evaluation) -> None:
    with pytest.raises(UserError, match="no metric 'ndcg@10'"):
        compare(evaluation, evaluation, "ndcg@10")
