"""Paired differences against arithmetic written out: a case at rank r has an NDCG@10 of 1 / log2(r + 2)."""

import math

import numpy as np
import polars as pl
import pytest

from slmrec.report.differences import by_stratum, difference


def frame(model: str, ranks: list[float], history: list[int] | None = None) -> pl.DataFrame:
    cases = len(ranks)
    return pl.DataFrame(
        {
            "model": [model] * cases,
            "user": range(cases),
            "position": range(cases),
            "history_length": history or [3] * cases,
            "target_count": [0] * cases,
            "rank": np.array(ranks, dtype=float),
        }
    )


def test_mean_of_the_cases_differences():
    ranks = pl.concat([frame("a", [0, 1, 50]), frame("b", [2, math.inf, 9])])
    found = difference(ranks, "a", "b")
    assert found is not None
    expected = ((1 - 1 / 2) + (1 / math.log2(3) - 0) + (0 - 1 / math.log2(11))) / 3
    assert found.mean == pytest.approx(expected)
    assert found.low <= found.mean <= found.high


def test_a_model_that_wins_every_case_is_certain_and_its_baseline_the_mirror_image():
    ranks = pl.concat([frame("a", [0] * 30), frame("b", [1] * 30)])
    won, lost = difference(ranks, "a", "b"), difference(ranks, "b", "a")
    assert won is not None
    assert lost is not None
    assert won.certain
    assert won.low == pytest.approx(1 - 1 / math.log2(3))
    assert lost.mean == pytest.approx(-won.mean)


def test_equal_models_are_not_certain():
    found = difference(pl.concat([frame("a", [0, 5]), frame("b", [0, 5])]), "a", "b")
    assert found is not None
    assert (found.mean, found.certain) == (0, False)


def test_pairs_are_matched_by_case_and_not_by_row():
    shuffled = frame("b", [0, 1, 2, 3]).sample(fraction=1, shuffle=True, seed=1)
    found = difference(pl.concat([frame("a", [0, 1, 2, 3]), shuffled]), "a", "b")
    assert found is not None
    assert (found.low, found.high) == (0, 0)


def test_a_model_that_is_not_there_has_no_difference():
    assert difference(frame("a", [0]), "a", "b") is None


def test_strata_hold_every_case_once_with_its_own_levels():
    history = [1, 5, 6, 100, 101, 900]
    ranks = pl.concat([frame("a", [0, 0, 50, 0, 1, 1], history), frame("b", [50, 50, 0, 50, 1, 1], history)])
    found = {row.label: row for row in by_stratum(ranks, "history_length", "a", "b")}
    assert {label: row.cases for label, row in found.items()} == {"1-5": 2, "6-10": 1, "51-100": 1, "101+": 2}
    assert found["1-5"].ndcg == {"a": 1, "b": 0}
    assert found["6-10"].ndcg == {"a": 0, "b": 1}
    means = {label: row.difference.mean for label, row in found.items() if row.difference}
    assert means == {"1-5": 1, "6-10": -1, "51-100": 1, "101+": 0}
