"""Truth: scikit-learn's metrics, arithmetic written out, plain-Python golden values, properties."""

import json
from math import log2
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import label_ranking_average_precision_score, ndcg_score, top_k_accuracy_score

from slmrec.errors import UserError
from slmrec.evaluation.metrics import (
    METRICS,
    NOT_FOUND,
    hit_rate,
    mean_metrics,
    metric_values,
    ndcg,
    reciprocal_rank,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden.json").read_text())["ranking"]

ranks_lists = st.lists(st.one_of(st.integers(0, 50).map(float), st.just(NOT_FOUND)), min_size=1).map(np.array)


def test_values_written_out() -> None:
    ranks = np.array([0, 1, 9, 10, NOT_FOUND])
    assert hit_rate(ranks, 10).tolist() == [1, 1, 1, 0, 0]
    assert ndcg(ranks, 10).tolist() == pytest.approx([1, 1 / log2(3), 1 / log2(11), 0, 0])
    assert reciprocal_rank(ranks).tolist() == pytest.approx([1, 1 / 2, 1 / 10, 1 / 11, 0])


@pytest.mark.parametrize("name", GOLDEN["metrics"])
def test_golden_values(name: str) -> None:
    ranks = np.array([NOT_FOUND if rank is None else rank for rank in GOLDEN["zero_based_ranks"]])
    metric, _, k = name.partition("@")
    ours = {"HR": hit_rate, "NDCG": ndcg, "MRR": reciprocal_rank}[metric](ranks, *([int(k)] if k else []))
    assert ours.mean() == pytest.approx(GOLDEN["metrics"][name], abs=1e-12)


def test_scikit_learn_agrees() -> None:
    rng = np.random.default_rng(0)
    users, num_items = 60, 40
    scores = rng.permuted(np.tile(np.arange(num_items), (users, 1)), axis=1)
    targets = rng.integers(num_items, size=users)
    relevant = np.eye(num_items)[targets]
    ranks = (scores > scores[np.arange(users), targets][:, None]).sum(axis=1)
    theirs = {
        f"HR@{k}": top_k_accuracy_score(targets, scores, k=k, labels=np.arange(num_items)) for k in (1, 5, 10, 20)
    }
    theirs |= {f"NDCG@{k}": ndcg_score(relevant, scores, k=k) for k in (5, 10, 20)}
    theirs["MRR"] = label_ranking_average_precision_score(relevant, scores)
    ours = mean_metrics(ranks)
    assert ours == pytest.approx(theirs)
    assert list(ours) == ["HR@1", "HR@5", "HR@10", "HR@20", "NDCG@5", "NDCG@10", "NDCG@20", "MRR"]


@given(ranks_lists, st.integers(1, 60))
def test_bounds_and_order(ranks: np.ndarray, k: int) -> None:
    hits, gains = hit_rate(ranks, k), ndcg(ranks, k)
    assert ((gains >= 0) & (gains <= hits) & (hits <= 1)).all()
    assert (hit_rate(ranks, k + 1) >= hits).all()
    assert (ndcg(ranks, k + 1) >= gains).all()
    assert (reciprocal_rank(ranks) >= hit_rate(ranks, 1)).all()
    assert (hit_rate(ranks, 1) == ndcg(ranks, 1)).all()


@given(ranks_lists)
def test_a_better_rank_is_never_worse(ranks: np.ndarray) -> None:
    better = np.maximum(ranks - 1, 0)
    for metric in METRICS:
        assert (metric_values(metric, better) >= metric_values(metric, ranks)).all(), metric


def test_not_found_is_zero_in_every_metric() -> None:
    assert set(mean_metrics(np.array([NOT_FOUND])).values()) == {0.0}


def test_k_beyond_the_list_finds_all_that_is_there() -> None:
    assert hit_rate(np.array([2.0, NOT_FOUND]), 1_000).tolist() == [1, 0]


@pytest.mark.parametrize("ranks", [[-1.0], [np.nan]])
def test_what_is_no_rank_is_refused(ranks: list[float]) -> None:
    for metric in METRICS:
        with pytest.raises(ValueError, match="below 0 or NaN"):
            metric_values(metric, np.array(ranks))


def test_k_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="k is 0"):
        ndcg(np.array([0.0]), 0)


def test_no_ranks_have_no_mean() -> None:
    with pytest.raises(ValueError, match="no ranks"):
        mean_metrics(np.array([]))


def test_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(UserError, match="'NDCG@1O'; did you mean 'NDCG@10'"):
        metric_values("NDCG@1O", np.array([0.0]))
