"""Truth: strata counted by hand, and the whole as the weighted mean of its parts."""

import dataclasses
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from slmrec.errors import UserError
from slmrec.evaluation import METRICS, NOT_FOUND, evaluate, ranks_frame, strata
from slmrec.evaluation.strata import STRATA


def ranks(model: str, history_lengths: list[int], target_counts: list[int], ranks: list[float]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "model": [model] * len(ranks),
            "user": [0, *range(len(ranks) - 1)],  # the first two cases are one user's
            "history_length": history_lengths,
            "target_count": target_counts,
            "rank": pl.Series(ranks, dtype=pl.Float64),
        }
    )


def test_ranks_frame_written_out(make_data, make_scorer) -> None:
    data = make_data([[1, 2, 1, 3], [3, 2, 1], [2, 2, 2, 2, 4]], 5)
    model = make_scorer(data.catalogue, lambda history: -np.arange(5))
    frame = ranks_frame(evaluate(model, data, name="first"), data)
    assert frame.to_dict(as_series=False) == {
        "model": ["first"] * 3,
        "user": [0, 1, 2],
        "position": [3, 6, 11],
        "target": [3, 1, 4],
        "history_length": [3, 2, 4],
        "target_count": [1, 1, 0],  # train: 1 2, 3, 2 2 2
        "rank": [0, 0, 2],
    }
    assert frame.schema["rank"] == pl.Float64


def test_ranks_frame_of_another_dataset_is_refused(random_data, random_scorer, make_data) -> None:
    evaluation = evaluate(random_scorer, random_data)
    with pytest.raises(ValueError, match="another dataset than toy"):
        ranks_frame(evaluation, make_data([[1, 2, 3]], 3))


def test_strata_written_out() -> None:
    frame = ranks("m", [1, 5, 6, 101, 5000], [0, 1, 5, 101, 100], [0, 9, NOT_FOUND, 4, 1])
    by_length = strata(frame, "history_length")
    assert by_length.select("model", "stratum", "cases", "users", "HR@5", "MRR").rows() == [
        ("m", "1-5", 2, 1, 0.5, (1 + 1 / 10) / 2),
        ("m", "6-10", 1, 1, 0, 0),
        ("m", "101+", 2, 2, 1, (1 / 5 + 1 / 2) / 2),
    ]
    by_count = strata(frame, "target_count")
    assert by_count.select("stratum", "cases", "HR@5").rows() == [
        ("0", 1, 1),
        ("1-5", 2, 0),
        ("21-100", 1, 1),
        ("101+", 1, 1),
    ]


@pytest.mark.parametrize("by", STRATA)
def test_labels_cover_every_count_without_gaps(by: str) -> None:
    bounds = [label.rstrip("+").split("-") for label in STRATA[by]]
    for (*_, last), (first, *_) in pairwise(bounds):
        assert int(first) == int(last) + 1
    assert STRATA[by][-1].endswith("+")


@pytest.mark.parametrize("by", STRATA)
def test_the_whole_is_the_mean_of_its_parts(random_data, random_scorer, by: str) -> None:
    evaluation = evaluate(random_scorer, random_data)
    parts = strata(ranks_frame(evaluation, random_data), by)
    assert parts["cases"].sum() == 40
    for metric in METRICS:
        whole = (parts[metric] * parts["cases"]).sum() / 40
        assert whole == pytest.approx(evaluation.metrics[metric])


def test_several_models_keep_their_order(random_data, random_scorer) -> None:
    evaluation = evaluate(random_scorer, random_data, name="teacher")
    other = dataclasses.replace(evaluation, model="a-student", ranks=np.zeros(40))
    frame = pl.concat([ranks_frame(each, random_data) for each in (evaluation, other)])
    both = strata(frame, "history_length")
    assert both["model"].unique(maintain_order=True).to_list() == ["teacher", "a-student"]
    assert both.filter(pl.col("model") == "a-student")["HR@1"].unique().to_list() == [1.0]
    alone = strata(ranks_frame(evaluation, random_data), "history_length")
    assert both.filter(pl.col("model") == "teacher").equals(alone)


def test_unknown_strata_name_the_nearest() -> None:
    with pytest.raises(UserError, match="by 'history'; did you mean 'history_length'"):
        strata(ranks("m", [1], [1], [0]), "history")
