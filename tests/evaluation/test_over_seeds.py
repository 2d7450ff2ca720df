"""Comparison over seeds: against arithmetic written out, scipy, a published example, and planted differences."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import ttest_rel

from slmrec.errors import UserError
from slmrec.evaluation import compare_over_seeds, holm


def ranks(name: str, by_seed: dict[int, list[float]], users: list[int] | None = None) -> pl.DataFrame:
    """Ranks of one case a user, or of the users given."""
    frames = []
    for seed, values in by_seed.items():
        who = users or list(range(len(values)))
        frames.append(
            pl.DataFrame({"model": name, "seed": seed, "user": who, "position": range(len(values)), "rank": values})
        )
    return pl.concat(frames)


def test_means_difference_and_effect_by_hand():
    # HR@1 is 1 for rank 0. Users' means over seeds: ours 1, 0.5, 0; theirs 0, 0.5, 0.
    ours = ranks("ours", {0: [0.0, 0.0, 5.0], 1: [0.0, 3.0, 7.0]})
    theirs = ranks("theirs", {0: [2.0, 0.0, 5.0], 1: [4.0, 3.0, 7.0]})
    (found,) = compare_over_seeds(pl.concat([ours, theirs]), [("ours", "theirs")], "HR@1")
    assert found.model_mean == pytest.approx(3 / 6)
    assert found.baseline_mean == pytest.approx(1 / 6)
    assert found.difference == pytest.approx(2 / 6)
    assert found.relative == pytest.approx(2.0)
    differences = np.array([1.0, 0.0, 0.0])
    assert found.effect == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert found.effect * np.sqrt(3) == pytest.approx(ttest_rel([1.0, 0.5, 0.0], [0.0, 0.5, 0.0]).statistic)
    assert found.seeds == (2, 2)
    assert found.cases == 3


def test_what_was_made_from_the_other_is_compared_over_the_seeds_of_both():
    # By hand: seed 1 is a lucky one of the baseline's, which the model made from seeds 0 and 2 has nothing to do with.
    parent = ranks("parent", {0: [0.0, 5.0], 1: [0.0, 0.0], 2: [5.0, 5.0]})
    child = ranks("child", {2: [5.0, 5.0], 0: [0.0, 5.0]})
    other = ranks("other", {7: [5.0, 5.0]})
    frame, pair = pl.concat([parent, child, other]), ("child", "parent")
    (apart,) = compare_over_seeds(frame, [pair], "HR@1")
    assert (apart.seeds, apart.difference) == ((2, 3), pytest.approx(1 / 4 - 3 / 6))
    (found,) = compare_over_seeds(frame, [pair], "HR@1", paired=[pair])
    assert (found.seeds, found.difference, found.p_value) == ((2, 2), 0, 1)
    assert found.model_mean == found.baseline_mean == 1 / 4
    with pytest.raises(UserError, match="'other' and 'parent' have no seed in common"):
        compare_over_seeds(frame, [("other", "parent")], paired=[("other", "parent")])


def test_users_with_several_cases_are_drawn_whole():
    ours = ranks("ours", {0: [0.0, 0.0, 5.0, 5.0]}, users=[0, 0, 1, 1])
    theirs = ranks("theirs", {0: [5.0, 5.0, 0.0, 0.0]}, users=[0, 0, 1, 1])
    (found,) = compare_over_seeds(pl.concat([ours, theirs]), [("ours", "theirs")], "HR@1")
    assert found.difference == 0
    assert (found.low, found.high) == (-1, 1)  # one user drawn twice is all for one side
    assert found.p_value == 1


def test_an_interval_holds_the_noise_of_seeds_too():
    rng = np.random.default_rng(0)
    users = 400
    steady = {seed: rng.integers(0, 20, users).astype(float).tolist() for seed in (0,)} | {}
    lucky = {0: [0.0] * users, 1: [50.0] * users, 2: [50.0] * users}
    frame = pl.concat([ranks("lucky", lucky), ranks("steady", {s: steady[0] for s in (0, 1, 2)})])
    (found,) = compare_over_seeds(frame, [("lucky", "steady")], "HR@1")
    assert found.low < 0 < found.high  # every user gains on average, but only by one seed


def test_a_planted_difference_is_found_and_none_is_not():
    rng = np.random.default_rng(1)
    base = rng.integers(0, 30, 600).astype(float)
    better = {seed: np.maximum(0, base - rng.integers(0, 6, 600)).tolist() for seed in range(3)}
    same = {seed: rng.permutation(base).tolist() for seed in range(3)}
    frame = pl.concat(
        [ranks("better", better), ranks("same", same), ranks("base", {s: base.tolist() for s in range(3)})]
    )
    first, second = compare_over_seeds(frame, [("better", "base"), ("same", "base")])
    assert first.low > 0
    assert first.p_corrected < 0.01
    assert second.p_corrected > 0.05
    assert first.p_corrected == pytest.approx(2 * first.p_value)


def test_holm_by_its_published_steps():
    # Sorted: .01 x 4, .02 x 3, .03 x 2, .04 x 1, none below one before it.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_what_does_not_compare_is_refused():
    ours, theirs = ranks("ours", {0: [0.0, 1.0]}), ranks("theirs", {0: [0.0, 1.0, 2.0]})
    with pytest.raises(UserError, match="different cases"):
        compare_over_seeds(pl.concat([ours, theirs]), [("ours", "theirs")])
    with pytest.raises(UserError, match="no ranks of 'nobody'"):
        compare_over_seeds(ours, [("ours", "nobody")])
    uneven = pl.concat([ours, ranks("ours", {1: [0.0, 1.0, 2.0]})])
    with pytest.raises(UserError, match="seeds of 'ours'"):
        compare_over_seeds(uneven, [("ours", "ours")])
